//! Live pictures, protocol `vong.video.v1`: one WebSocket at `/api/v1/video` for all tiles of a page.
//!
//! The client says which tiles it has; the whole list, each time something changes. The server
//! answers with text messages ([`VideoServerMessage`]) and one binary message per picture: a header
//! of [`HEADER_BYTES`] bytes, big-endian, then the payload.
//!
//! | at | bytes | what |
//! |--:|--:|---|
//! | 0 | 1 | 1, the version of this header |
//! | 1 | 1 | flags: 1 = decoding may start here |
//! | 2 | 2 | tile |
//! | 4 | 4 | set-up: the number in the last `setup` of this tile |
//! | 8 | 4 | frames skipped just before this one because the client was slow |
//! | 12 | 8 | presentation time, 1/90000 s; of a fragment what its `tfdt` says |
//! | 20 | 8 | when the first byte reached the server, Unix microseconds |
//! | 28 | 8 | when it was taken by the camera's clock, Unix microseconds; lowest integer: not known |
//!
//! What the payload is, the tile's last `setup` said. The client reports what it has taken
//! (`taken`); beyond [`WINDOW_BYTES`] on their way nothing more is sent, and pictures are skipped
//! to the next key frame: this is how a slow client slows only itself.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::live::ByeCode;

/// The WebSocket sub-protocol.
pub const VIDEO_PROTOCOL: &str = "vong.video.v1";

/// Bytes before the payload of a picture.
pub const HEADER_BYTES: usize = 36;

/// Payload bytes that may be on their way to a client: a third of a second of sixty-four small
/// tiles, so that a slow one is late by little before it skips.
pub const WINDOW_BYTES: u64 = 512 * 1024;

/// Tiles of one page.
pub const MAX_TILES: usize = 256;

/// How much of a picture a tile wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum VideoMode {
    /// Every frame.
    Full,
    /// Key frames only.
    Key,
    /// Nothing: the tile cannot be seen.
    Off,
}

/// Which of a camera's streams; the other one where it has only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum VideoStreamName {
    /// Large, the recorded one.
    Main,
    /// Made for small tiles.
    Sub,
}

/// What the payloads of a tile are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum VideoForm {
    /// Access units, NAL units behind their length in 4 bytes; `data` is the decoder configuration
    /// record (`avcC`, `hvcC`).
    Frames,
    /// One fragmented-MP4 fragment per frame; `data` is the initialisation segment.
    Fragments,
    /// Key frames as JPEG, made by the server because the client cannot show the codec.
    Stills,
    /// The same of all frames, or as many as the server manages: of the tile that is looked at.
    MotionJpeg,
}

/// How pictures are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    H264,
    H265,
}

/// One tile of a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct VideoTile {
    pub tile: u16,
    pub camera_id: String,
    pub stream: VideoStreamName,
    pub mode: VideoMode,
    /// Somebody looks at this one: it keeps all frames when the client cannot keep up, and gets them
    /// as JPEG where the client cannot decode them.
    pub keep: bool,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum VideoClientMessage {
    /// All tiles of the page, in place of those of the last such message.
    Show {
        /// What the client can decode.
        plays: Vec<VideoCodec>,
        /// `frames` or `fragments`.
        form: VideoForm,
        tiles: Vec<VideoTile>,
    },
    /// Payload bytes of pictures taken so far on this connection.
    Taken {
        #[ts(type = "number")]
        bytes: u64,
    },
}

/// Why a tile gets less than it asked for, or all of it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum VideoModeReason {
    /// The client could not keep up.
    Slow,
    /// It can again.
    Recovered,
}

/// Why a tile shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum VideoRefusal {
    /// There is no such camera.
    Unknown,
    /// The caller may not see it.
    NotAllowed,
    /// The client cannot decode it, and the server has nothing that it can.
    Codec,
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum VideoServerMessage {
    Welcome {
        protocol: String,
        #[ts(type = "number")]
        server_time_ms: i64,
        #[ts(type = "number")]
        window_bytes: u64,
    },
    /// Pictures of `tile` from here on are these; the next one can be decoded by itself.
    Setup {
        tile: u16,
        /// Unique on this connection; pictures carry it.
        setup: u32,
        camera_id: String,
        /// The stream that is shown, which need not be the wanted one.
        stream: VideoStreamName,
        form: VideoForm,
        codec: VideoCodec,
        /// RFC 6381, as in `avc1.64001f`.
        codecs: String,
        width: u32,
        height: u32,
        /// What `form` says, as hexadecimal digits.
        data: String,
    },
    /// The camera of `tile` does not deliver; a `setup` follows when it does.
    Lost {
        tile: u16,
    },
    Refused {
        tile: u16,
        why: VideoRefusal,
        codec: Option<VideoCodec>,
    },
    /// `tile` gets this much from here on.
    Mode {
        tile: u16,
        mode: VideoMode,
        why: VideoModeReason,
    },
    /// Every second: the connection is alive.
    Mark {
        #[ts(type = "number")]
        server_time_ms: i64,
    },
    Bye {
        code: ByeCode,
        retry_ms: u32,
        detail: String,
    },
}

/// The header of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureHeader {
    pub key: bool,
    pub tile: u16,
    pub setup: u32,
    pub skipped: u32,
    pub pts_90k: i64,
    pub received_us: i64,
    pub camera_us: Option<i64>,
}

impl PictureHeader {
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let Self { key, tile, setup, skipped, pts_90k, received_us, camera_us } = *self;
        let mut bytes = [0; HEADER_BYTES];
        let fields: [&[u8]; 8] = [
            &[1],
            &[u8::from(key)],
            &tile.to_be_bytes(),
            &setup.to_be_bytes(),
            &skipped.to_be_bytes(),
            &pts_90k.to_be_bytes(),
            &received_us.to_be_bytes(),
            &camera_us.unwrap_or(i64::MIN).to_be_bytes(),
        ];
        let all = fields.into_iter().flatten();
        bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The console's test reads the same digits.
    #[test]
    fn header_is_what_the_table_says() {
        let header = PictureHeader {
            key: true,
            tile: 0x0203,
            setup: 4,
            skipped: 5,
            pts_90k: -2,
            received_us: 1_700_000_000_000_001,
            camera_us: None,
        };
        let hex: String = header.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "0101020300000004\
             00000005fffffffffffffffe\
             00060a24181e40018000000000000000"
        );
    }

    #[test]
    fn client_messages_are_read_strictly() {
        let read = |text: &str| serde_json::from_str::<VideoClientMessage>(text);
        let show = r#"{"type":"show","plays":["h264"],"form":"frames","tiles":[
            {"tile":0,"camera_id":"CAM-01","stream":"sub","mode":"full","keep":false}]}"#;
        let Ok(VideoClientMessage::Show { plays, tiles, .. }) = read(show) else {
            panic!("not read: {:?}", read(show))
        };
        assert_eq!((plays, tiles[0].mode), (vec![VideoCodec::H264], VideoMode::Full));
        assert!(read(&show.replace("full", "half")).is_err());
        assert!(read(&show.replace("\"keep\"", "\"more\"")).is_err());
        assert!(read(r#"{"type":"taken","bytes":-1}"#).is_err());
    }
}
