//! What must hold for any findings, watermarks, inhibitions and acts whatever.

use proptest::prelude::*;

use super::model::{Finding, Naive};
use super::*;

const SECOND: i64 = 1_000_000;
const KEYS: [&str; 3] = ["a", "b", "c"];
/// After every instant a case speaks of.
const END: i64 = 200;

/// One call of the machine, in whole seconds.
#[derive(Clone, Debug)]
enum Call {
    See(&'static str, Finding),
    Advance(i64),
    Inhibit(&'static str, Option<&'static str>, i64),
    Act(&'static str, Act, i64),
}

/// What a case is drawn from, before it is made to keep the engine's promises.
#[derive(Clone, Debug)]
enum Draw {
    Row { at: i64, key: usize, level: u8 },
    Mark { at: i64 },
    Window { levels: [Option<u8>; 3] },
    Inhibit { key: usize, by: u8, after: i64 },
    Act { key: usize, act: u8, last: i64 },
}

fn instant(seconds: i64) -> EventTime {
    EventTime(seconds * SECOND)
}

fn finding(level: u8, since: i64, at: i64) -> Finding {
    let value = [Some(20.0), Some(60.0), Some(75.0), Some(95.0), None, Some(20.0)];
    let value = value[usize::from(level) % value.len()];
    Finding { condition: !matches!(level, 0 | 5), value, since, at }
}

fn others() -> impl Strategy<Value = Draw> {
    let inhibit = (0..3_usize, 0..4_u8, 0..12_i64);
    let act = (0..3_usize, 0..4_u8, 1..15_i64);
    prop_oneof![
        inhibit.prop_map(|(key, by, after)| Draw::Inhibit { key, by, after }),
        act.prop_map(|(key, act, last)| Draw::Act { key, act, last }),
    ]
}

fn rows() -> impl Strategy<Value = Vec<Draw>> {
    let row = (0..60_i64, 0..3_usize, 0..6_u8);
    let row = row.prop_map(|(at, key, level)| Draw::Row { at, key, level });
    let mark = (0..60_i64).prop_map(|at| Draw::Mark { at });
    proptest::collection::vec(prop_oneof![6 => row, 1 => mark, 2 => others()], 0..50)
}

/// Rows whose instants mostly rise, so that little is refused as late.
fn tides() -> impl Strategy<Value = Vec<Draw>> {
    rows().prop_map(|mut draws| {
        let count = draws.len().max(1) as i64;
        for (place, draw) in (0..).zip(&mut draws) {
            match draw {
                Draw::Row { at, .. } => *at = place * 60 / count + *at % 5,
                Draw::Mark { at } => *at = place * 60 / count - *at % 3,
                Draw::Window { .. } | Draw::Inhibit { .. } | Draw::Act { .. } => {}
            }
        }
        draws
    })
}

fn windows() -> impl Strategy<Value = Vec<Draw>> {
    let level = proptest::option::weighted(0.8, 0..6_u8);
    let window = [level.clone(), level.clone(), level].prop_map(|levels| Draw::Window { levels });
    proptest::collection::vec(prop_oneof![3 => window, 1 => others()], 0..30)
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    prop_oneof![rows(), tides(), windows()]
}

/// Late rows never get here, and watermarks never go back: both are the engine's promise.
fn calls(draws: &[Draw]) -> Vec<Call> {
    let (mut calls, mut reached, mut now) = (Vec::new(), 0, 0);
    for draw in draws {
        match *draw {
            Draw::Row { at, key, level } if at >= reached => {
                calls.push(Call::See(KEYS[key], finding(level, at, at)));
                now = now.max(at);
            }
            Draw::Mark { at } if at >= reached => {
                calls.push(Call::Advance(at));
                (reached, now) = (at, now.max(at));
            }
            Draw::Row { .. } | Draw::Mark { .. } => {}
            Draw::Window { levels } => {
                let (since, at) = (reached, reached + 4);
                for (key, level) in KEYS.into_iter().zip(levels) {
                    calls.extend(level.map(|level| Call::See(key, finding(level, since, at))));
                }
                calls.push(Call::Advance(at));
                (reached, now) = (at, now.max(at));
            }
            Draw::Inhibit { key, by, after } => {
                let by = [None, None, Some("flood"), Some("storm")][usize::from(by)];
                calls.push(Call::Inhibit(KEYS[key], by, reached + after));
            }
            Draw::Act { key, act, last } => {
                let act = match act {
                    0 => Act::Acknowledge,
                    1 => Act::Shelve { until: Some(instant(now + last)) },
                    2 => Act::Unshelve,
                    _ => Act::Comment,
                };
                calls.push(Call::Act(KEYS[key], act, now));
            }
        }
    }
    calls.push(Call::Advance(END));
    calls
}

fn policies() -> impl Strategy<Value = Policy> {
    let rung = |severity, bound| {
        (0..5_u64, 0..5_u64).prop_map(move |(for_, lower)| Rung {
            severity,
            comparison: Comparison::Greater,
            bound,
            for_: Duration::from_secs(for_),
            lower_after: Duration::from_secs(lower),
        })
    };
    let ladder = (rung(Severity::High, 70.0), rung(Severity::Critical, 90.0), 0..3_usize);
    let limit = prop_oneof![Just(None), (1..3_u32, 3..15_u64).prop_map(Some)];
    let cooldown = prop_oneof![Just(0_u64), 1..15_u64];
    (0..5_u64, 0..5_u64, ladder, cooldown, limit).prop_map(
        |(for_, keep, ladder, cooldown, limit)| {
            let (high, critical, rungs) = ladder;
            let timing = Timing {
                for_: Duration::from_secs(for_),
                keep_firing_for: Duration::from_secs(keep),
            };
            Policy {
                ladder: [high, critical].into_iter().take(rungs).collect(),
                cooldown: Duration::from_secs(cooldown),
                limit: limit.map(|(alerts, per)| Limit { alerts, per: Duration::from_secs(per) }),
                ..Policy::new(Severity::Medium, timing)
            }
        },
    )
}

/// The machine, and what an operator's screen would know.
struct Run {
    machine: Machine<String>,
    out: Vec<Transition<String>>,
}

impl Run {
    fn new(policy: &Policy) -> Self {
        let machine = Machine::new(RuleId::from("r"), 1, policy.clone());
        Self { machine, out: Vec::new() }
    }

    /// The start of the key's latest alert, and whether an act on it was taken.
    fn call(&mut self, call: &Call) -> Option<(i64, bool)> {
        let Self { machine, out } = self;
        match call {
            Call::See(key, Finding { condition, value, since, at }) => {
                let inputs = Inputs { from: Offset(1), to: Offset(1) };
                let (since, at) = (instant(*since), instant(*at));
                let (condition, value) = (*condition, *value);
                let seen = Observation { condition, value, since, at, inputs };
                machine.observe(&(*key).to_owned(), &seen, out);
            }
            Call::Advance(at) => {
                let (idle, before) = (machine.is_idle(), out.len());
                machine.advance(instant(*at), out);
                assert!(!idle || out.len() == before, "an idle machine did something");
            }
            Call::Inhibit(key, by, at) => {
                let by = by.map(RuleId::from);
                machine.inhibit(&(*key).to_owned(), by.as_ref(), instant(*at), out);
            }
            Call::Act(key, act, at) => {
                let last = out.iter().rev().find(|step| step.key == *key)?;
                let (id, started) = (last.alert_id.clone(), last.started.micros() / SECOND);
                let done = machine.command(&id, act, ("an", Some("why")), instant(*at), out);
                return Some((started, done));
            }
        }
        None
    }

    fn all(policy: &Policy, calls: &[Call]) -> Self {
        let mut run = Self::new(policy);
        for call in calls {
            run.call(call);
        }
        run
    }

    fn lines(&self) -> Vec<String> {
        self.out.iter().map(line).collect()
    }

    fn by_key(&self) -> BTreeMap<&str, Vec<String>> {
        let mut of_key: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for step in &self.out {
            of_key.entry(&step.key).or_default().push(line(step));
        }
        of_key
    }
}

fn line(step: &Transition<String>) -> String {
    let Transition { key, state, severity, value, reason, .. } = step;
    let (at, started) = (step.at.micros() / SECOND, step.started.micros() / SECOND);
    format!("{key} {at} {state} {severity} {started} {value:?} {:?}", reason.as_deref())
}

/// Whether an alert may go from `before` to `after`.
fn is_legal(before: Option<State>, after: State) -> bool {
    use State::{Acknowledged, Cancelled, Firing, Pending, Resolved, Shelved, Suppressed};
    match (before, after) {
        (None, Pending | Firing | Shelved | Suppressed) => true,
        (None | Some(Resolved | Cancelled), _) => false,
        // A shelf hides which of the two it is.
        (Some(Pending | Shelved), Pending | Cancelled) => true,
        (Some(_), Pending | Cancelled) => false,
        (Some(Pending), Acknowledged | Resolved) => false,
        (Some(Suppressed | Shelved), Acknowledged) => false,
        (Some(_), _) => true,
    }
}

/// At least a thousand; more where the environment asks for more.
fn cases() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(1_000), ..asked }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_machine_does_what_the_plain_model_does(draws in draws(), policy in policies()) {
        let (mut run, mut naive) = (Run::new(&policy), Naive::new(policy));
        for call in calls(&draws) {
            let acted = run.call(&call);
            match &call {
                Call::See(key, seen) => naive.observe(key, seen),
                Call::Advance(at) => naive.advance(*at),
                Call::Inhibit(key, by, at) => naive.inhibit(key, *by, *at),
                Call::Act(key, act, at) => {
                    if let Some((started, done)) = acted {
                        prop_assert_eq!(naive.command(key, started, act, *at), done);
                    }
                }
            }
            prop_assert_eq!(run.lines(), naive.out.clone(), "after {:?}", call);
        }
    }

    #[test]
    fn it_does_not_matter_how_often_the_watermark_moves(
        draws in draws(),
        policy in policies(),
        kept in proptest::collection::vec(any::<bool>(), 60),
    ) {
        // Acts come by the clock of arrival: what they meet depends on what has been told by then.
        // So does an inhibition that is told when its instant has passed, or before an earlier one.
        let mut often = calls(&draws);
        let (mut reached, mut told) = (0, BTreeMap::new());
        often.retain(|call| match call {
            Call::Act(..) => false,
            Call::See(..) => true,
            Call::Advance(at) => {
                reached = *at;
                true
            }
            Call::Inhibit(key, _, at) => {
                let last = told.entry(*key).or_insert(*at);
                let in_time = *at > reached && *at >= *last;
                *last = (*last).max(*at);
                in_time
            }
        });
        let last = often.len() - 1;
        let mut kept = kept.into_iter().cycle();
        let numbered = often.iter().enumerate();
        let seldom = numbered.filter(|(place, call)| {
            !matches!(call, Call::Advance(_)) || *place == last || kept.next() == Some(true)
        });
        let seldom: Vec<Call> = seldom.map(|(_, call)| call.clone()).collect();
        let never = often.iter().enumerate();
        let never = never.filter(|(place, c)| !matches!(c, Call::Advance(_)) || *place == last);
        let never: Vec<Call> = never.map(|(_, call)| call.clone()).collect();
        let often = Run::all(&policy, &often);
        for other in [seldom, never] {
            let other = Run::all(&policy, &other);
            prop_assert_eq!(often.by_key(), other.by_key());
        }
    }

    #[test]
    fn a_restored_machine_goes_on_as_if_nothing_had_been(
        draws in draws(),
        policy in policies(),
        place in any::<prop::sample::Index>(),
    ) {
        let calls = calls(&draws);
        let place = place.index(calls.len());
        let whole = Run::all(&policy, &calls);
        let mut run = Run::all(&policy, &calls[..place]);
        let written = serde_json::to_string(&run.machine.snapshot()).unwrap();
        let read: Snapshot<String> = serde_json::from_str(&written).unwrap();
        let read = read.map_keys(Ok::<_, ()>).unwrap();
        prop_assert_eq!(&read, &run.machine.snapshot());
        let before = (run.machine.open_count(), run.machine.is_idle(), run.machine.kept_back());
        run.machine = Machine::restore(RuleId::from("r"), 1, policy, read);
        let after = (run.machine.open_count(), run.machine.is_idle(), run.machine.kept_back());
        prop_assert_eq!(before, after);
        for call in &calls[place..] {
            run.call(call);
        }
        prop_assert_eq!(run.out, whole.out);
    }

    #[test]
    fn every_episode_is_one_legal_path_and_no_limit_is_passed(
        draws in draws(),
        policy in policies(),
    ) {
        let run = Run::all(&policy, &calls(&draws));
        let mut last: BTreeMap<&AlertId, State> = BTreeMap::new();
        let mut open: BTreeMap<&str, &AlertId> = BTreeMap::new();
        let mut fired: BTreeMap<&AlertId, EventTime> = BTreeMap::new();
        for step in &run.out {
            let before = last.insert(&step.alert_id, step.state);
            prop_assert!(is_legal(before, step.state), "{:?} -> {:?}", before, step);
            match step.state {
                State::Resolved | State::Cancelled => {
                    prop_assert_eq!(open.remove(step.key.as_str()), Some(&step.alert_id));
                }
                _ => {
                    let other = open.insert(&step.key, &step.alert_id);
                    prop_assert!(other.is_none_or(|id| *id == step.alert_id));
                }
            }
            if step.state == State::Firing {
                fired.entry(&step.alert_id).or_insert(step.at);
            }
        }
        prop_assert_eq!(run.machine.open_count(), open.len());
        prop_assert_eq!(run.machine.open_keys().count(), open.len());
        if let Some(Limit { alerts, per }) = policy.limit {
            let mut spans: BTreeMap<u64, u32> = BTreeMap::new();
            for at in fired.values() {
                *spans.entry(at.since(EventTime(0)).as_secs() / per.as_secs()).or_default() += 1;
            }
            prop_assert!(spans.values().all(|count| *count <= alerts), "{:?}", spans);
        }
    }
}
