//! Nexmark: the live engine answers as batch SQL does over the finished events.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use vong_model::Stream;
use vong_workloads::nexmark::{Generator, QUERIES};
use vong_workloads::{batch, prepare, shown, view};

const EVENTS: usize = 20_000;

#[test]
fn one_person_three_auctions_and_46_bids() {
    let feed = Generator::new(7, 500).feed(EVENTS, 997).unwrap();
    let rows = feed.whole(Stream::Readings).unwrap();
    let metrics = rows.column(Stream::Readings.column_index("metric"));
    let metrics = metrics.as_dictionary::<Int32Type>();
    let names = metrics.values().as_string::<i32>();
    let mut counts = BTreeMap::new();
    for row in 0..metrics.len() {
        *counts.entry(names.value(metrics.key(row).unwrap())).or_insert(0) += 1;
    }
    let epochs = EVENTS / 50;
    let expected = [("auction", 3 * epochs), ("bid", 46 * epochs), ("person", epochs)];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
    let again = Generator::new(7, 500).feed(EVENTS, 997).unwrap();
    assert_eq!(again.whole(Stream::Readings).unwrap(), rows, "the same seed, the same events");
}

#[tokio::test]
async fn every_query_answers_live_as_it_does_in_batch() {
    let feed = Generator::new(11, 500).feed(EVENTS, 613).unwrap();
    let named = QUERIES.iter().enumerate();
    let views: Vec<_> =
        named.map(|(n, query)| view(&format!("v{n}"), query.live).unwrap()).collect();
    let live = prepare(&views).unwrap().run(&feed.records().unwrap()).unwrap();
    assert_eq!(live.rows, EVENTS as u64);
    for (number, query) in QUERIES.iter().enumerate() {
        let expected = shown(&batch(&feed, query.batch()).await.unwrap()).unwrap();
        let found = live.views.get(&format!("v{number}")).map(Vec::as_slice).unwrap_or_default();
        let found = shown(found).unwrap();
        println!("{}: {} rows", query.name, expected.len());
        assert!(!expected.is_empty(), "{} finds nothing", query.name);
        let first = found.iter().zip(&expected).find(|(ours, stock)| ours != stock);
        assert_eq!((found.len(), first), (expected.len(), None), "{}", query.name);
    }
}
