-- A vehicle that drove and then stands on a lane. Not among the shipped rules: on drawn streets about
-- four of ten were right, most others a trace that one which stood for long left behind. Copy this file into rules/ for cameras on
-- roads where nobody stops, with stopped_s of their scenes a minute or more; then send SIGHUP.
CREATE ALERT RULE stopped_vehicle
  SEVERITY low
  FOR INTERVAL '2 minutes'
  TITLE vi 'Có thể có xe dừng bất thường (cần người xem)' en 'Possible stopped vehicle (needs a look)'
  ACTION vi 'Máy hay báo nhầm: xem camera và xác nhận trước; nếu là tai nạn hoặc xe hỏng, cử tổ xử lý và cảnh báo trên bảng điện tử'
         en 'Often wrong: look at the camera and confirm first; if it is an accident or a breakdown, send a crew and warn on the road signs'
AS SELECT camera_id, value AS stopped_s
   FROM video_events
   WHERE kind = 'stopped_vehicle' AND state IN ('began', 'going_on');
