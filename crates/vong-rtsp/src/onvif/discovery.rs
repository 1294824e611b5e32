//! WS-Discovery.
