//! HTTP and WebSocket edge: SQL, live protocol, clips, console.
