-- Từng trận mưa: bắt đầu lúc nào, mạnh nhất bao nhiêu. Trận mưa hết khi 10 phút không có số đo có mưa.
-- Each shower of rain: when it began and how hard it rained. It ends after ten minutes without rain.
CREATE CONTINUOUS VIEW rain_showers AS
SELECT sensor_id, unit_code,
       session(event_time, INTERVAL '10 minutes', INTERVAL '6 hours') AS began_at,
       count(*) AS readings,
       max(value) AS heaviest,
       avg(value) AS mean
FROM readings
WHERE metric = 'rain' AND value > 0
GROUP BY sensor_id, unit_code, session(event_time, INTERVAL '10 minutes', INTERVAL '6 hours');
