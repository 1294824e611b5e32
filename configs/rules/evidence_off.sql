-- What is sealed late proves less: until then nobody outside can know that it was not changed. It
-- ends when Vọng starts with a sound key and sound checkpoints.
CREATE ALERT RULE evidence_off
  SEVERITY high
  TITLE vi 'Phần chứng cứ đã tắt, video không được niêm phong' en 'Evidence is switched off, footage is not sealed'
  ACTION vi 'Xem lý do trong source_events; khôi phục khóa và các mốc niêm phong từ bản sao lưu, rồi khởi động lại Vọng'
         en 'See why in source_events; restore the key and the checkpoints from a copy, then start Vọng again'
AS SELECT source_id
   FROM source_events
   WHERE source_id = 'vong_evidence' AND state = 'switched_off';
