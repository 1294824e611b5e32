-- Rows of such a device are kept and marked, but take no part in the other rules.
CREATE ALERT RULE clock_ahead
  SEVERITY low
  TITLE vi 'Đồng hồ thiết bị chạy nhanh' en 'Device clock runs ahead'
  ACTION vi 'Đồng bộ lại đồng hồ thiết bị (NTP); số liệu của nó tạm không dùng để cảnh báo'
         en 'Set the device''s clock (NTP); until then its data raises no alerts'
AS SELECT sensor_id
   FROM source_events
   WHERE sensor_id IS NOT NULL AND state = 'clock_ahead';
