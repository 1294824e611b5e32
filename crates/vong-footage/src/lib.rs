//! The segment directory: index, retention, clip assembly, fsck.
