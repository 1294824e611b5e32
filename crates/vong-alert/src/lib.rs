//! The alert state machine; pure.
