//! The product's own `main`, built beside the tests so that they start exactly what they were built with.

use std::process::ExitCode;

fn main() -> ExitCode {
    vong::cli::main()
}
