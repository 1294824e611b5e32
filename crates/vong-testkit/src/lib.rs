//! Fixtures for integration tests: real brokers, RTSP peers, browsers, servers.
