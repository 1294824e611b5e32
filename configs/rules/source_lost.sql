-- A whole source (one topic of one broker) is gone, not one sensor.
CREATE ALERT RULE source_lost
  SEVERITY high
  FOR INTERVAL '10 seconds'
  TITLE vi 'Mất nguồn dữ liệu' en 'Data source lost'
  ACTION vi 'Kiểm tra máy chủ MQTT và đường truyền; cảnh báo của nguồn này tạm không tin cậy'
         en 'Check the MQTT broker and the line; alerts of this source are not reliable until then'
AS SELECT source_id
   FROM source_events
   WHERE sensor_id IS NULL AND state IN ('lost', 'idle', 'dead');
