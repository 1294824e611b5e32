//! What a camera does wrong, as data.

use std::ops::Range;
use std::time::Duration;

/// Everything a camera does wrong; the default does all right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// Faults of the answers to requests.
    pub answers: Vec<AnswerCue>,
    /// Faults of the stream.
    pub cues: Vec<Cue>,
    pub flapping: Option<Flapping>,
    /// What is wrong with the metadata track, for who asks for it.
    pub metadata: MetadataFault,
    /// At most so many DESCRIBEs a second over all cameras of the farm that say so; more are
    /// answered `453 Not Enough Bandwidth`.
    pub burst_limit: Option<usize>,
}

impl Script {
    /// Frame `from` of every session and all later ones show `fault`.
    pub fn stream(from: u64, fault: Fault) -> Self {
        Self::between(from..u64::MAX, fault)
    }

    /// Frames `frames` of every session show `fault`.
    pub fn between(frames: Range<u64>, fault: Fault) -> Self {
        let cue = Cue { session: None, frames, fault };
        Self { cues: vec![cue], ..Self::default() }
    }

    /// Every `method` is answered with `answer`.
    pub fn answer(method: Method, answer: Answer) -> Self {
        let cue = AnswerCue { method, connections: 0..u64::MAX, answer };
        Self { answers: vec![cue], ..Self::default() }
    }

    /// Holds for the first session or connection alone: later ones are sound.
    pub fn once(mut self) -> Self {
        self.cues.iter_mut().for_each(|cue| cue.session = Some(0));
        self.answers.iter_mut().for_each(|cue| cue.connections = 0..1);
        self
    }
}

/// A fault of the stream, for some frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Cue {
    /// The session it belongs to, counted from 0 at the camera's start; `None` for all.
    pub session: Option<u64>,
    /// Counted from 0 at the session's PLAY.
    pub frames: Range<u64>,
    pub fault: Fault,
}

/// What goes wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Each packet whose number divides by this is not sent, its sequence number used up.
    DropPackets(u64),
    /// Each packet whose number divides by this changes places with the one after it.
    SwapPackets(u64),
    /// Nothing is sent; the camera's clock goes on.
    Stall,
    /// The session's first picture is sent again and again.
    Freeze,
    WrongSsrc,
    /// Pictures of the camera's other reel: another size, other parameter sets.
    OtherReel,
    /// RTP time is off by so many 1/90000 s.
    RtpJump(i32),
    /// The clock in sender reports is off by so many microseconds.
    NtpJump(i64),
    /// Frames are sent in decoding order with times of presentation, as with B-frames.
    Reordered,
    /// The connection is reset.
    Reset,
    /// Bytes that are neither RTSP nor interleaved packets.
    Garbage,
    /// Half a packet, then the end of the connection.
    Truncated,
    /// A packet whose payload makes no sense.
    WildPacket,
    /// An answer nobody asked for whose head does not end.
    EndlessHeader,
}

/// What is wrong with a metadata track; the rest of the camera is sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetadataFault {
    #[default]
    None,
    /// Setting it up resets the connection.
    SetupResets,
    /// Playing with it resets the connection.
    PlayResets,
    /// A document that is cut off by the next one, so many seconds after PLAY.
    CutOff(u64),
    /// A document that goes on with every frame by so many bytes.
    Endless(usize),
}

/// The requests a camera can be made to answer wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Describe,
    Setup,
    Play,
}

impl Method {
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "DESCRIBE" => Some(Self::Describe),
            "SETUP" => Some(Self::Setup),
            "PLAY" => Some(Self::Play),
            _ => None,
        }
    }
}

/// A fault of the answer to one method.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerCue {
    pub method: Method,
    /// Counted from 0 at the camera's start.
    pub connections: Range<u64>,
    pub answer: Answer,
}

/// What comes instead of the right answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    NotEnoughBandwidth,
    Unavailable,
    /// No answer at all; the connection stays.
    Nothing,
    /// The right answer to PLAY, and then no frame.
    Mute,
    /// The connection is reset.
    Reset,
    /// These bytes, as they are.
    Bytes(Vec<u8>),
    /// The first half of the right answer, then the end of the connection.
    Truncated,
    /// Header lines without end.
    EndlessHeader,
    /// `401` with the request's own `Authorization` line in the reason phrase.
    Echo,
    /// This session description instead of the camera's own.
    Description(String),
}

/// Comes and goes by a seeded schedule: times up and down, each even over its range.
#[derive(Clone, Debug, PartialEq)]
pub struct Flapping {
    pub seed: u64,
    pub up: Range<Duration>,
    pub down: Range<Duration>,
}

/// Who may see a camera.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    #[default]
    Open,
    Basic {
        username: String,
        password: String,
    },
    /// Digest access with MD5 (RFC 2617).
    Digest {
        username: String,
        password: String,
        /// The first request with a right answer to the challenge is refused as stale, so many
        /// times in the camera's life.
        stale: u64,
    },
}
