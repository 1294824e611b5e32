//! All sources of one broker: finds the source of a topic, decodes, collects the rows.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use vong_model::{Assets, EventTime, Stream};

use crate::batch::{DecodedBatch, Id, Reject};
use crate::config::SourceConfig;
use crate::error::Error;
use crate::hash;
use crate::ids::{Ids, SensorIdProblem};
use crate::json::Slots;
use crate::reason::RejectReason;
use crate::source::{Input, SourceDecoder, Work};

/// Topics whose route is remembered; beyond, the memory starts anew.
const ROUTES_MAX: usize = 65_536;
/// Longer topics are routed each time.
const ROUTE_TOPIC_BYTES_MAX: usize = 256;

/// What to subscribe to for one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub source_id: String,
    /// MQTT topic filter.
    pub filter: String,
    /// 0 or 1.
    pub qos: u8,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub rows: u32,
    pub rejects: u32,
}

/// Whose message it is, found before it is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Routed {
    source: Option<usize>,
    source_hash: u64,
    sensor: Option<Result<usize, SensorIdProblem>>,
    message_hash: u64,
    carries_time: bool,
}

impl Routed {
    /// Hash of topic and payload, as [`crate::message_hash`].
    pub fn message_hash(&self) -> u64 {
        self.message_hash
    }

    /// Index into [`Decoder::subscriptions`]; none when no source takes the topic.
    pub fn source(&self) -> Option<usize> {
        self.source
    }

    pub(crate) fn source_hash(&self) -> u64 {
        self.source_hash
    }

    /// Whether equal bytes mean the same measurement.
    pub(crate) fn carries_time(&self) -> bool {
        self.carries_time
    }
}

#[derive(Clone, Debug)]
struct Route {
    topic: Box<str>,
    source: Option<usize>,
    sensor: Option<Result<usize, SensorIdProblem>>,
}

/// Decodes the messages of one broker into rows.
///
/// Rows and rejects of the messages decoded so far wait inside until [`Decoder::take`].
#[derive(Debug)]
pub struct Decoder {
    broker: String,
    broker_hash: u64,
    sources: Vec<SourceDecoder>,
    ids: Ids,
    routes: HashMap<u64, Route, hash::Rehash>,
    slots: Slots,
    batch: DecodedBatch,
}

impl Decoder {
    /// Compiles those of `sources` that name `broker`; `assets` says which sensors are registered
    /// and where they stand. Messages of no source are filed under the broker's id.
    pub fn new(broker: &str, sources: &[SourceConfig], assets: &Assets) -> Result<Self, Error> {
        let mut ids = Ids::new(assets);
        let mut compiled: Vec<SourceDecoder> = Vec::new();
        for config in sources.iter().filter(|s| s.broker == broker) {
            let source = SourceDecoder::compile(config, compiled.len(), &mut ids)?;
            if compiled.iter().any(|other| other.id == source.id) || source.id == broker {
                let problem = "this id is taken by another source or broker".to_owned();
                return Err(Error::Source { source_id: source.id, problem });
            }
            if let Some(other) = compiled.iter().find(|o| o.template.overlaps(&source.template)) {
                return Err(Error::Overlap { first: other.id.clone(), second: source.id });
            }
            compiled.push(source);
        }
        Ok(Self {
            broker: broker.to_owned(),
            broker_hash: hash::of_topic(broker),
            sources: compiled,
            ids,
            routes: HashMap::default(),
            slots: Slots::default(),
            batch: DecodedBatch::new(),
        })
    }

    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// One per source, in the order of the configuration.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        let subscription = |source: &SourceDecoder| Subscription {
            source_id: source.id.clone(),
            filter: source.template.filter(),
            qos: source.qos,
        };
        self.sources.iter().map(subscription).collect()
    }

    /// Finds the source and the identity of a message, without looking into the payload.
    pub fn route(&mut self, topic: &str, payload: &[u8]) -> Routed {
        let topic_hash = hash::of_topic(topic);
        let (source, sensor) = match self.routes.get(&topic_hash) {
            Some(route) if *route.topic == *topic => (route.source, route.sensor),
            _ => self.find_route(topic, topic_hash),
        };
        let decoder = source.and_then(|s| self.sources.get(s));
        Routed {
            source,
            source_hash: decoder.map_or(self.broker_hash, |s| s.id_hash),
            sensor,
            message_hash: hash::with_topic(topic_hash, payload),
            carries_time: decoder.is_some_and(SourceDecoder::carries_time),
        }
    }

    /// Decodes a message routed before, with nothing decoded or taken in between that could have
    /// changed its route.
    pub fn decode_routed(
        &mut self,
        routed: &Routed,
        topic: &str,
        payload: &[u8],
        arrival: EventTime,
    ) -> Tally {
        let Routed { source, sensor, message_hash, .. } = *routed;
        let Some(source) = source.and_then(|s| self.sources.get(s)) else {
            let detail = "no source of this broker takes this topic";
            return self.refuse(
                routed,
                topic,
                payload,
                arrival,
                (RejectReason::UnknownTopic, detail),
            );
        };
        let input = Input { topic, payload, arrival, message_hash, sensor };
        let Self { ids, slots, batch, .. } = self;
        source.decode(&input, &mut Work { ids, slots, batch })
    }

    /// Routes and decodes one message.
    pub fn decode(&mut self, topic: &str, payload: &[u8], arrival: EventTime) -> Tally {
        let routed = self.route(topic, payload);
        self.decode_routed(&routed, topic, payload, arrival)
    }

    /// Decodes many messages that arrived together.
    pub fn decode_batch(&mut self, messages: &[(&str, &[u8])], arrival: EventTime) -> Tally {
        let mut sum = Tally::default();
        for (topic, payload) in messages {
            let Tally { rows, rejects } = self.decode(topic, payload, arrival);
            sum.rows = sum.rows.saturating_add(rows);
            sum.rejects = sum.rejects.saturating_add(rejects);
        }
        sum
    }

    /// Files a message that was too large to be read whole. `head` is as much of the payload as
    /// was kept; `size_bytes` the size of the whole packet.
    pub fn refuse_too_large(
        &mut self,
        topic: &str,
        head: &[u8],
        size_bytes: usize,
        arrival: EventTime,
    ) -> Tally {
        let routed = self.route(topic, head);
        let detail = format!("packet: expected at most max_packet bytes, found {size_bytes}");
        self.refuse(&routed, topic, head, arrival, (RejectReason::TooLarge, &detail))
    }

    /// Rows and rejects that wait to be taken.
    pub fn waiting(&self) -> Tally {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Tally { rows: count(self.batch.readings.len()), rejects: count(self.batch.rejects.len()) }
    }

    /// Bytes of rejected payloads that wait to be taken.
    pub fn waiting_payload_bytes(&self) -> usize {
        self.batch.rejects.payload_bytes()
    }

    /// How many messages or fields were rejected for each reason since this was last asked.
    pub fn take_reject_counts(&mut self) -> impl Iterator<Item = (RejectReason, u64)> + use<> {
        self.batch.rejects.take_counts()
    }

    /// The rows decoded since the last call, as batches of their streams; none if there are none.
    pub fn take(&mut self) -> Vec<(Stream, RecordBatch)> {
        let taken = self.batch.take();
        if self.ids.trim() {
            self.routes.clear(); // they hold numbers of forgotten sensors
        }
        taken
    }

    fn refuse(
        &mut self,
        routed: &Routed,
        topic: &str,
        payload: &[u8],
        arrival: EventTime,
        (reason, detail): (RejectReason, &str),
    ) -> Tally {
        let source = routed.source.and_then(|s| self.sources.get(s));
        let broker = Id { number: self.sources.len(), text: &self.broker };
        self.batch.rejects.push(&Reject {
            arrival_time: arrival,
            source: source.map_or(broker, SourceDecoder::as_id),
            topic,
            reason,
            detail,
            payload,
            message_hash: routed.message_hash,
        });
        Tally { rows: 0, rejects: 1 }
    }

    #[cold]
    fn find_route(
        &mut self,
        topic: &str,
        topic_hash: u64,
    ) -> (Option<usize>, Option<Result<usize, SensorIdProblem>>) {
        let mut found = self.sources.iter().enumerate();
        let found = found.find_map(|(i, s)| s.template.matches(topic).map(|c| (i, c.sensor_id)));
        let source = found.map(|(index, _)| index);
        let sensor = found.and_then(|(_, id)| id).map(|id| self.ids.intern_sensor(id));
        if topic.len() <= ROUTE_TOPIC_BYTES_MAX {
            if self.routes.len() >= ROUTES_MAX {
                self.routes.clear();
            }
            self.routes.insert(topic_hash, Route { topic: Box::from(topic), source, sensor });
        }
        (source, sensor)
    }
}

#[cfg(test)]
mod tests;
