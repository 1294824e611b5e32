//! Who may see the picture: basic and digest access of RFC 2617, as RTSP uses it.

use md5::{Digest as _, Md5};
use vong_sim::camera::rtsp::{Request, base64};

use super::script::Login;

pub(crate) const REALM: &str = "fake camera";

/// What a request's log-in is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    LetIn,
    /// Missing or wrong.
    Challenge,
}

/// Judges `request`; `nonce` is what this connection was challenged with.
pub(crate) fn judge(login: &Login, nonce: &str, request: &Request) -> Verdict {
    let given = request.header("Authorization").unwrap_or_default();
    let right = match login {
        Login::Open => true,
        Login::Basic { username, password } => {
            given == format!("Basic {}", base64(format!("{username}:{password}").as_bytes()))
        }
        Login::Digest { username, password, .. } => {
            parameter(given, "nonce") == Some(nonce)
                && parameter(given, "username") == Some(username)
                && parameter(given, "response")
                    == Some(&expected(username, password, nonce, request, given))
        }
    };
    if right { Verdict::LetIn } else { Verdict::Challenge }
}

/// The value of `WWW-Authenticate`.
pub(crate) fn challenge(login: &Login, nonce: &str, stale: bool) -> String {
    match login {
        Login::Digest { .. } => {
            let stale = if stale { ", stale=\"TRUE\"" } else { "" };
            format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\"{stale}")
        }
        Login::Open | Login::Basic { .. } => format!("Basic realm=\"{REALM}\""),
    }
}

fn expected(username: &str, password: &str, nonce: &str, request: &Request, given: &str) -> String {
    let uri = parameter(given, "uri").unwrap_or_default();
    let secret = hash(&format!("{username}:{REALM}:{password}"));
    let asked = hash(&format!("{}:{uri}", request.method));
    hash(&format!("{secret}:{nonce}:{asked}"))
}

fn hash(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let fields = header.strip_prefix("Digest ")?.split(',');
    let value = fields.filter_map(|field| field.trim().split_once('=')).find(|(n, _)| *n == name);
    value.map(|(_, value)| value.trim_matches('"'))
}
