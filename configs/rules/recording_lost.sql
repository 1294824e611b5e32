-- The camera may be connected and its picture on the wall: what is not recorded cannot be asked
-- for tomorrow. It ends when footage is written again. A full disk concerns every camera at once:
-- ten say so, the others are counted and shown as suppressed.
CREATE ALERT RULE recording_lost
  SEVERITY high
  LIMIT 10 PER INTERVAL '10 minutes'
  TITLE vi 'Camera không được ghi hình' en 'Camera is not recorded'
  ACTION vi 'Xem lý do trong camera_events: ổ đĩa chậm hoặc đầy, hay camera không gửi khung chính; ghi lại khoảng thời gian bị mất'
         en 'See why in camera_events: a slow or full disk, or a camera that sends no key frames; note the time that is missing'
AS SELECT camera_id
   FROM camera_events
   WHERE about IN ('recording', 'register') AND state = 'recording_lost';
