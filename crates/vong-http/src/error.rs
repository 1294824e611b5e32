//! Every failure leaves as the same JSON body, with the status of its class.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tracing::error;
use vong_model::AccessDenied;
use vong_telemetry::{Classify, Kind};
use vong_wire::http::Problem as Body;

/// An answer that is not a success.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: Kind,
    body: Body,
}

impl Problem {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let (hint, line, column) = (None, None, None);
        Self {
            kind,
            body: Body {
                kind: kind.as_str().to_owned(),
                message: message.into(),
                hint,
                line,
                column,
            },
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidInput, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.body.hint = Some(hint.into());
        self
    }

    /// 1-based place in the text that was sent.
    #[must_use]
    pub fn at(mut self, line: u32, column: u32) -> Self {
        (self.body.line, self.body.column) = (Some(line), Some(column));
        self
    }

    /// Any error of ours, by its own class; causes are joined into the message.
    pub fn from_error(error: &dyn Classify) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message.push_str(": ");
            message.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self::new(error.kind(), message)
    }
}

impl From<AccessDenied> for Problem {
    fn from(denied: AccessDenied) -> Self {
        Self::new(Kind::Unauthorized, denied.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if matches!(self.kind, Kind::Internal | Kind::Corrupt) {
            error!(message = self.body.message, "request failed through a fault of ours");
        }
        let status = StatusCode::from_u16(self.kind.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.body)).into_response()
    }
}
