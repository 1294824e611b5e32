//! The log against a model, on a disk that drops, tears and reorders what was not synced.
//!
//! Scripts of appends, full disks, failed syncs, trims and restarts are run while the disk keeps
//! the state before each of its operations; then the power goes at many of those moments. What is
//! found must be all that was acknowledged, unchanged, at its offset; behind it only whole appends
//! that were tried; nothing else; and never anything that looks like damage.

use std::cell::Cell;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::TimestampMicrosecondType;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::disk::sim::{Chance, Moment};

/// So many states must be looked at in one run of the test.
const STATES: usize = 2_000;

const STREAMS: [Stream; 3] = [Stream::CameraEvents, Stream::ConfigChanges, Stream::Watermarks];

#[derive(Clone, Debug)]
enum Op {
    /// One commit of several appends, each of one stream and so many entries.
    Commit(Vec<(usize, usize)>),
    Advance(u64),
    /// The disk gets so many bytes more and then is full.
    Fill(u64),
    Free,
    FailSyncs(u32),
    /// Trims below this percentage of the head.
    Trim(u64),
    Cursor,
    /// Closes in order, or not, and opens again.
    Reopen {
        orderly: bool,
    },
}

#[derive(Clone, Debug)]
struct Script {
    segment_bytes: u64,
    reserve_bytes: u64,
    ops: Vec<Op>,
    seed: u64,
}

fn op() -> impl Strategy<Value = Op> {
    let append = (0..STREAMS.len(), 1_usize..5);
    prop_oneof![
        8 => prop::collection::vec(append, 1..5).prop_map(Op::Commit),
        1 => (0_u64..200).prop_map(Op::Advance),
        1 => (0_u64..9_000).prop_map(Op::Fill),
        1 => Just(Op::Free),
        1 => (1_u32..3).prop_map(Op::FailSyncs),
        1 => (0_u64..=100).prop_map(Op::Trim),
        1 => Just(Op::Cursor),
        1 => any::<bool>().prop_map(|orderly| Op::Reopen { orderly }),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let segment_bytes = prop::sample::select(vec![1_u64, 3_000, 9_000, 1 << 20]);
    let reserve_bytes = prop::sample::select(vec![0_u64, 8_000]);
    (segment_bytes, reserve_bytes, prop::collection::vec(op(), 4..14), any::<u64>()).prop_map(
        |(segment_bytes, reserve_bytes, ops, seed)| Script {
            segment_bytes,
            reserve_bytes,
            ops,
            seed,
        },
    )
}

/// One row that says `id` in every column.
pub(super) fn row(stream: Stream, id: i64) -> Entry {
    let ids = Int64Array::from(vec![id]);
    let schema = stream.schema();
    let columns = schema.fields().iter().map(|field| cast(&ids, field.data_type()).unwrap());
    let columns = columns.collect();
    Entry::new(stream, RecordBatch::try_new(schema, columns).unwrap())
}

/// The `id` of a row.
pub(super) fn id(entry: &Entry) -> i64 {
    entry.batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0)
}

/// A log whose writer runs when the test says so, on this thread.
pub(super) struct Rig {
    pub(super) log: FileLog,
    pub(super) writer: Writer,
}

impl Rig {
    pub(super) fn open(
        disk: &SimDisk,
        config: &LogConfig,
        clock: Arc<ManualClock>,
    ) -> Result<Self, Error> {
        let metrics = LogMetrics::new(&Metrics::new());
        let disk = Arc::new(disk.clone());
        let (inner, mut writer, _requests) = FileLog::assemble(disk, config, clock, 7, metrics)?;
        writer.set_aside_reserve();
        Ok(Self { log: FileLog { inner: Arc::new(inner) }, writer })
    }

    /// One commit of several appends; what each was told.
    pub(super) fn commit(&mut self, appends: &[Vec<Entry>]) -> Vec<Result<Range<Offset>, Error>> {
        let mut batch = Vec::new();
        let mut answers = Vec::new();
        for entries in appends {
            let (append, answer) = Append::new(self.log.prepare(entries.clone()).unwrap());
            batch.push(append);
            answers.push(answer);
        }
        self.writer.commit(batch);
        answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect()
    }
}

/// Everything in a log, from its floor.
pub(super) fn content(log: &FileLog) -> (u64, Vec<Entry>) {
    let floor = log.floor().0;
    let mut found = Vec::new();
    loop {
        let from = Offset(floor + found.len() as u64);
        let records = log.read(from, 1 << 20).unwrap();
        if records.is_empty() {
            assert_eq!(from, log.head(), "the log is read to its head");
            return (floor, found);
        }
        for Record { offset, stream, batch, .. } in records {
            assert_eq!(offset, Offset(floor + found.len() as u64), "offsets are dense");
            found.push(Entry::new(stream, batch));
        }
    }
}

/// What the log was asked for and what it promised.
#[derive(Default)]
struct Told {
    attempted: Vec<Vec<Entry>>,
    acknowledged: Vec<Entry>,
    trimmed_below: u64,
}

impl Told {
    /// For the moments that follow.
    fn mark(&self, disk: &SimDisk) {
        disk.mark(self.acknowledged.len() as u64);
    }

    /// The floor, and what is there from it on.
    fn check(&self, acknowledged: usize, log: &FileLog) -> (usize, Vec<Entry>) {
        assert_eq!(log.recovery().quarantined, [], "a crash never looks like damage");
        let (floor, found) = content(log);
        assert!(floor <= self.trimmed_below, "nothing is trimmed that was not to be");
        let floor = usize::try_from(floor).unwrap();
        let promised = &self.acknowledged[floor.min(acknowledged)..acknowledged];
        assert!(found.len() >= promised.len(), "an acknowledged append is lost");
        let (kept, mut rest) = found.split_at(promised.len());
        assert!(kept == promised, "an acknowledged append has changed");
        let mut last = None;
        while let Some(first) = rest.first() {
            let group = self.attempted.iter().position(|group| id(&group[0]) == id(first));
            assert!(group.is_some(), "an append was invented or split");
            assert!(group > last, "appends changed their order");
            let entries = &self.attempted[group.unwrap()];
            assert!(rest.starts_with(entries), "an append is there in part");
            rest = &rest[entries.len()..];
            last = group;
        }
        (floor, found)
    }
}

struct Run {
    disk: SimDisk,
    config: LogConfig,
    clock: Arc<ManualClock>,
    rig: Option<Rig>,
    told: Told,
    ids: i64,
}

impl Run {
    fn new(script: &Script) -> Self {
        let Script { segment_bytes, reserve_bytes, .. } = *script;
        let base = LogConfig::new(sim_dir());
        let config = LogConfig { segment_bytes, reserve_bytes, tail_bytes: 4_000, ..base };
        let (disk, clock) = (SimDisk::default(), clock());
        disk.record();
        let rig = Rig::open(&disk, &config, Arc::clone(&clock)).unwrap();
        Self { disk, config, clock, rig: Some(rig), told: Told::default(), ids: 0 }
    }

    fn rig(&mut self) -> &mut Rig {
        self.rig.as_mut().unwrap()
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Commit(appends) => self.commit(appends),
            Op::Advance(seconds) => self.clock.advance(Duration::from_secs(*seconds)),
            Op::Fill(more) => {
                let capacity = self.disk.used() + more;
                self.disk.faults(|faults| faults.capacity = Some(capacity));
            }
            Op::Free => self.disk.faults(|faults| faults.capacity = None),
            Op::FailSyncs(count) => self.disk.faults(|faults| faults.failing_syncs = *count),
            Op::Trim(percent) => {
                let below = self.rig().log.head().0 * percent / 100;
                self.told.trimmed_below = self.told.trimmed_below.max(below);
                self.rig().log.trim(Offset(below)).unwrap();
            }
            Op::Cursor => {
                let head = self.rig().log.head();
                drop(self.rig().log.cursor_set("reader", head)); // the disk may be full
            }
            Op::Reopen { orderly } => self.reopen(*orderly),
        }
    }

    fn commit(&mut self, appends: &[(usize, usize)]) {
        let mut groups = Vec::new();
        for (stream, entries) in appends {
            let first = self.ids;
            self.ids += *entries as i64;
            groups.push((first..self.ids).map(|id| row(STREAMS[*stream], id)).collect::<Vec<_>>());
        }
        self.told.mark(&self.disk);
        self.told.attempted.extend(groups.iter().cloned());
        let answers = self.rig().commit(&groups);
        for (group, answer) in groups.into_iter().zip(answers) {
            let Ok(range) = answer else { continue };
            assert_eq!(range.start.0, self.told.acknowledged.len() as u64);
            self.told.acknowledged.extend(group);
            assert_eq!(range.end.0, self.told.acknowledged.len() as u64);
        }
        self.told.mark(&self.disk);
    }

    fn reopen(&mut self, orderly: bool) {
        self.disk.faults(|faults| faults.failing_syncs = 0);
        let rig = self.rig.take().unwrap();
        if orderly {
            rig.writer.close();
        }
        drop(rig);
        let rig = Rig::open(&self.disk, &self.config, Arc::clone(&self.clock));
        let rig = rig.expect("the log opens, also on a full disk");
        let (floor, found) = self.told.check(self.told.acknowledged.len(), &rig.log);
        // What it found behind the promised records is part of the log from now on.
        self.told.acknowledged.truncate(floor);
        self.told.acknowledged.extend(found);
        self.told.mark(&self.disk);
        self.rig = Some(rig);
    }
}

/// Runs a script and crashes it; says how many states were looked at.
fn run(script: &Script) -> usize {
    let mut run = Run::new(script);
    for op in &script.ops {
        run.step(op);
    }
    let acknowledged = run.told.acknowledged.len();
    let (floor, found) = content(&run.rig().log);
    let floor = usize::try_from(floor).unwrap();
    assert!(found == run.told.acknowledged[floor..acknowledged], "the live log is as promised");
    let moments = run.disk.moments();
    drop(run.rig.take());
    let mut chance = Chance(script.seed);
    let mut states = 0;
    for _ in 0..moments.len().min(40) {
        let moment = &moments[chance.below(moments.len())];
        states += crash(&run, moment, &mut chance);
    }
    states
}

/// One crash, a new life, and a crash in that.
fn crash(run: &Run, moment: &Moment, chance: &mut Chance) -> usize {
    let is_kill = chance.one_in(4);
    let disk = if is_kill { moment.kill() } else { moment.crash(chance.draw()) };
    let acknowledged = usize::try_from(moment.mark).unwrap();
    let checked = chance.one_in(4);
    if checked {
        let report = fsck_on(&disk, sim_dir()).unwrap();
        assert!(report.is_sound(), "before the start: {report}");
    }
    disk.mark(0);
    disk.record();
    let mut rig = Rig::open(&disk, &run.config, Arc::clone(&run.clock)).unwrap();
    let found = run.told.check(acknowledged, &rig.log);
    disk.mark(1);
    let more = vec![row(Stream::ConfigChanges, -1), row(Stream::ConfigChanges, -2)];
    let head = rig.log.head();
    let answers = rig.commit(std::slice::from_ref(&more));
    assert_eq!(answers[0].as_ref().unwrap().start, head);
    disk.mark(2);
    if checked {
        drop(rig);
        let report = fsck_on(&disk, sim_dir()).unwrap();
        assert!(report.is_sound() && report.unfinished_bytes == 0, "after the start: {report}");
    }
    let moments = disk.moments();
    let moment = &moments[chance.below(moments.len())];
    let disk = moment.crash(chance.draw());
    let rig = Rig::open(&disk, &run.config, Arc::clone(&run.clock)).unwrap();
    if moment.mark == 0 {
        run.told.check(acknowledged, &rig.log);
    } else {
        check_second_life(&rig.log, found, moment.mark == 2, &more);
    }
    2
}

/// What the first new life found is promised as well, once it could be read.
fn check_second_life(
    log: &FileLog,
    (floor, found): (usize, Vec<Entry>),
    is_more_promised: bool,
    more: &[Entry],
) {
    assert_eq!(log.recovery().quarantined, []);
    let (floor_now, again) = content(log);
    let skip = floor - usize::try_from(floor_now).unwrap(); // a trim may not have got there
    let rest = again[skip..].strip_prefix(&found[..]).expect("what a start found stays");
    let ids: Vec<i64> = rest.iter().map(id).collect();
    assert!(
        rest == more || (!is_more_promised && rest.is_empty()),
        "the append after it (promised: {is_more_promised}): {ids:?}"
    );
}

#[test]
fn whatever_the_disk_kept_what_was_acknowledged_is_there_and_nothing_is_invented() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = ProptestConfig {
        cases: cases.unwrap_or(48),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    // The same scripts in every run; a larger PROPTEST_CASES looks at more of them.
    let chance = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let states = Cell::new(0);
    let mut runner = TestRunner::new_with_rng(config, chance);
    runner
        .run(&script(), |script| {
            states.set(states.get() + run(&script));
            Ok(())
        })
        .unwrap();
    println!("{} crash states", states.get());
    assert!(states.get() >= STATES, "{} states", states.get());
}
