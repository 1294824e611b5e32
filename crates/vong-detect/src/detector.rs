//! The network, loaded once, and what becomes of its outputs.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tract_onnx::prelude::{
    Framework as _, InferenceModelExt as _, IntoRunnable as _, TValue, Tensor, TractResult,
    TypedRunnableModel, tvec,
};

use crate::anchors::{Anchor, anchors};
use crate::boxes::{Detection, best};
use crate::picture::RgbPicture;
use crate::tiles::{Tiling, is_cut};
use crate::{BoundingBox, Class, Error};

/// Pixels a side of what the network sees.
const SIDE: u32 = 300;

/// SHA-256 of the file that `cargo xtask model` makes. Another file is another network, with other
/// outputs: it would be read, and find nonsense.
const MODEL_SHA256: &str = "a0b835d8110741ac698a2c8ed94f18fa5fbcb59d06e31ef0f971821639a5611f";

/// A box that takes more than this of what the network sees is no road user: on roads full of cars
/// it takes the whole road for one, and what is really so near shows nothing else.
const LARGEST: f32 = 0.4;

/// What a caller wants to know of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectOptions {
    /// Detections less sure than this are left out, 0..1.
    pub min_score: f32,
    /// Boxes that overlap by more than this show the same thing, 0..1.
    pub same_above: f32,
    pub tiling: Tiling,
}

impl Default for DetectOptions {
    fn default() -> Self {
        Self { min_score: 0.3, same_above: 0.5, tiling: Tiling::Whole }
    }
}

/// What the network says before any choice.
#[derive(Clone, Debug, PartialEq)]
pub struct RawOutputs {
    /// (y, x, height, width) of each reference box, stretched: 1,917 x 4.
    pub boxes: Vec<f32>,
    /// Of each reference box and class of [`Class::ALL`], before the logistic function: 1,917 x 6.
    pub logits: Vec<f32>,
    /// Reference boxes the model was trained with (top, left, bottom, right): 1,917 x 4.
    pub anchors: Vec<f32>,
}

/// Finds road users in pictures. One may be used by many threads.
#[derive(Clone)]
pub struct Detector {
    network: Arc<TypedRunnableModel>,
    anchors: Arc<[Anchor]>,
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector").field("anchors", &self.anchors.len()).finish_non_exhaustive()
    }
}

impl Detector {
    /// Reads and prepares the model; takes a second or so.
    ///
    /// # Errors
    /// The file cannot be read, or is not the one `cargo xtask model` makes.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes =
            std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
        let wrong = |why: String| Error::Model { path: path.into(), why };
        let found = hex(&Sha256::digest(&bytes));
        if found != MODEL_SHA256 {
            return Err(wrong(format!("its SHA-256 is {found}, expected {MODEL_SHA256}")));
        }
        let network = prepared(&bytes).map_err(|e| wrong(format!("{e:#}")))?;
        Ok(Self { network, anchors: anchors().into() })
    }

    /// Road users in the picture, the surest first.
    ///
    /// # Errors
    /// The network cannot be computed.
    pub fn detect(
        &self,
        picture: &RgbPicture<'_>,
        options: &DetectOptions,
    ) -> Result<Vec<Detection>, Error> {
        let mut found = Vec::new();
        for window in options.tiling.windows() {
            let outputs = self.raw(&picture.scaled(&window, SIDE))?;
            let inside = self.candidates(&outputs, options.min_score);
            found.extend(
                inside
                    .filter(|one| !is_cut(&one.place, &window))
                    .map(|one| Detection { place: one.place.within(&window), ..one }),
            );
        }
        Ok(best(found, options.same_above))
    }

    /// The network's own numbers for the whole picture: for comparison with other runtimes.
    ///
    /// # Errors
    /// The network cannot be computed.
    pub fn raw_outputs(&self, picture: &RgbPicture<'_>) -> Result<RawOutputs, Error> {
        self.raw(&Self::network_input(picture))
    }

    /// What the network is given for the whole picture: (3, 300, 300) values from -1 to 1.
    pub fn network_input(picture: &RgbPicture<'_>) -> Vec<f32> {
        picture.scaled(&BoundingBox { left: 0.0, top: 0.0, width: 1.0, height: 1.0 }, SIDE)
    }

    fn raw(&self, input: &[f32]) -> Result<RawOutputs, Error> {
        let compute = || -> TractResult<RawOutputs> {
            let side = SIDE as usize;
            let input = Tensor::from_shape(&[1, 3, side, side], input)?;
            let outputs = self.network.run(tvec![input.into()])?;
            let values = |place: usize| -> TractResult<Vec<f32>> {
                let output: Option<&TValue> = outputs.get(place);
                output.map_or_else(|| Ok(Vec::new()), |o| Ok(o.view().as_slice::<f32>()?.to_vec()))
            };
            Ok(RawOutputs { boxes: values(0)?, logits: values(1)?, anchors: values(2)? })
        };
        compute().map_err(|e| Error::Compute { why: format!("{e:#}") })
    }

    /// Every box and class that is sure enough, overlapping as they come.
    fn candidates(&self, outputs: &RawOutputs, min_score: f32) -> impl Iterator<Item = Detection> {
        let boxes = outputs.boxes.as_chunks::<4>().0.iter();
        let logits = outputs.logits.as_chunks::<{ Class::ALL.len() }>().0.iter();
        boxes.zip(logits).zip(self.anchors.iter()).flat_map(move |((numbers, logits), anchor)| {
            Class::ALL.into_iter().zip(logits).filter_map(move |(class, logit)| {
                let score = 1.0 / (1.0 + (-logit).exp());
                let place = (score >= min_score).then(|| anchor.decode(*numbers))?;
                (place.area() > 0.0 && place.area() < LARGEST).then_some(Detection {
                    class,
                    score,
                    place,
                })
            })
        })
    }
}

fn prepared(bytes: &[u8]) -> TractResult<Arc<TypedRunnableModel>> {
    let mut rest = bytes;
    tract_onnx::onnx().model_for_read(&mut rest)?.into_optimized()?.into_runnable()
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
