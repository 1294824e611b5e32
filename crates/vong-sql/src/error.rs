//! What can be wrong with a statement, and where.

use std::fmt;

use datafusion::error::DataFusionError;
use vong_telemetry::{Classify, Kind};

/// A place in the text that was sent; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A statement that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("syntax error: {message}{}", at(*.place))]
    Syntax { message: String, place: Option<Place> },
    #[error("{what}{} is not allowed: SQL here only reads", at(*.place))]
    NotAllowed { what: String, place: Option<Place> },
    #[error("expected one statement, found {found}{}", at(*.place))]
    NotOneStatement { found: usize, place: Option<Place> },
    #[error("statement has {bytes} bytes, the limit is {limit}")]
    TooLong { bytes: usize, limit: usize },
    #[error("there is no {what} '{name}'{}", at(*.place))]
    Unknown { what: Thing, name: String, place: Option<Place>, did_you_mean: Option<String> },
    #[error("{message}{}", at(*.place))]
    Plan { message: String, place: Option<Place>, hint: Option<String> },
    #[error("set up the SQL session")]
    Session(#[source] Box<DataFusionError>),
}

/// What a name that is not known was meant to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    Table,
    Column,
    Function,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Column => "column",
            Self::Function => "function",
        })
    }
}

fn at(place: Option<Place>) -> String {
    place.map(|place| format!(" at {place}")).unwrap_or_default()
}

impl Error {
    /// Where in the text the fault is, when that is known.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Syntax { place, .. }
            | Self::NotAllowed { place, .. }
            | Self::NotOneStatement { place, .. }
            | Self::Unknown { place, .. }
            | Self::Plan { place, .. } => *place,
            Self::TooLong { .. } | Self::Session(_) => None,
        }
    }

    /// What to do about it, when that is known; a whole sentence.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { did_you_mean: Some(name), .. } => {
                Some(format!("Did you mean '{name}'?"))
            }
            Self::Unknown { what: Thing::Table, .. } => {
                Some("SHOW TABLES lists what there is.".to_owned())
            }
            Self::NotAllowed { .. } => {
                Some("Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.".to_owned())
            }
            Self::NotOneStatement { .. } => Some("Send one statement at a time.".to_owned()),
            Self::Plan { hint, .. } => hint.clone(),
            Self::Unknown { .. }
            | Self::Syntax { .. }
            | Self::TooLong { .. }
            | Self::Session(_) => None,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Session(_) => Kind::Internal,
            Self::Syntax { .. }
            | Self::NotAllowed { .. }
            | Self::NotOneStatement { .. }
            | Self::TooLong { .. }
            | Self::Unknown { .. }
            | Self::Plan { .. } => Kind::InvalidInput,
        }
    }
}
