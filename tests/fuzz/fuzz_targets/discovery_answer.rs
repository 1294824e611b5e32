//! Any datagram in answer to a search for devices.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vong_rtsp::onvif::discovery::parse_answer;

fuzz_target!(|datagram: &[u8]| {
    for device in parse_answer(datagram, "urn:uuid:1") {
        for text in [&device.name, &device.hardware, &device.location, &device.endpoint] {
            assert!(text.len() <= 512 && !text.chars().any(char::is_control));
        }
        assert!(device.addresses.len() <= 64);
    }
});
