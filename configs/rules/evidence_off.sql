-- What is sealed late proves less: until then nobody outside can know that it was not changed. It
-- ends when Vọng starts and finds key, checkpoints and packages in order.
CREATE ALERT RULE evidence_off
  SEVERITY high
  TITLE vi 'Phần chứng cứ bị tắt, video không được niêm phong' en 'Evidence is switched off, footage is not sealed'
  ACTION vi 'Sửa đúng chỗ mà detail trong source_events nêu, rồi khởi động lại Vọng; không chép mốc niêm phong cũ đè lên mốc mới hơn'
         en 'Mend what detail in source_events names, then start Vọng again; never put older checkpoints over newer ones'
AS SELECT source_id
   FROM source_events
   WHERE source_id = 'vong_evidence' AND state = 'switched_off';
