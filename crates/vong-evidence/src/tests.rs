//! Real footage directories with a clock moved by hand, packages made of them, and everything that
//! can be done to a package.

mod desk;
mod fixture;
mod sealing;
mod tampering;
