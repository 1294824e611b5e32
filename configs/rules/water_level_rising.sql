-- More than half a metre within ten seconds: a gate, a dam or a broken bank, long before the level itself is high.
-- A whole metre is no longer one gate: the same alert is raised and asks for attention again.
CREATE ALERT RULE water_level_rising
  SEVERITY high
  RAISE TO critical WHEN > 1 LOWER AFTER INTERVAL '30 seconds'
  KEEP FIRING FOR INTERVAL '30 seconds'
  TITLE vi 'Nước dâng nhanh' en 'Water rising fast'
  ACTION vi 'Kiểm tra các trạm thượng lưu và cửa cống; báo trực ban thủy lợi'
         en 'Check the upstream gauges and the sluice gates; tell the irrigation duty officer'
AS SELECT sensor_id, last_value(value) - first_value(value) AS rise_m, max(value) AS level_m
   FROM readings
   WHERE metric = 'water_level'
   GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds')
   HAVING last_value(value) - first_value(value) > 0.5;
