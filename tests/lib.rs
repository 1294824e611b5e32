//! One integration-test binary: cases are data, peers are real.
