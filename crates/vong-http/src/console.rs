//! The console's files, built into the binary: no request of a screen leaves this origin.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::error::Problem;

#[derive(RustEmbed)]
#[folder = "../../dashboards/console/dist"]
#[allow_missing = true]
struct Files;

/// Scripts and styles from here only; pictures and video also from memory of the page itself.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A file of the console, or its entry page for the addresses the page itself routes.
pub(crate) async fn file(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return Problem::not_found(format!("there is no '/{path}'")).into_response();
    }
    let found = Files::get(path).map(|file| (path, file));
    // A path without a dot is a page of the application, not a file that is missing.
    let found = found.or_else(|| {
        (!path.contains('.')).then(|| Some(("index.html", Files::get("index.html")?)))?
    });
    let Some((name, file)) = found else {
        let told =
            "the console is not part of this build; run `make console`, then build vong again\n";
        return (StatusCode::NOT_FOUND, told).into_response();
    };
    let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()));
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    // Built assets carry a hash in their name and never change; the entry page does.
    let cache = if name.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = [
        (header::CONTENT_TYPE, file.metadata.mimetype().to_owned()),
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, etag),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (headers, file.data.into_owned()).into_response()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
