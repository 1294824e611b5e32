//! The stream of one session: frames at their times, with the faults of the script.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::Instant;
use vong_sim::camera::rtsp::{self, Numbering};
use vong_sim::camera::{Codec, Reel, ReelFrame};

use super::connection::{METADATA_TYPE, endless_header};
use super::counts::tick;
use super::farm::{Camera, Ground};
use super::script::{Fault, MetadataFault};

const REPORT_EVERY: Duration = Duration::from_secs(1);
const TICKS_PER_S: u64 = 90_000;
/// RTP time of the first frame: the counter wraps within the first second.
const START: u32 = 0xffff_0000;

/// Where packets of a track go.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Interleaved { rtp: u8, rtcp: u8 },
    Udp { rtp: Arc<UdpSocket>, rtcp: Arc<UdpSocket> },
}

/// A session that plays.
#[derive(Debug)]
pub(crate) struct Player {
    camera: Arc<Camera>,
    ground: Arc<Ground>,
    video: Transport,
    metadata: Option<Transport>,
    session: u64,
    numbering: Numbering,
    metadata_numbering: Numbering,
    begun: Instant,
    /// Next frame.
    frame: u64,
    /// Packets made so far, sent or not.
    packet: u64,
    reported: Option<Instant>,
    told: u64,
}

impl Player {
    pub(crate) fn new(
        camera: Arc<Camera>,
        ground: Arc<Ground>,
        tracks: (Transport, Option<Transport>),
        session: u64,
        id: u64,
    ) -> Self {
        let id = u32::try_from(id & 0xffff).unwrap_or(0);
        let numbering = |track| Numbering {
            ssrc: 0x1000_0000 | (id << 4) | track,
            sequence: 65_000,
            packets: 0,
            payload_bytes: 0,
        };
        Self {
            camera,
            ground,
            video: tracks.0,
            metadata: tracks.1,
            session,
            numbering: numbering(1),
            metadata_numbering: numbering(3),
            begun: Instant::now(),
            frame: 0,
            packet: 0,
            reported: None,
            told: 0,
        }
    }

    /// Waits for the next frame's time. Cancel safe.
    pub(crate) async fn due(&self) {
        let fps = u64::from(self.camera.plan.reel.fps);
        let due = self.begun + Duration::from_micros(self.frame * 1_000_000 / fps);
        tokio::time::sleep_until(due).await;
        let mut still = self.ground.still.subscribe();
        drop(still.wait_for(|still| !still).await);
    }

    /// Sends the next frame; `false` ends the connection, an error asks for a reset. Not cancel
    /// safe: half a frame may be written.
    pub(crate) async fn send(&mut self, writer: &mut OwnedWriteHalf) -> std::io::Result<bool> {
        let n = self.frame;
        self.frame += 1;
        let faults = self.faults(n);
        let mut bytes = BytesMut::new();
        for fault in &faults {
            match fault {
                Fault::Stall => return Ok(true),
                Fault::Reset => return Err(std::io::ErrorKind::ConnectionReset.into()),
                Fault::Garbage => bytes.put_slice(b"\x00\xff\r\n\r\nno RTSP\x01$$$"),
                Fault::EndlessHeader => {
                    writer.write_all(b"RTSP/1.0 200 OK\r\n").await?;
                    endless_header(writer).await?;
                }
                Fault::Truncated => {
                    writer.write_all(&[b'$', 0, 4, 0, 0x80, 96, 1, 2, 3]).await?;
                    return Ok(false);
                }
                _ => {}
            }
        }
        self.report(&faults, &mut bytes).await;
        self.tell(&mut bytes).await;
        self.film(n, &faults, &mut bytes).await;
        if !bytes.is_empty() {
            let written = tokio::time::timeout(Duration::from_secs(10), writer.write_all(&bytes));
            written.await.unwrap_or_else(|_late| Err(std::io::ErrorKind::TimedOut.into()))?;
        }
        self.camera.counts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        tick(&self.camera.counts.frames);
        Ok(true)
    }

    fn faults(&self, frame: u64) -> Vec<Fault> {
        let cues = self.camera.plan.script.cues.iter();
        cues.filter(|cue| cue.session.is_none_or(|session| session == self.session))
            .filter(|cue| cue.frames.contains(&frame))
            .map(|cue| cue.fault)
            .collect()
    }

    /// RTP time of frame `n` as it is shown, 1/90000 s.
    fn time(&self, n: u64, faults: &[Fault]) -> u32 {
        let fps = u64::from(self.camera.plan.reel.fps);
        let ticks =
            |n: u64| rtsp::time_after(START, i64::try_from(n * 1_000_000 / fps).unwrap_or(0));
        faults.iter().fold(ticks(n), |time, fault| match fault {
            Fault::RtpJump(by) => time.wrapping_add_signed(*by),
            // I P B B P B B: each P is shown after the two that follow it.
            Fault::Reordered if n.is_multiple_of(3) => ticks(n),
            Fault::Reordered if n % 3 == 1 => ticks(n + 2),
            Fault::Reordered => ticks(n - 1),
            _ => time,
        })
    }

    async fn film(&mut self, n: u64, faults: &[Fault], bytes: &mut BytesMut) {
        let camera = Arc::clone(&self.camera);
        let reel = match &camera.plan.other_reel {
            Some(other) if faults.contains(&Fault::OtherReel) => other,
            _ => &camera.plan.reel,
        };
        let shown = if faults.contains(&Fault::Freeze) { 0 } else { n };
        let count = reel.frames.len() as u64;
        let index = usize::try_from(shown % count.max(1)).unwrap_or(0);
        let Some(frame) = reel.frames.get(index) else { return };
        let time = self.time(n, faults);
        let payloads = payloads(reel, frame, camera.plan.aggregate, faults);
        let mut packets = Vec::with_capacity(payloads.len());
        for (index, payload) in payloads.iter().enumerate() {
            let mut packet = BytesMut::with_capacity(payload.len() + 12);
            let mut numbering = self.numbering.clone();
            if faults.contains(&Fault::WrongSsrc) {
                numbering.ssrc ^= 0x0f0f_0000;
            }
            numbering.packet(time, index + 1 == payloads.len(), payload, &mut packet);
            self.numbering = Numbering { ssrc: self.numbering.ssrc, ..numbering };
            self.packet += 1;
            if !self.is_dropped(faults) {
                packets.push(packet.freeze());
            }
        }
        self.swap(faults, &mut packets);
        self.camera.counts.packets.fetch_add(packets.len() as u64, Ordering::Relaxed);
        let video = self.video.clone();
        for packet in packets {
            send(&video, false, &packet, bytes).await;
        }
    }

    fn is_dropped(&self, faults: &[Fault]) -> bool {
        let dropped = faults.iter().any(|fault| match fault {
            Fault::DropPackets(every) => self.packet.is_multiple_of((*every).max(1)),
            _ => false,
        });
        if dropped {
            tick(&self.camera.counts.packets_dropped);
        }
        dropped
    }

    fn swap(&self, faults: &[Fault], packets: &mut [Bytes]) {
        let every = faults.iter().find_map(|fault| match fault {
            Fault::SwapPackets(every) => Some(*every),
            _ => None,
        });
        let Some(every) = every else { return };
        for first in (0..packets.len().saturating_sub(1)).step_by(2) {
            if (self.packet + first as u64).is_multiple_of(every.max(1)) {
                packets.swap(first, first + 1);
            }
        }
    }

    /// A sender report, when one is due: our clock, off by what the script says.
    async fn report(&mut self, faults: &[Fault], bytes: &mut BytesMut) {
        if self.reported.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        self.reported = Some(Instant::now());
        let off: i64 =
            faults.iter().map(|fault| if let Fault::NtpJump(by) = fault { *by } else { 0 }).sum();
        let n = self.frame.saturating_sub(1);
        let report = self
            .numbering
            .sender_report(self.ground.clock.now().saturating_add(off), self.time(n, faults));
        tick(&self.camera.counts.reports);
        let video = self.video.clone();
        send(&video, true, &report, bytes).await;
    }

    /// A metadata document, when one is due.
    async fn tell(&mut self, bytes: &mut BytesMut) {
        let camera = Arc::clone(&self.camera);
        let due = self.begun.elapsed().as_secs();
        match camera.plan.script.metadata {
            MetadataFault::Endless(size) => {
                return self.document(&vec![b' '; size], (0, false), bytes).await;
            }
            MetadataFault::CutOff(second) if due >= second => {
                self.document(b"<tt:Metadata", (1, false), bytes).await;
                return self.document(b"<tt:Metadata", (2, false), bytes).await;
            }
            _ => {}
        }
        let documents = &camera.plan.metadata;
        if due < self.told || documents.is_empty() {
            return;
        }
        let index = usize::try_from(self.told).unwrap_or(0) % documents.len();
        self.told += 1;
        let Some(document) = documents.get(index) else { return };
        let time = u32::try_from((self.told * TICKS_PER_S) & 0xffff_ffff).unwrap_or(0);
        self.document(document.as_bytes(), (time, true), bytes).await;
    }

    /// A document, or part of one, at RTP time `time`; `ends`: its last packet says so.
    async fn document(&mut self, text: &[u8], (time, ends): (u32, bool), bytes: &mut BytesMut) {
        let Some(track) = self.metadata.clone() else { return };
        let last = text.len().div_ceil(1_400).saturating_sub(1);
        for (index, piece) in text.chunks(1_400).enumerate() {
            let mut packet = BytesMut::new();
            let marked = ends && index == last;
            self.metadata_numbering.packet(time, marked, piece, &mut packet);
            if let Some(kind) = packet.get_mut(1) {
                *kind = (*kind & 0x80) | METADATA_TYPE;
            }
            send(&track, false, &packet, bytes).await;
        }
    }
}

/// One packet on its way: into the connection's bytes, or as a datagram, which may be lost.
async fn send(transport: &Transport, report: bool, packet: &[u8], bytes: &mut BytesMut) {
    match transport {
        Transport::Interleaved { rtp, rtcp } => {
            rtsp::interleave(if report { *rtcp } else { *rtp }, packet, bytes);
        }
        Transport::Udp { rtp, rtcp } => {
            drop(if report { rtcp.send(packet).await } else { rtp.send(packet).await });
        }
    }
}

fn payloads(reel: &Reel, frame: &ReelFrame, aggregate: bool, faults: &[Fault]) -> Vec<Bytes> {
    if faults.contains(&Fault::WildPacket) {
        // A fragment that continues what never began, and an aggregate of nothing.
        return vec![Bytes::from_static(&[0x7c, 0x05, 1, 2]), Bytes::from_static(&[0x78, 0xff])];
    }
    if !aggregate {
        return rtsp::payloads(reel.codec, &frame.nals);
    }
    let small: Vec<&Bytes> = frame.nals.iter().take_while(|nal| nal.len() < 200).collect();
    let rest = frame.nals.get(small.len()..).unwrap_or_default();
    if small.len() < 2 {
        return rtsp::payloads(reel.codec, &frame.nals);
    }
    let mut together = BytesMut::new();
    match reel.codec {
        Codec::H264 => together.put_u8(0x78),
        Codec::H265 => together.put_slice(&[48 << 1, 1]),
    }
    for nal in &small {
        together.put_u16(u16::try_from(nal.len()).unwrap_or(0));
        together.put_slice(nal);
    }
    let mut payloads = vec![together.freeze()];
    payloads.extend(rtsp::payloads(reel.codec, rest));
    payloads
}
