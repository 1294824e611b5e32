//! Who is asking, and from which page.
//!
//! Without accounts everyone who reaches the loopback listener is the local principal. A page of
//! another site that runs in the same browser must not be: requests are refused when they carry a
//! foreign `Origin`, and when `Host` names anything but this machine (DNS rebinding).

use std::net::IpAddr;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use vong_model::Principal;
use vong_telemetry::Kind;

use crate::error::Problem;

/// The principal of a request; handlers take it as an argument.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Principal);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Ok(Self(Principal::local()))
    }
}

/// Middleware of every route.
pub(crate) async fn refuse_strangers(request: Request, next: Next) -> Response {
    match check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(reason) => Problem::new(Kind::Unauthorized, reason).into_response(),
    }
}

fn check(headers: &HeaderMap) -> Result<(), String> {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let Some(host) = host else { return Ok(()) }; // HTTP/1.0 tools; a browser always sends it
    if !names_this_machine(host) {
        return Err(format!("host '{host}' is not this machine; use 127.0.0.1 or localhost"));
    }
    match headers.get(header::ORIGIN).map(|value| value.to_str()) {
        None => Ok(()),
        Some(Ok(origin)) if authority_of(origin).as_deref() == Some(host) => Ok(()),
        Some(_) => Err("request comes from a page of another origin".to_owned()),
    }
}

fn names_this_machine(host: &str) -> bool {
    let Some(name) =
        format!("http://{host}").parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned))
    else {
        return false;
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn authority_of(origin: &str) -> Option<String> {
    origin.parse::<Uri>().ok()?.authority().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn is_let_in(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        check(&headers).is_ok()
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        assert!(is_let_in("127.0.0.1:8080", None));
        assert!(is_let_in("localhost:8080", Some("http://localhost:8080")));
        assert!(is_let_in("[::1]:8080", Some("http://[::1]:8080")));
        assert!(!is_let_in("127.0.0.1:8080", Some("http://evil.example")));
        assert!(!is_let_in("evil.example:8080", Some("http://evil.example:8080")));
        assert!(!is_let_in("127.0.0.1:8080", Some("null")));
    }
}
