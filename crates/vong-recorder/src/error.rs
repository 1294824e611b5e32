//! Why recording or filing stops.

use vong_telemetry::{Classify, Kind};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not read or write the log")]
    Log(#[from] vong_log::Error),
    #[error("log holds a record that is not of its stream")]
    Schema(#[from] vong_model::columns::WrongSchema),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Log(e) => e.kind(),
            Self::Schema(_) => Kind::Corrupt,
        }
    }
}
