-- Every sensor of the city reports at least every five seconds; for slower ones write a rule of their own.
-- When a line is cut hundreds fall silent at once: ten say so, the others are counted and shown as suppressed.
CREATE ALERT RULE sensor_silent
  SEVERITY low
  NO DATA FOR INTERVAL '20 seconds'
  LIMIT 10 PER INTERVAL '10 minutes'
  TITLE vi 'Cảm biến mất tín hiệu' en 'Sensor silent'
  ACTION vi 'Kiểm tra nguồn điện và đường truyền; tạo phiếu bảo trì' en 'Check power and line; open a maintenance ticket'
AS SELECT sensor_id FROM readings;
