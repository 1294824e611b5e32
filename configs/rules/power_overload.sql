-- Above what the meters of this size are rated for.
CREATE ALERT RULE power_overload
  SEVERITY high
  FOR INTERVAL '5 seconds' KEEP FIRING FOR INTERVAL '20 seconds'
  TITLE vi 'Quá tải điện' en 'Power overload'
  ACTION vi 'Gọi điện lực khu vực; giảm tải trạm bơm, chiếu sáng nếu được' en 'Call the power company; shed pumps or lighting if possible'
AS SELECT sensor_id, value AS kw
   FROM readings
   WHERE metric = 'power' AND value > 180;
