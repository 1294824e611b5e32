-- Unusual traffic without a limit set by hand: each loop is compared with its own last day.
-- Copy this file into rules/ where loops report every few minutes; a day of rows is kept in memory
-- for each loop and metric. Rules are estimated for the rows the installation is built for: with some
-- thousand loops that report every few minutes set rules.rows_per_s = 20 in vong.toml.

-- Far from what this loop showed over the last day.
CREATE ALERT RULE traffic_unusual
  SEVERITY medium
  KEEP FIRING FOR INTERVAL '1 hour'
  COOLDOWN INTERVAL '3 hours'
  TITLE vi 'Giao thông khác thường' en 'Unusual traffic'
  ACTION vi 'Xem camera gần nhất; đối chiếu với lịch thi công và sự kiện'
         en 'Look at the nearest camera; compare with road works and events'
AS SELECT sensor_id, metric, (value - mean) / spread AS deviations
   FROM (SELECT sensor_id, metric, value,
                avg(value) OVER (PARTITION BY sensor_id, metric ORDER BY event_time
                                 RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS mean,
                stddev(value) OVER (PARTITION BY sensor_id, metric ORDER BY event_time
                                    RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS spread,
                count(*) OVER (PARTITION BY sensor_id, metric ORDER BY event_time
                               RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS rows_seen
         FROM readings
         WHERE metric IN ('speed', 'occupancy', 'travel_time'))
   WHERE rows_seen >= 30 AND spread > 0 AND abs(value - mean) > 4 * spread;

-- The last half hour stands apart from the last day, though no single row does.
CREATE ALERT RULE traffic_shifted
  SEVERITY low
  KEEP FIRING FOR INTERVAL '1 hour'
  COOLDOWN INTERVAL '3 hours'
  TITLE vi 'Giao thông lệch khỏi mức thường ngày' en 'Traffic shifted from its usual level'
  ACTION vi 'Xem camera gần nhất; theo dõi tuyến này' en 'Look at the nearest camera; watch this road'
AS SELECT sensor_id, metric, (recent - mean) / spread AS deviations
   FROM (SELECT sensor_id, metric,
                avg(value) OVER (PARTITION BY sensor_id, metric ORDER BY event_time
                                 ROWS BETWEEN 5 PRECEDING AND CURRENT ROW) AS recent,
                avg(value) OVER (PARTITION BY sensor_id, metric ORDER BY event_time
                                 RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS mean,
                stddev(value) OVER (PARTITION BY sensor_id, metric ORDER BY event_time
                                    RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS spread,
                count(*) OVER (PARTITION BY sensor_id, metric ORDER BY event_time
                               RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS rows_seen
         FROM readings
         WHERE metric IN ('speed', 'occupancy', 'travel_time'))
   WHERE rows_seen >= 30 AND spread > 0 AND abs(recent - mean) > 2.5 * spread;
