//! Writes `sample-data/` anew from its seed.

use std::path::Path;

fn main() -> Result<(), vong_sim::Error> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sample-data");
    vong_sim::files::write_sample_data(&directory)
}
