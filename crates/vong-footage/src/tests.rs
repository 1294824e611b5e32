//! The directory as its users see it: recorded, cut off, reopened, cut into clips, swept.

mod clips;
mod crash;
pub(crate) mod fixture;
mod keeping;
