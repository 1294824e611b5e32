-- At night (22:00 to 06:00 in Vietnam, UTC+7 all year) less is allowed.
CREATE ALERT RULE noise_night
  SEVERITY low
  FOR INTERVAL '1 minute'
  TITLE vi 'Ồn ào ban đêm' en 'Noise at night'
  ACTION vi 'Nhắc công an phường kiểm tra karaoke, công trường' en 'Ask the ward police to check karaoke bars and building sites'
AS SELECT sensor_id, value AS decibels
   FROM readings
   WHERE metric = 'noise' AND value > 70
     AND (date_part('hour', event_time + INTERVAL '7 hours') >= 22
          OR date_part('hour', event_time + INTERVAL '7 hours') < 6);
