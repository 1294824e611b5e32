//! A blocking MQTT 3.1.1 publisher for tests: it knows which messages the broker has taken.
//!
//! Packet layouts: MQTT 3.1.1, sections 3.1 (CONNECT), 3.3 (PUBLISH) and 3.4 (PUBACK).

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// Messages sent before their acknowledgements are read.
const WINDOW: usize = 500;

/// A connection that publishes.
#[derive(Debug)]
pub struct Publisher {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    next_id: u16,
}

impl Publisher {
    /// Connects to a broker on loopback, with a clean session.
    pub fn connect(port: u16, client_id: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0b10, 0, 60];
        put_text(&mut body, client_id)?;
        stream.write_all(&packet(0x10, &body)?)?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let (kind, answer) = read_packet(&mut reader)?;
        ensure!(kind == 0x20 && answer.get(1) == Some(&0), "broker refused: {kind:#x} {answer:?}");
        Ok(Self { stream, reader, next_id: 1 })
    }

    /// Publishes with QoS 0: nobody says whether it arrived.
    pub fn send(&mut self, topic: &str, payload: &[u8], retain: bool) -> Result<()> {
        let mut body = Vec::new();
        put_text(&mut body, topic)?;
        body.extend_from_slice(payload);
        self.stream.write_all(&packet(0x30 | u8::from(retain), &body)?)?;
        Ok(())
    }

    /// Publishes with QoS 1 and waits until the broker has acknowledged every message.
    ///
    /// `acknowledged` is raised as acknowledgements come in, so that a caller whose broker went
    /// away knows where to go on.
    pub fn publish(
        &mut self,
        messages: &[(String, Vec<u8>)],
        acknowledged: &mut usize,
    ) -> Result<()> {
        for window in messages.chunks(WINDOW) {
            let mut out = Vec::new();
            for (topic, payload) in window {
                let mut body = Vec::new();
                put_text(&mut body, topic)?;
                body.extend_from_slice(&self.next_id.to_be_bytes());
                body.extend_from_slice(payload);
                out.extend_from_slice(&packet(0x32, &body)?);
                self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            }
            self.stream.write_all(&out)?;
            for _ in window {
                let (kind, _) = read_packet(&mut self.reader)?;
                ensure!(kind == 0x40, "expected PUBACK, found {kind:#x}");
                *acknowledged += 1;
            }
        }
        Ok(())
    }

    /// Publishes all with QoS 1 through any number of broker restarts; messages the broker may have
    /// taken without saying so are sent again.
    pub fn publish_through(
        port: u16,
        client_id: &str,
        messages: &[(String, Vec<u8>)],
    ) -> Result<()> {
        let mut done = 0;
        for _attempt in 0..2_000 {
            let rest = messages.get(done..).unwrap_or_default();
            let mut acknowledged = 0;
            let sent = Self::connect(port, client_id)
                .and_then(|mut publisher| publisher.publish(rest, &mut acknowledged));
            done += acknowledged;
            if sent.is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("broker took {done} of {} messages only", messages.len())
    }
}

fn put_text(body: &mut Vec<u8>, text: &str) -> Result<()> {
    body.extend_from_slice(&u16::try_from(text.len()).context("text too long")?.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
    Ok(())
}

fn packet(kind: u8, body: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![kind];
    let mut length = body.len();
    ensure!(length < 268_435_456, "packet too large");
    loop {
        let low = u8::try_from(length % 128)?;
        length /= 128;
        out.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
    Ok(out)
}

fn read_packet(stream: &mut impl Read) -> Result<(u8, Vec<u8>)> {
    let mut byte = [0u8; 1];
    stream.read_exact(&mut byte)?;
    let kind = byte[0] & 0xf0;
    let (mut length, mut shift) = (0usize, 0);
    loop {
        stream.read_exact(&mut byte)?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
        ensure!(shift < 28, "bad length");
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}
