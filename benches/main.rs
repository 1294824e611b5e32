//! The promised ratios, each against a baseline run in the same process.

fn main() {}
