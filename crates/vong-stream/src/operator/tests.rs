//! The operator by hand.
