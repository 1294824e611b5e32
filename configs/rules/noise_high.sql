-- Louder than any street at rush hour.
CREATE ALERT RULE noise_high
  SEVERITY medium
  KEEP FIRING FOR INTERVAL '30 seconds'
  TITLE vi 'Tiếng ồn rất lớn' en 'Very loud noise'
  ACTION vi 'Nghe và xem camera gần nhất; cử tổ tuần tra nếu có tụ tập' en 'Look at the nearest camera; send a patrol if there is a crowd'
AS SELECT sensor_id, avg(value) AS decibels
   FROM readings
   WHERE metric = 'noise'
   GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds')
   HAVING avg(value) > 78;
