//! Requests arrive in pieces, too large, or as nonsense.

use super::*;

fn check(bytes: &[u8]) -> Result<Option<Incoming>, Malformed> {
    take(&mut BytesMut::from(bytes))
}

#[test]
fn request_is_taken_once_it_is_whole() {
    let whole = b"SETUP rtsp://h:8554/CAM-01/main/track1?x=1 RTSP/1.0\r\nCSeq: 3\r\n\
        Content-Length: 2\r\n\r\nhiOPTIONS";
    for cut in 0..whole.len() - 7 {
        assert_eq!(check(&whole[..cut]), Ok(None), "cut at {cut}");
    }
    let mut buffer = BytesMut::from(&whole[..]);
    let Ok(Some(Incoming::Request(request))) = take(&mut buffer) else { panic!("no request") };
    assert_eq!(request.method, "SETUP");
    assert_eq!(request.path(), "/CAM-01/main/track1");
    assert_eq!(request.header("cseq"), Some("3"));
    assert_eq!(&buffer[..], b"OPTIONS");
}

#[test]
fn receiver_reports_between_requests_are_skipped() {
    let mut buffer = BytesMut::from(&b"$\x01\x00\x03abcOPTIONS * RTSP/1.0\r\n\r\n"[..]);
    assert_eq!(take(&mut buffer), Ok(Some(Incoming::Interleaved)));
    assert!(matches!(take(&mut buffer), Ok(Some(Incoming::Request(_)))));
    assert_eq!(check(b"$\x01\x00"), Ok(None));
}

#[test]
fn nonsense_and_excess_end_the_connection() {
    assert_eq!(check(b"GET / HTTP/1.1\r\n\r\n"), Err(Malformed::NotRtsp));
    assert_eq!(check(b"\xff\xfe\r\n\r\n"), Err(Malformed::NotRtsp));
    assert_eq!(check(&[b'a'; MAX_HEAD_BYTES + 1]), Err(Malformed::TooLarge));
    let many = "A: b\r\n".repeat(MAX_HEADERS + 1);
    let request = format!("OPTIONS * RTSP/1.0\r\n{many}\r\n");
    assert_eq!(check(request.as_bytes()), Err(Malformed::TooLarge));
    for length in ["9999999", "-1", "x"] {
        let request = format!("OPTIONS * RTSP/1.0\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(check(request.as_bytes()), Err(Malformed::TooLarge), "{length}");
    }
}

#[test]
fn first_transport_we_serve_is_taken() {
    let tcp = Some(Wanted::Interleaved(2, 3));
    assert_eq!(transport("RTP/AVP/TCP;unicast;interleaved=2-3"), tcp);
    assert_eq!(transport("RTP/AVP;unicast;client_port=5000-5001"), Some(Wanted::Udp(5_000, 5_001)));
    assert_eq!(transport("RTP/AVP;multicast, RTP/AVP/TCP;interleaved=2-3"), tcp);
    assert_eq!(transport("RTP/AVP;unicast"), None);
    assert_eq!(transport("RTP/AVP;unicast;client_port=70000-70001"), None);
    assert_eq!(transport("RAW/RAW/UDP"), None);
}
