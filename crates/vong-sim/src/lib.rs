//! The sample city: a seeded world of sensors, cameras, faults and their ground truth.
//!
//! Nothing in it is real, and everything that leaves it says so.

pub mod broker;
pub mod camera;
pub mod city;
mod error;
pub mod files;
pub mod message;
mod noise;
pub mod publisher;
pub mod scenarios;
pub mod scene;
pub mod schedule;
pub mod world;

pub use city::{City, CityConfig};
pub use error::Error;
