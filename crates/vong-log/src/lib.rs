//! The durable append log: group commit, CRC, cursors, trim.
