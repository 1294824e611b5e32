//! RTSP intake: retina sessions, reconnect, camera facts.
