//! Road users in a picture: people, bicycles, cars, motorcycles, buses, trucks.
//!
//! Runs COCO SSDLite-MobileNetV2 through `tract`, in plain Rust on the processor. Pure: a picture in,
//! detections out; no clock, no sockets, no video decoder, and of the disk only the model's file,
//! which `cargo xtask model` makes. How much it finds and misses on real frames stands in
//! `docs/detector.md`.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice))]

mod anchors;
mod boxes;
mod detector;
mod error;
mod picture;
mod tiles;

pub use boxes::{BoundingBox, Class, Detection};
pub use detector::{DetectOptions, Detector, RawOutputs};
pub use error::Error;
pub use picture::RgbPicture;
pub use tiles::Tiling;

/// Name of the model's file, as `cargo xtask model` writes it.
pub const MODEL_FILE: &str = "coco_ssdlite.onnx";
