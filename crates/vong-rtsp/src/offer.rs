//! What a camera offers: its tracks, which of them we play, and how that is said.

use vong_media::Codec;

use crate::error::Error;
use crate::login::presentable;

/// One track of a camera's description.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// `video`, `audio`, `application`, as the camera wrote it.
    pub media: String,
    /// As the camera wrote it, in lower case: `h264`, `pcma`, `vnd.onvif.metadata`.
    pub encoding: String,
    /// Frames a second, if the camera says so.
    pub fps: Option<f32>,
}

/// All tracks, in the camera's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    pub tracks: Vec<Track>,
}

impl Offer {
    /// The track that is recorded: the first in a codec that a recording can hold.
    ///
    /// # Errors
    /// [`Error::NoVideo`] with what there is instead.
    pub(crate) fn video(&self) -> Result<(usize, Codec), Error> {
        let codec = |track: &Track| match track.encoding.as_str() {
            "h264" => Some(Codec::H264),
            "h265" => Some(Codec::H265),
            _ => None,
        };
        let found = self.tracks.iter().enumerate().find_map(|(index, track)| {
            (track.media == "video").then(|| codec(track))?.map(|codec| (index, codec))
        });
        found.ok_or_else(|| Error::NoVideo { offered: self.in_words() })
    }

    /// The track of ONVIF metadata that can be read: not compressed.
    pub(crate) fn metadata(&self) -> Option<usize> {
        self.tracks.iter().position(|track| {
            track.media == "application" && track.encoding == "vnd.onvif.metadata"
        })
    }

    /// The tracks beside the video, as in `; audio pcma; metadata`; empty where there are none.
    pub(crate) fn others(&self) -> String {
        let mut words = String::new();
        for track in &self.tracks {
            match track.media.as_str() {
                "video" => {}
                "application" if track.encoding.starts_with("vnd.onvif.metadata") => {
                    words.push_str("; metadata");
                }
                _ => words.push_str(&format!("; {} {}", track.media, track.encoding)),
            }
        }
        presentable(&words, None)
    }

    /// As in `video h264`, one for each track.
    pub(crate) fn in_words_each(&self) -> Vec<String> {
        let words =
            |track: &Track| presentable(&format!("{} {}", track.media, track.encoding), None);
        self.tracks.iter().map(words).collect()
    }

    fn in_words(&self) -> String {
        let words = self.in_words_each().join(", ");
        if words.is_empty() { "nothing".to_owned() } else { presentable(&words, None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(tracks: &[(&str, &str)]) -> Offer {
        let track = |(media, encoding): &(&str, &str)| Track {
            media: (*media).to_owned(),
            encoding: (*encoding).to_owned(),
            fps: None,
        };
        Offer { tracks: tracks.iter().map(track).collect() }
    }

    #[test]
    fn the_first_track_that_can_be_recorded_is_taken() {
        let two = offer(&[("video", "jpeg"), ("audio", "pcma"), ("video", "h265")]);
        assert_eq!(two.video().unwrap(), (2, Codec::H265));
        assert_eq!(two.others(), "; audio pcma");
        let told = offer(&[("video", "jpeg")]).video().unwrap_err().to_string();
        assert_eq!(
            told,
            "camera offers no H.264 or H.265 video, only video jpeg; set its stream to H.264 or H.265"
        );
        let told = offer(&[]).video().unwrap_err().to_string();
        assert!(told.contains("only nothing"), "{told}");
        let metadata = offer(&[("video", "h264"), ("application", "vnd.onvif.metadata")]);
        assert_eq!((metadata.metadata(), metadata.others().as_str()), (Some(1), "; metadata"));
    }
}
