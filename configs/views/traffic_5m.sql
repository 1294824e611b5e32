-- Tốc độ và lưu lượng 5 phút gần nhất của mỗi điểm đo, cập nhật từng phút.
-- Speed and flow at each place over the last five minutes, every minute.
CREATE CONTINUOUS VIEW traffic_5m AS
SELECT sensor_id,
       hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes') AS window_start,
       avg(value) FILTER (WHERE metric = 'speed') AS speed_kmh,
       min(value) FILTER (WHERE metric = 'speed') AS slowest_kmh,
       sum(value) FILTER (WHERE metric = 'flow') AS vehicles
FROM readings
WHERE metric IN ('speed', 'flow')
GROUP BY sensor_id, hop(event_time, INTERVAL '1 minute', INTERVAL '5 minutes');
