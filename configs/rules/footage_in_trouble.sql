-- Footage is what nobody can get again: a disk without room for it is told at once.
CREATE ALERT RULE footage_in_trouble
  SEVERITY high
  TITLE vi 'Ổ đĩa ghi hình đã đầy, không ghi được video' en 'The disk for footage is full, video is not recorded'
  ACTION vi 'Giải phóng hoặc thêm dung lượng; xem SELECT * FROM vong.footage'
         en 'Free or add space; see SELECT * FROM vong.footage'
AS SELECT source_id
   FROM source_events
   WHERE source_id = 'vong_footage' AND state = 'disk_full';
