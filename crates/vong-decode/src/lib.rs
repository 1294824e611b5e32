//! Payload bytes and a topic in, Arrow rows and rejects out; pure.
