//! A disk that is full, that fails to sync, that goes away, that is slow: what callers are told.

use super::crashes::{Rig, content, row};
use super::*;
use vong_telemetry::{Classify, Kind as ErrorKind, Retry};

const BULK: Stream = Stream::CameraEvents;
const CLOCKWORK: Stream = Stream::Watermarks;
const ACT: Stream = Stream::ConfigChanges;
const SECOND: Duration = Duration::from_secs(1);

struct Site {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    rig: Rig,
}

impl Site {
    fn new(segment_bytes: u64, reserve_bytes: u64) -> Self {
        let (disk, clock) = (SimDisk::default(), clock());
        let config = LogConfig { segment_bytes, reserve_bytes, ..LogConfig::new(sim_dir()) };
        let rig = Rig::open(&disk, &config, Arc::clone(&clock)).unwrap();
        Self { disk, clock, rig }
    }

    fn append(&mut self, stream: Stream, id: i64) -> Result<u64, Error> {
        let answers = self.rig.commit(&[vec![row(stream, id)]]);
        answers.into_iter().next().unwrap().map(|range| range.start.0)
    }

    fn fill(&self, free: u64) {
        let capacity = self.disk.used() + free;
        self.disk.faults(|faults| faults.capacity = Some(capacity));
    }

    fn free(&self) {
        self.disk.faults(|faults| faults.capacity = None);
    }

    /// Opens again and says what is there; every byte is as it should be.
    fn verified(self) -> Vec<Entry> {
        let Self { disk, clock, rig } = self;
        let before = content(&rig.log).1;
        drop(rig);
        let report = fsck_on(&disk, sim_dir()).unwrap();
        assert!(report.is_sound() && report.unfinished_bytes == 0, "{report}");
        let config = LogConfig { reserve_bytes: 0, ..LogConfig::new(sim_dir()) };
        let log = open_sim(&disk, config, clock).unwrap();
        assert_eq!(log.recovery().quarantined, []);
        assert_eq!(content(&log).1, before);
        before
    }
}

fn is_full(answer: &Result<u64, Error>) -> bool {
    matches!(answer, Err(error) if (error.kind(), error.retry()) == (ErrorKind::Exhausted, Retry::Later))
}

#[test]
fn full_disk_refuses_bulk_data_takes_acts_and_resumes_by_itself() {
    for segment_bytes in [1, 1 << 20] {
        let mut site = Site::new(segment_bytes, 20_000);
        assert_eq!(site.append(BULK, 0).unwrap(), 0);
        site.fill(10);
        assert!(is_full(&site.append(BULK, 1)));
        assert!(site.rig.log.health().borrow().disk_full);
        assert_eq!(site.append(ACT, 2).unwrap(), 1);
        assert!(is_full(&site.append(BULK, 3)));
        assert_eq!(site.append(CLOCKWORK, 4).unwrap(), 2);
        site.clock.advance(SECOND);
        assert!(is_full(&site.append(BULK, 5)), "asked again, and still full");
        assert_eq!(site.append(ACT, 6).unwrap(), 3);
        site.free();
        assert!(is_full(&site.append(BULK, 7)), "a full disk is asked once a second");
        site.clock.advance(SECOND);
        assert_eq!(site.append(BULK, 8).unwrap(), 4);
        assert!(!site.rig.log.health().borrow().disk_full);
        assert_eq!(site.append(ACT, 9).unwrap(), 5);
        let expected = [(BULK, 0), (ACT, 2), (CLOCKWORK, 4), (ACT, 6), (BULK, 8), (ACT, 9)];
        let expected: Vec<_> = expected.into_iter().map(|(stream, id)| row(stream, id)).collect();
        assert_eq!(site.verified(), expected);
    }
}

#[test]
fn one_commit_of_bulk_and_acts_on_a_full_disk_is_parted() {
    let mut site = Site::new(1 << 20, 20_000);
    site.fill(10);
    let appends = [vec![row(BULK, 0)], vec![row(ACT, 1)], vec![row(ACT, 2), row(BULK, 3)]];
    let answers = site.rig.commit(&appends);
    let told: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok().cloned()).collect();
    assert_eq!(told, [None, Some(Offset(0)..Offset(1)), None]);
    assert_eq!(site.verified(), [row(ACT, 1)]);
}

#[test]
fn reserve_is_shared_fairly_and_ends() {
    let mut site = Site::new(1 << 20, 20_000);
    site.append(BULK, 0).unwrap();
    site.fill(0);
    let count = |site: &mut Site, stream| {
        (0..1_000).take_while(|id| site.append(stream, 100 + id).is_ok()).count()
    };
    let clockwork = count(&mut site, CLOCKWORK);
    let acts = count(&mut site, ACT);
    assert!(clockwork > 0 && acts > 0, "{clockwork} and {acts}");
    assert!(is_full(&site.append(CLOCKWORK, 1)) && is_full(&site.append(ACT, 2)));
    assert_eq!(count(&mut site, CLOCKWORK) + count(&mut site, ACT), 0);
    site.free();
    site.clock.advance(SECOND);
    site.append(ACT, 3).unwrap();
    assert_eq!(site.verified().len(), 1 + clockwork + acts + 1);
}

#[test]
fn log_on_a_full_disk_opens_and_leaves_the_reserve_when_there_is_space() {
    let mut site = Site::new(1 << 20, 20_000);
    site.append(BULK, 0).unwrap();
    site.fill(0);
    site.append(ACT, 1).unwrap();
    let Site { disk, clock, rig } = site;
    rig.writer.close();
    drop(rig);
    let config = LogConfig { reserve_bytes: 20_000, ..LogConfig::new(sim_dir()) };
    let rig = Rig::open(&disk, &config, Arc::clone(&clock)).unwrap();
    assert!(rig.log.health().borrow().disk_full);
    let mut site = Site { disk, clock, rig };
    assert!(is_full(&site.append(BULK, 2)));
    assert_eq!(site.append(ACT, 3).unwrap(), 2);
    site.free();
    site.clock.advance(SECOND);
    assert_eq!(site.append(BULK, 4).unwrap(), 3);
    assert_eq!(site.verified().len(), 4);
}

#[test]
fn without_a_reserve_a_full_disk_refuses_what_does_not_fit() {
    for segment_bytes in [1, 1 << 20] {
        let mut site = Site::new(segment_bytes, 0);
        site.append(BULK, 0).unwrap();
        site.fill(10);
        for id in 1..4 {
            assert!(is_full(&site.append(ACT, id)));
            assert_eq!(content(&site.rig.log).1, [row(BULK, 0)]);
        }
        site.free();
        site.clock.advance(SECOND);
        assert_eq!(site.append(BULK, 4).unwrap(), 1);
        assert_eq!(site.verified(), [row(BULK, 0), row(BULK, 4)]);
    }
}

#[test]
fn failed_sync_gives_its_segment_up_and_the_log_goes_on_in_another() {
    let mut site = Site::new(1 << 20, 0);
    site.append(BULK, 0).unwrap();
    let before = segment::list(&site.disk, sim_dir()).unwrap();
    let mut health = site.rig.log.health();
    health.borrow_and_update();
    site.disk.faults(|faults| faults.failing_syncs = 1);
    let error = site.append(BULK, 1).unwrap_err();
    assert!(matches!(error, Error::Sync { .. }), "{error}");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later));
    assert!(health.has_changed().unwrap(), "whoever watches over the log is told");
    let given_up = site.disk.read(&before[0].1).unwrap();
    assert_eq!(content(&site.rig.log).1, [row(BULK, 0)], "it is not there");
    assert_eq!(site.append(BULK, 2).unwrap(), 1, "its offset goes to the next");
    assert_eq!(site.disk.read(&before[0].1).unwrap(), given_up, "the old file is left alone");
    assert_eq!(segment::list(&site.disk, sim_dir()).unwrap().len(), 2);
    assert_eq!(site.rig.log.health().borrow().sync_failures, 1);
    assert_eq!(site.rig.log.sealed().len(), 1);
    // The tail forgets nothing, so this reads the file that was given up.
    assert_eq!(site.rig.log.inner.shared.state.read().sealed[0].next, Offset(1));
    assert_eq!(site.verified(), [row(BULK, 0), row(BULK, 2)]);
}

#[test]
fn disk_that_fails_every_sync_acknowledges_nothing_and_takes_over_when_it_recovers() {
    let mut site = Site::new(1 << 20, 0);
    site.append(BULK, 0).unwrap();
    site.disk.faults(|faults| faults.failing_syncs = u32::MAX);
    for id in 1..6 {
        assert!(site.append(BULK, id).is_err());
    }
    assert_eq!(site.rig.log.head(), Offset(1));
    site.disk.faults(|faults| faults.failing_syncs = 0);
    assert_eq!(site.append(BULK, 9).unwrap(), 1);
    assert!(site.rig.log.health().borrow().sync_failures >= 1);
    assert_eq!(site.verified(), [row(BULK, 0), row(BULK, 9)]);
}

#[test]
fn reserve_that_fails_to_sync_is_given_up_and_another_one_made() {
    let mut site = Site::new(1 << 20, 20_000);
    site.append(BULK, 0).unwrap();
    site.fill(0);
    site.disk.faults(|faults| faults.failing_syncs = 1);
    assert_eq!(site.append(ACT, 1).unwrap(), 1, "in the space that its reserve leaves");
    assert!(is_full(&site.append(BULK, 2)));
    site.free();
    site.clock.advance(SECOND);
    assert_eq!(site.append(BULK, 3).unwrap(), 2);
    assert!(!site.rig.log.health().borrow().disk_full);
    assert_eq!(site.verified(), [row(BULK, 0), row(ACT, 1), row(BULK, 3)]);
}

#[test]
fn disk_that_went_away_is_asked_again_with_each_append() {
    let mut site = Site::new(1, 0);
    site.append(BULK, 0).unwrap();
    site.disk.faults(|faults| faults.refuses_files = true);
    for id in 1..4 {
        let error = site.append(BULK, id).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later));
    }
    site.disk.faults(|faults| faults.refuses_files = false);
    assert_eq!(site.append(BULK, 4).unwrap(), 1);
    assert_eq!(site.verified().len(), 2);
}

/// Appends from a thread of its own each, so that all of them wait at once.
fn appenders(log: &FileLog, ids: Range<i64>) -> Vec<JoinHandle<Result<Range<Offset>, Error>>> {
    let spawn = |id| {
        let log = log.clone();
        let append = move || log.append_blocking(vec![row(BULK, id)]);
        vong_runtime::thread::spawn("appender", append).unwrap()
    };
    ids.map(spawn).collect()
}

#[test]
fn slow_disk_makes_appenders_wait_together_and_readers_not_at_all() {
    let (disk, clock) = (SimDisk::default(), clock());
    let config = LogConfig { reserve_bytes: 0, ..LogConfig::new(sim_dir()) };
    let log = open_sim(&disk, config, clock).unwrap();
    log.append_blocking(vec![row(BULK, 0)]).unwrap();
    disk.faults(|faults| faults.sync_takes = Duration::from_millis(500));
    let started = tokio::time::Instant::now();
    let waiting = appenders(&log, 1..101);
    assert_eq!(log.read(Offset(0), 1).unwrap().len(), 1);
    assert!(started.elapsed() < Duration::from_millis(400), "readers do not wait for the disk");
    for appender in waiting {
        appender.join().unwrap().unwrap();
    }
    // The first took the disk, all others shared the next commit or two.
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(log.head(), Offset(101));
    assert!(log.inner.shared.metrics.commits.get() <= 6);
}

#[test]
fn disk_that_stands_still_holds_every_append_and_loses_none() {
    let (disk, clock) = (SimDisk::default(), clock());
    let config = LogConfig { reserve_bytes: 0, ..LogConfig::new(sim_dir()) };
    let log = open_sim(&disk, config, Arc::clone(&clock)).unwrap();
    log.append_blocking(vec![row(BULK, 0)]).unwrap();
    disk.faults(|faults| faults.holds_syncs = true);
    // More than the queue holds: the last ones wait for a place in it.
    let waiting = appenders(&log, 1..301);
    disk.wait_for_held_sync();
    clock.advance(Duration::from_secs(5));
    assert!(waiting.iter().all(|appender| !appender.is_finished()), "nobody is answered early");
    assert_eq!((log.head(), log.read(Offset(0), 1).unwrap().len()), (Offset(1), 1));
    disk.faults(|faults| faults.holds_syncs = false);
    for appender in waiting {
        appender.join().unwrap().unwrap();
    }
    assert_eq!(log.head(), Offset(301));
    assert!(log.inner.shared.metrics.commits.get() < 100, "they shared commits");
}
