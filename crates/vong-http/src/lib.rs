//! The HTTP and WebSocket edge: SQL, the live protocol, clips, the console.
//!
//! Translates between the wire and the engines and decides nothing itself. Every handler takes a
//! `Principal` and passes it to `authorize` before anything else happens.

mod app;
mod backtest;
mod city;
mod clip_facts;
mod clips;
mod commands;
mod console;
mod error;
mod evidence;
mod frames;
mod guard;
mod holds;
mod lineage;
mod live;
mod live_video;
mod metrics;
mod openapi;
mod probe;
mod review;
mod rules;
mod server;
mod sql;
mod system;

pub use app::{App, CityInfo, Readiness};
pub use error::Problem;
pub use metrics::HttpMetrics;
pub use openapi::document as openapi_document;
pub use probe::ProbeCamera;
pub use server::{Error, HttpServer};
