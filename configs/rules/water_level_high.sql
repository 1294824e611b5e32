-- River gauge above alarm level. FOR lets one splash or one bad sample pass.
CREATE ALERT RULE water_level_high
  SEVERITY critical
  FOR INTERVAL '5 seconds' KEEP FIRING FOR INTERVAL '30 seconds'
  TITLE vi 'Mực nước vượt mức báo động' en 'Water level above alarm'
  ACTION vi 'Gọi trực ban phòng chống thiên tai của phường; mở camera gần nhất; chuẩn bị đóng đường ven sông'
         en 'Call the ward''s flood duty officer; open the nearest cameras; prepare to close the riverside road'
AS SELECT sensor_id, value AS level_m
   FROM readings
   WHERE metric = 'water_level' AND value > 3.5;
