//! The sequencer written down and read back.

use serde::{Deserialize, Serialize};
use vong_model::Stream;

use super::{Device, Sequencer, SequencerConfig, SourceClock, StreamClock};

/// What was heard of streams, sources and devices.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct SavedSequencer {
    /// By the stream's name.
    streams: Vec<(String, StreamClock)>,
    sources: Vec<(String, SourceClock)>,
    /// By source and sensor.
    devices: Vec<((String, String), Device)>,
}

impl Sequencer {
    pub(crate) fn save(&self) -> SavedSequencer {
        let streams = self.streams.iter().map(|(s, clock)| (s.name().to_owned(), *clock));
        SavedSequencer {
            streams: streams.collect(),
            sources: self.sources.iter().map(|(id, source)| (id.clone(), *source)).collect(),
            devices: self.devices.iter().map(|(id, d)| (id.clone(), d.clone())).collect(),
        }
    }

    /// A sequencer that goes on as the one that was written down, with the settings of today.
    pub(crate) fn load(config: SequencerConfig, saved: SavedSequencer) -> Self {
        let SavedSequencer { streams, sources, devices } = saved;
        let known = |(name, clock): (String, StreamClock)| Some((Stream::from_name(&name)?, clock));
        Self {
            config,
            streams: streams.into_iter().filter_map(known).collect(),
            sources: sources.into_iter().collect(),
            devices: devices.into_iter().collect(),
        }
    }
}
