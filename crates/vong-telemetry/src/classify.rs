//! The class of an error, from which every door derives its own code.
//!
//! HTTP status, SQLSTATE and log level are looked up from [`Kind`] in one table each, so that the
//! same failure reads the same everywhere.

/// What went wrong, seen by the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request itself can never succeed as it stands.
    InvalidInput,
    /// The thing asked for does not exist.
    NotFound,
    /// The principal may not do this.
    Unauthorized,
    /// A stated limit was reached (rows, bytes, memory, time, disk).
    Exhausted,
    /// A peer or device does not answer now.
    Unavailable,
    /// Bytes on disk or wire contradict their own checks.
    Corrupt,
    /// A bug of ours.
    Internal,
    /// The caller went away or asked to stop.
    Cancelled,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    Never,
    Later,
}

/// Implemented by the `Error` of every crate.
pub trait Classify: std::error::Error {
    fn kind(&self) -> Kind;

    fn retry(&self) -> Retry {
        match self.kind() {
            Kind::Unavailable | Kind::Exhausted => Retry::Later,
            Kind::InvalidInput
            | Kind::NotFound
            | Kind::Unauthorized
            | Kind::Corrupt
            | Kind::Internal
            | Kind::Cancelled => Retry::Never,
        }
    }
}

impl Kind {
    /// The HTTP status this class is answered with.
    pub fn http_status(self) -> u16 {
        match self {
            Kind::InvalidInput => 400,
            Kind::NotFound => 404,
            Kind::Unauthorized => 403,
            Kind::Exhausted => 429,
            Kind::Unavailable => 503,
            Kind::Cancelled => 499,
            Kind::Corrupt | Kind::Internal => 500,
        }
    }

    /// A stable word for JSON bodies and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::InvalidInput => "invalid_input",
            Kind::NotFound => "not_found",
            Kind::Unauthorized => "unauthorized",
            Kind::Exhausted => "exhausted",
            Kind::Unavailable => "unavailable",
            Kind::Corrupt => "corrupt",
            Kind::Internal => "internal",
            Kind::Cancelled => "cancelled",
        }
    }
}
