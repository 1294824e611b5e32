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

/// The model as `cargo xtask model` puts it into the checkout.
fn model() -> Option<Detector> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let path = checkout.join("models").join(crate::MODEL_FILE);
    if !path.is_file() {
        println!("skipped: needs models/{}; `cargo xtask model` makes it", crate::MODEL_FILE);
        return None;
    }
    Some(Detector::open(&path).expect("the model that xtask made"))
}

#[test]
fn reference_boxes_are_those_the_model_was_trained_with() {
    let Some(detector) = model() else { return };
    let grey = vec![127; 300 * 300 * 3];
    let picture = RgbPicture::new(300, 300, &grey).expect("a picture");
    let outputs = detector.raw_outputs(&picture).expect("outputs");
    assert_eq!((outputs.boxes.len(), outputs.logits.len()), (1_917 * 4, 1_917 * 6));
    assert_eq!(outputs.anchors.len(), 1_917 * 4);
    for (own, trained) in detector.anchors.iter().zip(outputs.anchors.as_chunks::<4>().0) {
        let own = [
            own.centre_y - own.height / 2.0,
            own.centre_x - own.width / 2.0,
            own.centre_y + own.height / 2.0,
            own.centre_x + own.width / 2.0,
        ];
        assert!(own.iter().zip(trained).all(|(a, b)| (a - b).abs() < 1e-5), "{own:?} {trained:?}");
    }
}

#[test]
fn an_empty_picture_has_nobody_in_it() {
    let Some(detector) = model() else { return };
    let grey = vec![127; 640 * 480 * 3];
    let picture = RgbPicture::new(640, 480, &grey).expect("a picture");
    let options = DetectOptions { tiling: Tiling::TwoByTwo, ..DetectOptions::default() };
    assert_eq!(detector.detect(&picture, &options).expect("detections"), []);
}
