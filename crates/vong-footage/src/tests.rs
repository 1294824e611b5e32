//! The directory as its users see it: recorded, cut off, reopened, cut into clips, swept.

mod clips;
mod crash;
mod fixture;
mod keeping;
