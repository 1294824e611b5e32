//! Parses `CREATE ALERT RULE`.
