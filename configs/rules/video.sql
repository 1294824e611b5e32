-- What the pictures of cameras show: of the street, and of the camera itself. A row that says
-- `ended` ends the alert; what lasts is repeated once a minute.
CREATE ALERT RULE wrong_way
  SEVERITY critical
  KEEP FIRING FOR INTERVAL '20 seconds'
  TITLE vi 'Xe đi ngược chiều' en 'Wrong-way driver'
  ACTION vi 'Xem clip; báo cảnh sát giao thông và cảnh báo xe ngược chiều ngay'
         en 'Watch the clip; tell the traffic police and warn oncoming traffic at once'
AS SELECT camera_id, value AS metres
   FROM video_events
   WHERE kind = 'wrong_way' AND state IN ('began', 'going_on');

-- On drawn streets about three in four of these were right, and a queue is measured too short: one that
-- lasts is worth a look, no more. The alert waits so that a red light does not raise it.
CREATE ALERT RULE traffic_queue
  SEVERITY low
  FOR INTERVAL '3 minutes'
  KEEP FIRING FOR INTERVAL '1 minute'
  TITLE vi 'Có thể có hàng xe chờ dài (cần người xem)' en 'Possible long queue (needs a look)'
  ACTION vi 'Máy hay báo nhầm: xem camera và xác nhận trước khi chỉnh đèn hoặc phân luồng'
         en 'Often wrong: look at the camera and confirm before adjusting signals or diverting traffic'
AS SELECT camera_id, value AS queue_m
   FROM video_events
   WHERE kind = 'queue' AND state IN ('began', 'going_on');

CREATE ALERT RULE crowd
  SEVERITY medium
  KEEP FIRING FOR INTERVAL '30 seconds'
  TITLE vi 'Tụ tập đông' en 'Crowd'
  ACTION vi 'Xem camera; báo công an phường nếu cần giữ trật tự'
         en 'Look at the camera; tell the ward police if order must be kept'
AS SELECT camera_id, value AS share
   FROM video_events
   WHERE kind = 'crowd' AND state IN ('began', 'going_on');

CREATE ALERT RULE camera_covered
  SEVERITY high
  TITLE vi 'Camera bị che' en 'Camera covered'
  ACTION vi 'Xem đoạn ghi ngay trước đó: có thể là phá hoại; cử người kiểm tra'
         en 'Watch the footage just before: it may be tampering; send someone to check'
AS SELECT camera_id
   FROM video_events
   WHERE kind = 'covered' AND state IN ('began', 'going_on');

CREATE ALERT RULE camera_black
  SEVERITY high
  TITLE vi 'Hình camera tối đen' en 'Camera black'
  ACTION vi 'Kiểm tra ống kính, đèn và nguồn của camera; dùng camera bên cạnh'
         en 'Check the camera''s lens, light and power; use its neighbours'
AS SELECT camera_id
   FROM video_events
   WHERE kind = 'black' AND state IN ('began', 'going_on');

CREATE ALERT RULE camera_white
  SEVERITY medium
  TITLE vi 'Hình camera trắng xóa' en 'Camera white'
  ACTION vi 'Kiểm tra ống kính: nắng hoặc đèn chiếu thẳng, hoặc cảm biến hỏng'
         en 'Check the lens: sun or a lamp shines into it, or its sensor is broken'
AS SELECT camera_id
   FROM video_events
   WHERE kind = 'white' AND state IN ('began', 'going_on');

CREATE ALERT RULE camera_moved
  SEVERITY medium
  TITLE vi 'Camera bị xoay lệch' en 'Camera moved'
  ACTION vi 'Xem đoạn ghi ngay trước đó; chỉnh lại hướng hoặc vẽ lại vạch đếm'
         en 'Watch the footage just before; turn it back, or draw its lines anew'
AS SELECT camera_id
   FROM video_events
   WHERE kind = 'moved' AND state IN ('began', 'going_on');

CREATE ALERT RULE camera_frozen
  SEVERITY medium
  TITLE vi 'Hình camera bị đứng' en 'Camera frozen'
  ACTION vi 'Khởi động lại camera; hình đang hiện không phải hiện tại'
         en 'Restart the camera; what it shows is not what is there now'
AS SELECT camera_id, value AS still_s
   FROM video_events
   WHERE kind = 'frozen' AND state IN ('began', 'going_on');

CREATE ALERT RULE camera_blurred
  SEVERITY low
  TITLE vi 'Camera mất nét' en 'Camera out of focus'
  ACTION vi 'Lau kính hoặc chỉnh lại tiêu cự; tạo phiếu bảo trì'
         en 'Clean the glass or focus anew; open a maintenance ticket'
AS SELECT camera_id
   FROM video_events
   WHERE kind = 'defocused' AND state IN ('began', 'going_on');

CREATE ALERT RULE camera_clock
  SEVERITY low
  TITLE vi 'Đồng hồ camera sai' en 'Camera clock wrong'
  ACTION vi 'Chỉnh giờ camera (NTP): giờ in trên hình không dùng làm chứng cứ được'
         en 'Set the camera''s clock (NTP): the time in its picture is no evidence'
AS SELECT camera_id, value AS ahead_s
   FROM video_events
   WHERE kind = 'clock_wrong' AND state IN ('began', 'going_on');
