-- Dust and water never stand still to the last digit: a sensor that repeats itself is broken.
CREATE ALERT RULE sensor_stuck
  SEVERITY low
  KEEP FIRING FOR INTERVAL '1 minute'
  TITLE vi 'Cảm biến kẹt giá trị' en 'Sensor stuck'
  ACTION vi 'Không dùng số liệu của cảm biến này; tạo phiếu bảo trì' en 'Do not use this sensor''s data; open a maintenance ticket'
AS SELECT sensor_id, max(value) AS stuck_at
   FROM readings
   WHERE metric IN ('pm25', 'water_level')
   GROUP BY sensor_id, tumble(event_time, INTERVAL '20 seconds')
   HAVING max(value) = min(value) AND count(*) >= 4;
