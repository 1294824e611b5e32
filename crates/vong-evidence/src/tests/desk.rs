//! Packages as they are asked for, made, fetched and forgotten.

use std::sync::Arc;
use std::time::Duration;

use vong_log::{Log, MemLog};
use vong_model::{CameraId, EventTime, Offset, Stream};
use vong_runtime::Clock as _;
use vong_telemetry::{Classify as _, Kind, Metrics};

use super::fixture::{Site, at, request};
use crate::{
    Desk, DeskConfig, Error, EvidenceMetrics, Export, ExportRequest, ExportState, custody,
    release_hold,
};

const DAY: Duration = Duration::from_secs(86_400);

struct Office {
    site: Site,
    log: Arc<MemLog>,
}

impl Office {
    fn new() -> Self {
        let site = Site::recorded();
        let log = Arc::new(MemLog::new(Arc::new(site.clock.clone())));
        Self { site, log }
    }

    fn config(&self) -> DeskConfig {
        DeskConfig { dir: self.site.dir.path().join("evidence"), keep: 7 * DAY, min_free_bytes: 0 }
    }

    fn desk(&self, config: DeskConfig, exporter: crate::Exporter) -> Desk {
        let log: Arc<dyn Log> = Arc::clone(&self.log) as _;
        Desk::open(config, exporter, log, EvidenceMetrics::new(&Metrics::new())).unwrap()
    }

    fn open(&self) -> Desk {
        self.desk(self.config(), self.site.exporter())
    }

    fn holds(&self) -> usize {
        self.site.footage.holds().len()
    }
}

fn asked() -> ExportRequest {
    ExportRequest { holds: Vec::new(), ..request() }
}

fn wait(desk: &Desk, package_id: &str) -> Export {
    loop {
        let export = desk.get(package_id).unwrap();
        if export.state != ExportState::Making {
            return export;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_is_held_for_a_range_that_cannot_be_exported() {
    let office = Office::new();
    let desk = office.open();
    let hours = |from: i64, to: i64| {
        let (from, to) = (at(from * 3_600_000), at(to * 3_600_000));
        ExportRequest { from, to, ..asked() }
    };
    let many = |count: usize| {
        let cameras = (0..count).map(|n| CameraId::from(format!("CAM-{n}")));
        let cameras = cameras.map(crate::CameraFacts::Unregistered).collect();
        ExportRequest { cameras, ..hours(-3, 0) }
    };
    for (request, told) in [
        (hours(0, 36 * 8_766), "more than 24 hours of footage"),
        (hours(1, 2), "which is yet to come"),
        (hours(-9, 0), "longer than the 4 hours"),
        (many(9), "more than 24 hours of footage"),
        (many(8), "nothing was recorded"),
        (hours(-2, -1), "nothing was recorded"),
    ] {
        let error = desk.begin(request).unwrap_err();
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert_eq!((office.holds(), desk.list().len()), (0, 0), "{told}");
    }
    let full = DeskConfig { min_free_bytes: u64::MAX, ..office.config() };
    let desk = office.desk(full, office.site.exporter());
    let error = desk.begin(asked()).unwrap_err();
    assert!(matches!(error, Error::NoRoom { free_bytes: 0, .. }), "{error}");
    assert_eq!(office.holds(), 0);
}

#[test]
fn holds_end_with_a_package_that_fails_and_stay_with_one_that_is_made() {
    let office = Office::new();
    let broken = crate::Exporter { verifier: Arc::default(), ..office.site.exporter() };
    let desk = office.desk(office.config(), broken);
    let begun = desk.begin(asked()).unwrap();
    let failed = wait(&desk, &begun.package_id);
    assert!(matches!(failed.state, ExportState::Failed(_)), "{failed:?}");
    assert_eq!(office.holds(), 0);
    let desk = office.open();
    let begun = desk.begin(asked()).unwrap();
    let made = wait(&desk, &begun.package_id);
    assert!(matches!(made.state, ExportState::Ready(_)), "{made:?}");
    assert_eq!(office.holds(), 2);
    // One that an end of the process interrupted leaves none either.
    drop(desk);
    let packages = office.config().dir.join("packages");
    let zip = packages.join(format!("{}.zip", begun.package_id));
    std::fs::copy(&zip, packages.join(format!("{}.zip.part", begun.package_id))).unwrap();
    std::fs::remove_file(zip).unwrap();
    assert_eq!(office.open().list().len(), 0);
    assert_eq!(office.holds(), 0);
}

#[test]
fn releasing_a_hold_is_on_record() {
    let office = Office::new();
    let desk = office.open();
    let begun = desk.begin(asked()).unwrap();
    wait(&desk, &begun.package_id);
    let footage = &office.site.footage;
    let end =
        |id| release_hold(footage, (&*office.log, &office.site.clock), id, "Lê Thị Bình (local)");
    let first = footage.holds()[0].clone();
    assert_eq!(end(first.hold_id).unwrap(), first);
    assert_eq!(office.holds(), 1);
    assert_eq!(end(first.hold_id).unwrap_err().kind(), Kind::NotFound);
    let records = office.log.read(Offset::ZERO, usize::MAX).unwrap();
    let told: Vec<_> = records.iter().filter(|r| r.stream == Stream::EvidenceEvents).collect();
    let told = format!("{:?}", told.last().unwrap().batch);
    for word in ["released", "Lê Thị Bình (local)", "VA-17/2026", "CAM-A", &begun.package_id] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn downloads_at_the_same_time_make_one_custody_log() {
    let office = Office::new();
    let desk = office.open();
    let begun = desk.begin(asked()).unwrap();
    wait(&desk, &begun.package_id);
    let path = office.config().dir.join(format!("packages/{}.custody.jsonl", begun.package_id));
    let fetch_all = || {
        std::thread::scope(|scope| {
            for who in ["a", "b", "c", "d"] {
                let (desk, id) = (&desk, &begun.package_id);
                scope.spawn(move || {
                    (0..10).for_each(|_| drop(desk.fetch(id, who, 0).unwrap()));
                });
            }
        });
    };
    fetch_all();
    let text = desk.custody(&begun.package_id).unwrap();
    assert_eq!(custody::read(&text).unwrap().len(), 41);
    // A line that an interrupted append left half.
    let mut torn = format!("{text}{{\"hash\":\"00ff\",\"entry\":{{\"by\":\"Trầ").into_bytes();
    torn.pop(); // in the middle of a letter
    std::fs::write(&path, torn).unwrap();
    drop(desk.fetch(&begun.package_id, "e", 0).unwrap());
    let text = desk.custody(&begun.package_id).unwrap();
    assert_eq!(custody::read(&text).unwrap().len(), 42);
}

#[tokio::test]
async fn packages_go_by_themselves_when_their_time_is_over() {
    let office = Office::new();
    let desk = office.open();
    let begun = desk.begin(asked()).unwrap();
    wait(&desk, &begun.package_id);
    office.site.clock.advance(6 * DAY);
    let stop = vong_runtime::Shutdown::new();
    stop.request();
    desk.clone().keep_house(stop.clone()).await.unwrap();
    assert_eq!(desk.list().len(), 1);
    office.site.clock.advance(2 * DAY);
    desk.clone().keep_house(stop).await.unwrap();
    assert_eq!(desk.list().len(), 0);
    assert!(
        !office
            .config()
            .dir
            .join(format!("packages/{}.zip", begun.package_id))
            .try_exists()
            .unwrap()
    );
    assert_eq!(office.holds(), 2, "footage stays on hold");
    let broken = crate::Exporter { verifier: Arc::default(), ..office.site.exporter() };
    let desk = office.desk(office.config(), broken);
    let failed = desk.begin(asked()).unwrap();
    wait(&desk, &failed.package_id);
    office.site.clock.advance(8 * DAY);
    let stop = vong_runtime::Shutdown::new();
    stop.request();
    desk.clone().keep_house(stop).await.unwrap();
    assert_eq!(desk.list().len(), 0, "one that failed, too");
}

#[test]
fn a_desk_that_is_switched_off_says_why() {
    let desk = Desk::off("the key is damaged");
    let error = desk.begin(asked()).unwrap_err();
    assert!(error.to_string().contains("the key is damaged"), "{error}");
    assert_eq!((error.kind(), desk.list().len()), (Kind::Unavailable, 0));
    assert!(desk.key().is_err() && desk.get("x").is_err() && desk.custody("x").is_err());
    let now = EventTime(Office::new().site.clock.now());
    assert_eq!(Desk::new_id(now), "ev-20261122110205000000");
}
