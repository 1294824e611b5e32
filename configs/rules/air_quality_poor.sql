-- PM2.5 far above the daily limit of 50 µg/m³ (QCVN 05:2023/BTNMT), averaged so that one lorry does not count.
CREATE ALERT RULE air_quality_poor
  SEVERITY medium
  KEEP FIRING FOR INTERVAL '1 minute'
  TITLE vi 'Bụi mịn PM2.5 cao' en 'Fine dust PM2.5 high'
  ACTION vi 'Đăng khuyến cáo sức khỏe; cho phun rửa đường; tìm nguồn đốt gần trạm'
         en 'Publish a health notice; have streets washed; look for a fire near the station'
AS SELECT sensor_id, avg(value) AS pm25
   FROM readings
   WHERE metric = 'pm25'
   GROUP BY sensor_id, tumble(event_time, INTERVAL '20 seconds')
   HAVING avg(value) > 75;
