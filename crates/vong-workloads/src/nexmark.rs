//! Nexmark: an auction house in which people register, auctions open, and bids come in.
//!
//! Of fifty events one is a person, three are auctions and 46 are bids, in that order; half of the
//! bids go to a hot auction and three quarters come from a hot bidder. The proportions and the
//! queries' meaning follow the published benchmark (Tucker, Tufte, Papadimos and Maier, 2008, and
//! Apache Beam's suite); generator and queries are written here.
//!
//! The city has no auctions, so events are readings:
//!
//! | column | person | auction | bid |
//! |---|---|---|---|
//! | `metric` | `person` | `auction` | `bid` |
//! | `sensor_id` | person | auction | auction |
//! | `unit_code` | state | seller | bidder |
//! | `source_id` | city | item | channel |
//! | `unit` | name | category | – |
//! | `value` | 0 | seconds until it closes | price |
//!
//! Queries 3, 4, 7 and 8 join without an end in the original, or ask for the whole past; here they
//! are asked about stretches that follow on, and query 12 uses event time: the engine has no other.

use anyhow::Result;
use vong_model::Stream;

use crate::chance::Chance;
use crate::{Column, Feed};

/// 2026-11-22T00:00:00Z.
const START_US: i64 = 1_795_305_600_000_000;
/// Of this many events …
const EPOCH: u64 = 50;
/// … the first is a person and the next three are auctions.
const AUCTIONS: u64 = 3;
const FIRST_ID: u64 = 1_000;
/// Bids and auctions name one of the latest of these.
const LATEST_PEOPLE: u64 = 1_000;
const LATEST_AUCTIONS: u64 = 100;
const CATEGORIES: u64 = 5;
const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 8] =
    ["phoenix", "los-angeles", "san-francisco", "boise", "portland", "bend", "redmond", "kent"];
const CHANNELS: [&str; 4] = ["apple", "google", "facebook", "baidu"];

/// One query of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    pub name: &'static str,
    /// As a continuous view.
    pub live: &'static str,
    /// The same over all events at once; `None`: the live text works there too.
    pub batch: Option<&'static str>,
}

impl Query {
    /// The text for batch SQL.
    pub fn batch(&self) -> &'static str {
        self.batch.unwrap_or(self.live)
    }
}

/// The queries, by number.
pub const QUERIES: [Query; 11] = [
    Query {
        name: "q0 pass through",
        live: "SELECT sensor_id AS auction, unit_code AS bidder, value AS price FROM readings \
               WHERE metric = 'bid'",
        batch: None,
    },
    Query {
        name: "q1 currency",
        live: "SELECT sensor_id AS auction, unit_code AS bidder, value * 0.908 AS price \
               FROM readings WHERE metric = 'bid'",
        batch: None,
    },
    Query {
        name: "q2 selection",
        live: "SELECT sensor_id AS auction, value AS price FROM readings \
               WHERE metric = 'bid' AND CAST(sensor_id AS BIGINT) % 123 = 0",
        batch: None,
    },
    Query {
        name: "q3 local items, of 10 s",
        live: "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '10 seconds' AS \
               SELECT p.unit AS name, p.source_id AS city, p.unit_code AS state, a.sensor_id AS auction \
               FROM readings a JOIN readings p ON a.unit_code = p.sensor_id \
               WHERE a.metric = 'auction' AND p.metric = 'person' AND a.unit = '10' \
               AND p.unit_code IN ('OR', 'ID', 'CA')",
        batch: Some(
            "SELECT p.unit, p.source_id, p.unit_code, a.sensor_id FROM readings a \
             JOIN readings p ON a.unit_code = p.sensor_id \
             AND tumble(a.event_time, INTERVAL '10 seconds') = tumble(p.event_time, INTERVAL '10 seconds') \
             WHERE a.metric = 'auction' AND p.metric = 'person' AND a.unit = '10' \
             AND p.unit_code IN ('OR', 'ID', 'CA')",
        ),
    },
    Query {
        name: "q4 price by category, of 10 s",
        live: "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '10 seconds' AS \
               SELECT category, avg(final) AS price FROM (\
               SELECT a.sensor_id, a.unit AS category, max(b.value) AS final FROM readings a \
               JOIN readings b ON a.sensor_id = b.sensor_id \
               WHERE a.metric = 'auction' AND b.metric = 'bid' AND b.event_time >= a.event_time \
               AND date_part('epoch', b.event_time) <= date_part('epoch', a.event_time) + a.value \
               GROUP BY a.sensor_id, a.unit) GROUP BY category",
        batch: Some(
            "SELECT category, avg(final) FROM (\
             SELECT a.sensor_id, a.unit AS category, tumble(a.event_time, INTERVAL '10 seconds') AS w, \
             max(b.value) AS final FROM readings a JOIN readings b ON a.sensor_id = b.sensor_id \
             AND tumble(a.event_time, INTERVAL '10 seconds') = tumble(b.event_time, INTERVAL '10 seconds') \
             WHERE a.metric = 'auction' AND b.metric = 'bid' AND b.event_time >= a.event_time \
             AND date_part('epoch', b.event_time) <= date_part('epoch', a.event_time) + a.value \
             GROUP BY a.sensor_id, a.unit, w) GROUP BY category, w",
        ),
    },
    Query {
        name: "q5 hot items",
        live: "EVERY INTERVAL '2 seconds' OVER LAST INTERVAL '10 seconds' AS \
               WITH counted AS (SELECT sensor_id AS auction, count(*) AS n FROM readings \
               WHERE metric = 'bid' GROUP BY sensor_id) \
               SELECT auction, n FROM counted WHERE n = (SELECT max(n) FROM counted)",
        batch: Some(
            "WITH counted AS (SELECT sensor_id AS auction, w, count(*) AS n FROM (\
             SELECT *, unnest(hop_windows(event_time, INTERVAL '2 seconds', INTERVAL '10 seconds')) AS w \
             FROM readings) WHERE metric = 'bid' GROUP BY sensor_id, w) \
             SELECT auction, n FROM (SELECT *, max(n) OVER (PARTITION BY w) AS most FROM counted) \
             WHERE n = most",
        ),
    },
    Query {
        name: "q7 highest bid",
        live: "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '10 seconds' AS \
               SELECT sensor_id AS auction, unit_code AS bidder, value AS price FROM readings \
               WHERE metric = 'bid' AND value = (SELECT max(value) FROM readings WHERE metric = 'bid')",
        batch: Some(
            "SELECT sensor_id, unit_code, value FROM (SELECT *, max(value) OVER \
             (PARTITION BY tumble(event_time, INTERVAL '10 seconds')) AS most FROM readings \
             WHERE metric = 'bid') WHERE value = most",
        ),
    },
    Query {
        name: "q8 new sellers",
        live: "EVERY INTERVAL '10 seconds' OVER LAST INTERVAL '10 seconds' AS \
               SELECT DISTINCT p.sensor_id AS person, p.unit AS name FROM readings p \
               JOIN readings a ON a.unit_code = p.sensor_id \
               WHERE p.metric = 'person' AND a.metric = 'auction'",
        batch: Some(
            "SELECT person, name FROM (SELECT DISTINCT p.sensor_id AS person, p.unit AS name, \
             tumble(p.event_time, INTERVAL '10 seconds') AS w FROM readings p \
             JOIN readings a ON a.unit_code = p.sensor_id \
             AND tumble(a.event_time, INTERVAL '10 seconds') = tumble(p.event_time, INTERVAL '10 seconds') \
             WHERE p.metric = 'person' AND a.metric = 'auction')",
        ),
    },
    Query {
        name: "q11 bids of a session",
        live: "SELECT unit_code AS bidder, session(event_time, INTERVAL '1 second') AS began, \
               count(*) AS bids FROM readings WHERE metric = 'bid' \
               GROUP BY unit_code, session(event_time, INTERVAL '1 second')",
        batch: Some(
            "SELECT unit_code, min(event_time), count(*) FROM (\
             SELECT *, sum(first) OVER (PARTITION BY unit_code ORDER BY event_time) AS run FROM (\
             SELECT *, CASE WHEN event_time < lag(event_time) OVER (PARTITION BY unit_code \
             ORDER BY event_time) + INTERVAL '1 second' THEN 0 ELSE 1 END AS first \
             FROM readings WHERE metric = 'bid')) GROUP BY unit_code, run",
        ),
    },
    Query {
        name: "q12 bids by the window",
        live: "SELECT unit_code AS bidder, tumble(event_time, INTERVAL '10 seconds') AS w, \
               count(*) AS bids FROM readings WHERE metric = 'bid' \
               GROUP BY unit_code, tumble(event_time, INTERVAL '10 seconds')",
        batch: None,
    },
    Query {
        name: "q14 calculation",
        live: "SELECT sensor_id AS auction, unit_code AS bidder, value * 0.908 AS price, \
               CASE WHEN date_part('hour', event_time) BETWEEN 8 AND 18 THEN 'day' \
               WHEN date_part('hour', event_time) <= 6 OR date_part('hour', event_time) >= 20 \
               THEN 'night' ELSE 'other' END AS part, \
               length(source_id) - length(replace(source_id, 'o', '')) AS letters FROM readings \
               WHERE metric = 'bid' AND value * 0.908 > 1000000 AND value * 0.908 < 50000000",
        batch: None,
    },
];

/// Events of one kind wait here until a batch is full.
#[derive(Debug, Default)]
struct Rows {
    times: Vec<i64>,
    metrics: Vec<&'static str>,
    ids: Vec<String>,
    units: Vec<Option<String>>,
    sources: Vec<&'static str>,
    codes: Vec<String>,
    values: Vec<f64>,
}

/// A generator of our own: the events follow from the seed alone.
#[derive(Debug)]
pub struct Generator {
    chance: Chance,
    next: u64,
    /// Time from one event to the next.
    step_us: i64,
}

impl Generator {
    /// `rate`: events a second of event time.
    pub fn new(seed: u64, rate: u32) -> Self {
        let step_us = 1_000_000 / i64::from(rate.max(1));
        Self { chance: Chance::new(seed), next: 0, step_us }
    }

    /// `count` events, `a_batch` in each batch.
    ///
    /// # Errors
    /// Never: the columns fit the stream.
    pub fn feed(&mut self, count: usize, a_batch: usize) -> Result<Feed> {
        let mut feed = Feed::default();
        let mut left = count;
        while left > 0 {
            let now = left.min(a_batch.max(1));
            let mut rows = Rows::default();
            (0..now).for_each(|_| self.event(&mut rows));
            rows.push(&mut feed)?;
            left -= now;
        }
        Ok(feed)
    }

    fn event(&mut self, rows: &mut Rows) {
        let number = self.next;
        self.next += 1;
        rows.times.push(START_US + number.cast_signed() * self.step_us);
        let (epoch, place) = (number / EPOCH, number % EPOCH);
        match place {
            0 => self.person(epoch, rows),
            1..=AUCTIONS => self.auction(epoch * AUCTIONS + place - 1, epoch + 1, rows),
            _ => {
                let opened = (epoch + 1) * AUCTIONS;
                self.bid(opened, epoch + 1, rows);
            }
        }
    }

    fn person(&mut self, number: u64, rows: &mut Rows) {
        rows.metrics.push("person");
        rows.ids.push((FIRST_ID + number).to_string());
        rows.units.push(Some(format!("person-{}", self.chance.below(500))));
        rows.sources.push(self.chance.one_of(&CITIES));
        rows.codes.push(self.chance.one_of(&STATES).to_owned());
        rows.values.push(0.0);
    }

    fn auction(&mut self, number: u64, people: u64, rows: &mut Rows) {
        let hot = !self.chance.below(4).eq(&0);
        let seller = self.person_of(people, hot, 100);
        rows.metrics.push("auction");
        rows.ids.push((FIRST_ID + number).to_string());
        rows.units.push(Some((10 + self.chance.below(CATEGORIES)).to_string()));
        rows.sources.push(self.chance.one_of(&CHANNELS));
        rows.codes.push((FIRST_ID + seller).to_string());
        rows.values.push((1 + self.chance.below(20)) as f64);
    }

    fn bid(&mut self, opened: u64, people: u64, rows: &mut Rows) {
        let latest = opened - 1;
        let auction = match self.chance.below(2) {
            0 => latest / 100 * 100,
            _ => latest.saturating_sub(self.chance.below(LATEST_AUCTIONS)),
        };
        let hot = !self.chance.below(4).eq(&0);
        let bidder = self.person_of(people, hot, 101);
        // From 100 to 100,000,000, each order of magnitude as often.
        let price = (10_f64.powf(self.chance.unit() * 6.0) * 100.0).round();
        rows.metrics.push("bid");
        rows.ids.push((FIRST_ID + auction).to_string());
        rows.units.push(None);
        rows.sources.push(self.chance.one_of(&CHANNELS));
        rows.codes.push((FIRST_ID + bidder).to_string());
        rows.values.push(price);
    }

    /// One of the people so far: the hot one of each hundred, or any of the latest.
    fn person_of(&mut self, people: u64, hot: bool, spread: u64) -> u64 {
        let latest = people - 1;
        match hot {
            true => latest / spread * spread,
            false => latest.saturating_sub(self.chance.below(LATEST_PEOPLE)),
        }
    }
}

impl Rows {
    fn push(&self, feed: &mut Feed) -> Result<()> {
        fn texts(all: &[String]) -> Vec<Option<&str>> {
            all.iter().map(|text| Some(text.as_str())).collect()
        }
        let (ids, codes) = (texts(&self.ids), texts(&self.codes));
        feed.push(
            Stream::Readings,
            &[
                ("event_time", Column::Times(self.times.clone())),
                ("metric", Column::Texts(self.metrics.iter().map(|m| Some(*m)).collect())),
                ("sensor_id", Column::Texts(ids)),
                ("unit", Column::Texts(self.units.iter().map(Option::as_deref).collect())),
                ("source_id", Column::Texts(self.sources.iter().map(|s| Some(*s)).collect())),
                ("unit_code", Column::Texts(codes)),
                ("value", Column::Floats(self.values.clone())),
            ],
        )
    }
}
