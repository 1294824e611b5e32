-- Số đo theo từng phút của mỗi cảm biến: nền cho biểu đồ và báo cáo.
-- Readings of each sensor by the minute: what charts and reports are made from.
CREATE CONTINUOUS VIEW readings_1m AS
SELECT sensor_id, metric, unit, unit_code,
       tumble(event_time, INTERVAL '1 minute') AS window_start,
       count(*) AS readings,
       avg(value) AS avg_value,
       min(value) AS min_value,
       max(value) AS max_value
FROM readings
GROUP BY sensor_id, metric, unit, unit_code, tumble(event_time, INTERVAL '1 minute');
