//! Known workloads, and what runs them: the live engine, and stock batch SQL over the same rows.
//!
//! Both tests and benches use them, so that what is measured is what was checked.

mod chance;
mod feed;
pub mod linear_road;
pub mod nexmark;
mod rows;
mod run;

pub use feed::Feed;
pub use rows::Column;
pub use run::{Live, Prepared, batch, prepare, rule, shown, view};
