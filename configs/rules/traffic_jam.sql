-- Every reading slow and the loop covered, but moving: what stands still is a suspected accident.
CREATE ALERT RULE traffic_jam
  SEVERITY medium
  KEEP FIRING FOR INTERVAL '30 seconds'
  TITLE vi 'Ùn tắc giao thông' en 'Traffic jam'
  ACTION vi 'Điều chỉnh đèn tín hiệu; cử cảnh sát giao thông; đăng tin lên bảng điện tử'
         en 'Adjust the signals; send traffic police; post on the message signs'
AS SELECT sensor_id, avg(value) FILTER (WHERE metric = 'speed') AS speed_kmh,
          avg(value) FILTER (WHERE metric = 'occupancy') AS occupancy
   FROM readings
   WHERE metric IN ('speed', 'occupancy')
   GROUP BY sensor_id, tumble(event_time, INTERVAL '15 seconds')
   HAVING max(value) FILTER (WHERE metric = 'speed') < 20
      AND avg(value) FILTER (WHERE metric = 'speed') >= 6
      AND avg(value) FILTER (WHERE metric = 'occupancy') > 0.5;
