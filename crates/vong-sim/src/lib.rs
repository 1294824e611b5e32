//! The sample city: a seeded world of sensors, cameras, faults and their ground truth.

pub mod camera;
pub mod scene;
