//! A camera on loopback that says anything: raw bytes, or packets of any content after answers that
//! are sound. The session must come to an end with a finding.
#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use vong_rtsp::{Networks, ProbeRequest, Transport, probe};
use vong_runtime::ManualClock;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 CODEC/90000\r\na=control:track1\r\n\
    m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:track3\r\n";

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime")
    })
}

/// Answers to DESCRIBE, two SETUPs and PLAY.
fn answers(codec: &str, address: &str) -> Vec<u8> {
    let sdp = SDP.replace("CODEC", codec);
    let mut all = format!(
        "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Base: rtsp://{address}/s/\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    for (cseq, channels) in [(2, "0-1"), (3, "2-3")] {
        all.push_str(&format!(
            "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: 1\r\n\
             Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n\r\n"
        ));
    }
    all.push_str("RTSP/1.0 200 OK\r\nCSeq: 4\r\nSession: 1\r\n\r\n");
    all.into_bytes()
}

/// Packets out of the input: one byte of channel and marker, one of the time step, one of length.
fn packets(mut input: &[u8], into: &mut Vec<u8>) {
    let (mut sequence, mut time) = ([0_u16; 4], 0_u32);
    while let [how, step, length, rest @ ..] = input {
        let (payload, after) = rest.split_at(usize::from(*length).min(rest.len()));
        input = after;
        let channel = how & 3;
        time = time.wrapping_add(u32::from(*step) << (how >> 2 & 15));
        let mut packet = Vec::new();
        if channel & 1 == 0 {
            let kind = if channel == 0 { 96 } else { 107 };
            let number = &mut sequence[usize::from(channel)];
            *number = number.wrapping_add(1 + u16::from(how & 64 != 0));
            packet.extend([0x80, how & 0x80 | kind]);
            packet.extend(number.to_be_bytes());
            packet.extend(time.to_be_bytes());
            packet.extend([0, 0, 0, channel]);
        }
        packet.extend_from_slice(payload);
        into.extend([b'$', channel]);
        into.extend((packet.len() as u16).to_be_bytes());
        into.extend(packet);
    }
}

async fn serve(mut tcp: TcpStream, said: Vec<u8>) {
    let (mut reader, mut writer) = tcp.split();
    drop(writer.write_all(&said).await);
    drop(writer.shutdown().await);
    let mut asked = [0; 1_024];
    while reader.read(&mut asked).await.is_ok_and(|bytes| bytes > 0) {}
}

async fn session(input: &[u8]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("no port");
    let address = listener.local_addr().expect("bound").to_string();
    let Some((how, rest)) = input.split_first() else { return };
    let mut said = Vec::new();
    match how & 3 {
        0 => said.extend_from_slice(rest),
        1 => packets(rest, {
            said = answers("H264", &address);
            &mut said
        }),
        2 => packets(rest, {
            said = answers("H265", &address);
            &mut said
        }),
        _ => {
            said = answers("H264", &address);
            said.extend_from_slice(rest);
        }
    }
    let camera = async {
        loop {
            let Ok((tcp, _)) = listener.accept().await else { return };
            serve(tcp, said.clone()).await;
        }
    };
    let request = ProbeRequest {
        url: format!("rtsp://{address}/s"),
        login: None,
        transport: Transport::Tcp,
        watch: Duration::from_millis(200),
    };
    let networks = Networks::default();
    let looking = probe(&request, &networks, Arc::new(ManualClock::new(1_700_000_000_000_000)));
    let found = tokio::select! {
        found = looking => found,
        () = camera => return,
    };
    assert!(!found.advice.is_empty());
    assert!(found.usable || found.trouble.is_some());
}

fuzz_target!(|input: &[u8]| {
    runtime().block_on(session(input));
});
