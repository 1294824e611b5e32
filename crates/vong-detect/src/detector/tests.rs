//! Errors without a model; with one, `tests/detector.rs` of the repository looks at real frames.

use vong_telemetry::{Classify as _, Kind};

use super::*;

#[test]
fn a_missing_model_is_named_and_says_how_to_get_it() {
    let error = Detector::open(Path::new("no/such.onnx")).expect_err("there is no such file");
    assert_eq!(error.kind(), Kind::NotFound);
    expect_test::expect![
        "could not read the detector's model no/such.onnx; `cargo xtask model` makes it"
    ]
    .assert_eq(&error.to_string());
}

#[test]
fn another_file_is_refused_before_it_is_read_as_a_network() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("model.onnx");
    for bytes in [&b""[..], b"\x08\x08\x12\x04vong", b"not a model at all"] {
        std::fs::write(&path, bytes).expect("a file");
        let error = Detector::open(&path).expect_err("this is no model");
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.to_string().contains("its SHA-256 is"), "{error}");
    }
}
