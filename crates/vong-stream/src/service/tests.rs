//! The service over a log in memory.
