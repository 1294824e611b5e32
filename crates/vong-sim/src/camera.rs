//! The city's cameras: drawn from the world, encoded once each, served over RTSP to many viewers.
