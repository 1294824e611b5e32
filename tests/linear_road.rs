//! Traffic on an expressway: what the generator made happen is found, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use vong_stream::TransitionRow;
use vong_workloads::linear_road::{Road, Size, road, rules};
use vong_workloads::{Live, batch, prepare, shown};

const MINUTE_US: i64 = 60_000_000;

fn driven() -> (Road, Live) {
    let size = Size { cars: 1_200, minutes: 30, accidents: 6, slow: 3 };
    let road = road(5, size).unwrap();
    let live = prepare(&rules().unwrap()).unwrap().run(&road.feed.records().unwrap()).unwrap();
    (road, live)
}

/// When alerts of a rule fired, by key.
fn fired<'a>(live: &'a Live, rule: &str) -> BTreeMap<&'a str, Vec<&'a TransitionRow>> {
    let mut found: BTreeMap<&str, Vec<&TransitionRow>> = BTreeMap::new();
    let fires = |row: &&TransitionRow| row.rule_id.as_str() == rule && row.state == "firing";
    for row in live.transitions.iter().filter(fires) {
        let key = row.key.split_once('=').map_or("", |(_, value)| value);
        found.entry(key).or_default().push(row);
    }
    found
}

#[tokio::test]
async fn what_happened_on_the_road_is_found_and_nothing_else() {
    let (road, live) = driven();
    println!("{} rows, {} transitions", live.rows, live.transitions.len());

    let accidents = fired(&live, "accident");
    let expected: BTreeSet<&str> = road.accidents.iter().map(|a| a.segment.as_str()).collect();
    assert_eq!(accidents.keys().copied().collect::<BTreeSet<_>>(), expected);
    for accident in &road.accidents {
        let told = &accidents[accident.segment.as_str()];
        let after = told[0].event_time.micros() - accident.proven_us;
        assert!(told.len() == 1 && after > 0, "{accident:?}: {told:?}");
        assert!(after <= 5_000_000, "told {after} us after it was proven: {accident:?}");
    }

    let standing = fired(&live, "car_stands");
    let cars = road.accidents.iter().flat_map(|a| a.cars.iter().map(String::as_str));
    assert_eq!(standing.keys().copied().collect::<BTreeSet<_>>(), cars.collect());

    let congested = fired(&live, "congested");
    let slow: BTreeSet<&str> = road.slow.iter().map(|slow| slow.segment.as_str()).collect();
    assert_eq!(congested.keys().copied().collect::<BTreeSet<_>>(), slow);
    for slow in &road.slow {
        let at = congested[slow.segment.as_str()][0].event_time.micros();
        let in_time = slow.from_us..=slow.from_us + 5 * MINUTE_US;
        assert!(in_time.contains(&at), "{slow:?} told at {at}");
    }

    let tolls = shown(&live.views["tolls"]).unwrap();
    assert!(!tolls.is_empty() && tolls.iter().all(|row| slow.contains(&row[..4])), "{tolls:?}");
    let stock = batch(
        &road.feed,
        "SELECT unit_code, w, avg(value), count(DISTINCT sensor_id), \
         2 * power(count(DISTINCT sensor_id) - 50, 2) FROM (SELECT *, unnest(hop_windows(event_time, \
         INTERVAL '1 minute', INTERVAL '5 minutes')) AS w FROM readings) WHERE metric = 'speed' \
         GROUP BY unit_code, w HAVING avg(value) < 40 AND count(DISTINCT sensor_id) > 50",
    );
    assert_eq!(tolls, shown(&stock.await.unwrap()).unwrap());
    let speeds = batch(
        &road.feed,
        "SELECT unit_code, w, avg(value), count(*) FROM (SELECT *, unnest(hop_windows(event_time, \
         INTERVAL '1 minute', INTERVAL '5 minutes')) AS w FROM readings) WHERE metric = 'speed' \
         GROUP BY unit_code, w",
    );
    let found = shown(&live.views["segment_speed"]).unwrap();
    let expected = shown(&speeds.await.unwrap()).unwrap();
    let differs = found.iter().zip(&expected).find(|(ours, stock)| ours != stock);
    assert_eq!((found.len(), differs), (expected.len(), None));
}
