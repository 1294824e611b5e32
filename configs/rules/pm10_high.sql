-- Coarse dust: works or bare soil rather than smoke.
CREATE ALERT RULE pm10_high
  SEVERITY medium
  KEEP FIRING FOR INTERVAL '1 minute'
  TITLE vi 'Bụi PM10 cao' en 'Dust PM10 high'
  ACTION vi 'Kiểm tra công trường và xe chở vật liệu quanh trạm' en 'Check building sites and lorries around the station'
AS SELECT sensor_id, avg(value) AS pm10
   FROM readings
   WHERE metric = 'pm10'
   GROUP BY sensor_id, tumble(event_time, INTERVAL '20 seconds')
   HAVING avg(value) > 150;
