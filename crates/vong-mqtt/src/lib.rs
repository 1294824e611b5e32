//! MQTT intake: subscribe, decode, append, acknowledge.
