//! Access units to footage; clips filed for alerts.
