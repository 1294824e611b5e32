//! Watermarks by hand.
