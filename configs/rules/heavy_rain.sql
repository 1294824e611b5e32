-- Intensity of a very heavy rain; half of it within an hour floods streets.
CREATE ALERT RULE heavy_rain
  SEVERITY high
  FOR INTERVAL '10 seconds' KEEP FIRING FOR INTERVAL '1 minute'
  TITLE vi 'Mưa rất to' en 'Very heavy rain'
  ACTION vi 'Theo dõi các điểm hay ngập; báo công ty thoát nước chạy bơm'
         en 'Watch the places that flood; tell the drainage company to run the pumps'
AS SELECT sensor_id, value AS mm_per_hour
   FROM readings
   WHERE metric = 'rain' AND value > 30;
