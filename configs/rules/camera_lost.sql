-- FOR lets a short reconnect pass.
CREATE ALERT RULE camera_lost
  SEVERITY medium
  FOR INTERVAL '5 seconds'
  TITLE vi 'Mất kết nối camera' en 'Camera lost'
  ACTION vi 'Kiểm tra mạng và nguồn của camera; dùng camera bên cạnh' en 'Check the camera''s network and power; use its neighbours'
AS SELECT camera_id
   FROM camera_events
   WHERE state IN ('lost', 'refused');
