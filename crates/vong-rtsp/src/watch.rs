//! What is wrong with a stream that plays: packets lost, a camera clock that is off, times that
//! jump. Pure: fed with what arrives, gives back changes of state, never the same one twice.

mod clock;
mod loss;
mod order;

pub(crate) use clock::{ClockChange, ClockWatch};
pub(crate) use loss::{LossChange, LossWatch};
pub(crate) use order::{Order, OrderWatch};
