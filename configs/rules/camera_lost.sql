-- FOR lets a short reconnect pass. What a camera says of its clock or its recording does not end
-- it: only pictures that come again, or that the camera leaves the register.
CREATE ALERT RULE camera_lost
  SEVERITY medium
  FOR INTERVAL '5 seconds'
  TITLE vi 'Mất kết nối camera' en 'Camera lost'
  ACTION vi 'Kiểm tra mạng và nguồn của camera; dùng camera bên cạnh' en 'Check the camera''s network and power; use its neighbours'
AS SELECT camera_id
   FROM camera_events
   WHERE about IN ('connection', 'register') AND state IN ('lost', 'refused');
