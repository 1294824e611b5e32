-- People go in and out; a door that stays open was forgotten or forced.
CREATE ALERT RULE pump_door_open
  SEVERITY medium
  FOR INTERVAL '15 seconds'
  TITLE vi 'Cửa trạm bơm mở lâu' en 'Pump station door left open'
  ACTION vi 'Xem camera; gọi đơn vị vận hành; nếu không liên lạc được, báo công an phường'
         en 'Look at the camera; call the operator; if nobody answers, tell the ward police'
AS SELECT sensor_id, value AS open
   FROM readings
   WHERE metric = 'door_open' AND value > 0.5;
