//! The detector: time of one inference on one thread, against ONNX Runtime on the same model.
//!
//! ONNX Runtime takes part when `ONNXRUNTIME_PYTHON` names a Python that has the packages
//! `onnxruntime` and `numpy`; then the outputs of both are compared too. Skipped, with the reason,
//! where there is no model.
#![expect(clippy::print_stdout, reason = "says why it was skipped, and how far the outputs differ")]

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tokio::time::Instant;
use vong_detect::{DetectOptions, Detector, MODEL_FILE, RgbPicture, Tiling};

use crate::log::directory;
use crate::report::{Row, Scale, Target, median};

/// A picture as the detector should get it: of a sub-stream.
const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;
/// What the network sees.
const SIDE: u32 = 300;
/// Outputs of the two differ by no more than this, where values reach about ten.
const SAME: f64 = 1e-3;

/// What was promised of one core.
const CAMERAS_WHOLE: f64 = 10.0;
const CAMERAS_TILED: f64 = 2.0;

/// Runs the model on `input.f32` as often as asked, prints the milliseconds of the middle run and
/// writes its outputs.
const PEER: &str = "
import sys, time, numpy, onnxruntime
model, folder, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options)
picture = numpy.fromfile(folder + '/input.f32', numpy.float32).reshape(1, 3, 300, 300)
times = []
for _ in range(rounds):
    begun = time.perf_counter()
    boxes, logits = session.run(['boxes', 'logits'], {'image': picture})
    times.append(time.perf_counter() - begun)
boxes.tofile(folder + '/boxes.f32')
logits.tofile(folder + '/logits.f32')
print(sorted(times)[rounds // 2] * 1e3)
";

pub(crate) fn run(scale: &Scale) -> Result<Vec<Row>> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a checkout")?;
    let model = checkout.join("models").join(MODEL_FILE);
    if !model.is_file() {
        println!("skipped: needs models/{MODEL_FILE}; `cargo xtask model` makes it");
        return Ok(Vec::new());
    }
    let detector = Detector::open(&model)?;
    let (pixels, few) = (street(WIDTH, HEIGHT), street(SIDE, SIDE));
    let picture = RgbPicture::new(WIDTH, HEIGHT, &pixels)?;
    // As large as the network's input, so that scaling is none of its time.
    let small = RgbPicture::new(SIDE, SIDE, &few)?;
    let rounds = scale.of(60);
    let bare = timed(rounds, || Ok(detector.raw_outputs(&small).map(|_| ())?))?;
    let detect = |tiling| {
        let options = DetectOptions { tiling, ..DetectOptions::default() };
        timed(rounds.div_ceil(4), || Ok(detector.detect(&picture, &options).map(|_| ())?))
    };
    let (whole, tiled) = (detect(Tiling::Whole)?, detect(Tiling::TwoByTwo)?);
    let peer = match std::env::var_os("ONNXRUNTIME_PYTHON") {
        Some(python) => peer(Path::new(&python), &model, &detector, &small, rounds)?,
        None => {
            println!("no peer: ONNXRUNTIME_PYTHON names no Python with onnxruntime");
            bare
        }
    };
    Ok(vec![
        Row::time(
            "detect: one inference, one thread / ONNX Runtime",
            "ms",
            (bare, peer),
            Target::Below(100.0),
        ),
        Row::rate(
            "detect: cameras a core, one look each second, whole picture",
            "cameras",
            (1e3 / whole, CAMERAS_WHOLE),
            Target::AtLeast(CAMERAS_WHOLE),
        ),
        Row::rate(
            "detect: cameras a core, one look each second, 2x2 windows",
            "cameras",
            (1e3 / tiled, CAMERAS_TILED),
            Target::AtLeast(CAMERAS_TILED),
        ),
    ])
}

/// Milliseconds of the middle one.
fn timed(rounds: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..rounds.max(3) {
        let begun = Instant::now();
        work()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(times))
}

/// What the network is given makes no difference to its time; edges and colours keep the comparison
/// of the outputs from being one of zeros.
fn street(width: u32, height: u32) -> Vec<u8> {
    let mut pixels = Vec::new();
    for row in 0..height {
        for column in 0..width {
            let car = (column / 47) % 3 == 0 && (row / 31) % 4 == 1;
            let road = ((row * 200) / height) as u8;
            let colour = [(column * 255 / width) as u8, 40, 200];
            pixels.extend(if car { colour } else { [road; 3] });
        }
    }
    pixels
}

fn peer(
    python: &Path,
    model: &Path,
    detector: &Detector,
    picture: &RgbPicture<'_>,
    rounds: usize,
) -> Result<f64> {
    let folder = directory()?;
    let input: Vec<u8> =
        Detector::network_input(picture).iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(folder.path().join("input.f32"), input)?;
    let mut command = Command::new(python);
    command.args(["-c", PEER]).arg(model).arg(folder.path()).arg(rounds.max(3).to_string());
    let output = command.output().context("could not start the Python with ONNX Runtime")?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    let own = detector.raw_outputs(picture)?;
    for (name, own) in [("boxes", &own.boxes), ("logits", &own.logits)] {
        let bytes = std::fs::read(folder.path().join(format!("{name}.f32")))?;
        let peer: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|raw| f32::from_le_bytes(*raw)).collect();
        ensure!(peer.len() == own.len(), "{name}: {} values, the peer {}", own.len(), peer.len());
        let apart = own.iter().zip(&peer).map(|(a, b)| f64::from((a - b).abs()));
        let apart = apart.fold(0.0, f64::max);
        println!("{name}: {} values, at most {apart:.1e} apart", own.len());
        ensure!(apart < SAME, "{name} differ by {apart} from ONNX Runtime's");
    }
    said.parse().with_context(|| format!("the peer said '{said}', not a time"))
}
