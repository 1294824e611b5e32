//! Any document of a metadata track: read or refused, and small either way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vong_rtsp::onvif::{MAX_NOTIFICATIONS, parse_metadata};

fuzz_target!(|document: &[u8]| {
    let Ok(found) = parse_metadata(document) else { return };
    assert!(found.len() <= MAX_NOTIFICATIONS);
    for notification in found {
        assert!(!notification.topic.is_empty() && notification.topic.len() <= 256);
        for (name, value) in notification.source.iter().chain(&notification.data) {
            assert!(name.len() <= 256 && value.len() <= 256);
            assert!(!value.chars().any(char::is_control));
        }
    }
});
