-- Nearly nothing moves and the loop stays covered: vehicles stand on it.
CREATE ALERT RULE accident_suspected
  SEVERITY critical
  KEEP FIRING FOR INTERVAL '20 seconds'
  TITLE vi 'Nghi có tai nạn giao thông' en 'Accident suspected'
  ACTION vi 'Xem clip của camera gần nhất; nếu đúng gọi 113 và 115, cử tổ xử lý'
         en 'Watch the clip of the nearest camera; if confirmed call 113 and 115 and send the response team'
AS SELECT sensor_id, avg(value) FILTER (WHERE metric = 'speed') AS speed_kmh,
          avg(value) FILTER (WHERE metric = 'occupancy') AS occupancy
   FROM readings
   WHERE metric IN ('speed', 'occupancy')
   GROUP BY sensor_id, tumble(event_time, INTERVAL '10 seconds')
   HAVING avg(value) FILTER (WHERE metric = 'speed') < 6
      AND avg(value) FILTER (WHERE metric = 'occupancy') > 0.6;
