-- The log is where everything begins: while its disk is full no sensor row gets in.
CREATE ALERT RULE log_in_trouble
  SEVERITY critical
  TITLE vi 'Nhật ký hoặc ổ đĩa của Vọng gặp sự cố' en 'Vọng''s log or its disk is in trouble'
  ACTION vi 'Dọn hoặc thay ổ đĩa ngay; xem chi tiết bằng vong fsck'
         en 'Clear or replace the disk now; vong fsck says what is wrong'
AS SELECT source_id
   FROM source_events
   WHERE source_id IN ('vong_disk', 'vong_log')
     AND state IN ('disk_full', 'sync_failed', 'disk_slow', 'log_damaged');
