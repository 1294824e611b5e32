//! The state machine once more, slow and plain: whenever anything happens, every second of a key is
//! lived through from the beginning. No timers, nothing remembered to save work.

use super::*;

const SECOND: i64 = 1_000_000;

/// Seconds of a duration of a test: always whole ones.
fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap()
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Finding {
    pub(super) condition: bool,
    pub(super) value: Option<f64>,
    pub(super) since: i64,
    pub(super) at: i64,
}

/// Whether an alert may start firing at an instant.
type Ask<'a> = &'a mut dyn FnMut(i64) -> bool;

/// The rule, its cap, and where steps are told.
struct World<'a> {
    policy: &'a Policy,
    ask: Ask<'a>,
    said: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Key {
    alert: Option<Alert>,
    shelf: Option<Put>,
    closed: Option<(i64, i64)>,
    quiet: Option<i64>,
    inhibitor: Option<String>,
    plans: Vec<(i64, Option<String>)>,
}

/// A shelf: until when, for which alert, why.
#[derive(Clone, Debug)]
struct Put {
    until: i64,
    started: i64,
    reason: Option<String>,
}

#[derive(Clone, Debug)]
struct Alert {
    started: i64,
    fires: i64,
    last: i64,
    clear: Option<i64>,
    active: bool,
    acked: bool,
    held: bool,
    ticket: Option<bool>,
    value: Option<f64>,
    severity: Severity,
    /// Up, and since when the comparison says otherwise.
    rungs: Vec<(bool, Option<i64>)>,
}

#[derive(Clone, Copy)]
enum Order {
    Timer(i64),
    Sight(i64),
}

pub(super) struct Naive {
    policy: Policy,
    keys: BTreeMap<String, Key>,
    fired: BTreeMap<i64, u32>,
    reached: i64,
    pub(super) out: Vec<String>,
}

impl Naive {
    pub(super) fn new(policy: Policy) -> Self {
        let (keys, fired) = (BTreeMap::new(), BTreeMap::new());
        Self { policy, keys, fired, reached: -1, out: Vec::new() }
    }

    pub(super) fn observe(&mut self, name: &str, seen: &Finding) {
        for second in 0..=seen.since {
            if self.means_nothing(name, seen) {
                return;
            }
            self.second(name, second);
        }
        if self.means_nothing(name, seen) {
            return;
        }
        self.with(name, Order::Sight(seen.since), |key, world| key.observe(seen, world));
    }

    pub(super) fn advance(&mut self, watermark: i64) {
        self.reached = watermark;
        let names: Vec<String> = self.keys.keys().cloned().collect();
        for second in 0..=watermark {
            for name in &names {
                self.second(name, second);
            }
        }
    }

    pub(super) fn inhibit(&mut self, name: &str, by: Option<&str>, at: i64) {
        let key = self.keys.entry(name.to_owned()).or_default();
        key.plans.push((at, by.map(str::to_owned)));
        key.plans.sort_by_key(|(at, _)| *at);
        self.live(name, self.reached);
    }

    /// False when the alert of `name` that started at `started` is neither open nor shelved.
    pub(super) fn command(&mut self, name: &str, started: i64, act: &Act, at: i64) -> bool {
        let Some(key) = self.keys.get(name) else { return false };
        let open = key.alert.as_ref().is_some_and(|alert| alert.started == started);
        if !open && key.shelf.as_ref().is_none_or(|shelf| shelf.started != started) {
            return false;
        }
        let why = Some("why");
        self.with(name, Order::Sight(at), |key, world| match act {
            Act::Acknowledge => {
                if key.state() == Some(State::Firing) {
                    key.alert.as_mut().unwrap().acked = true;
                    key.say(at, why, world);
                }
            }
            Act::Shelve { until } => {
                let until = until.unwrap().micros() / SECOND;
                key.shelf = Some(Put { until, started, reason: why.map(str::to_owned) });
                key.say(at, why, world);
            }
            Act::Unshelve => key.unshelve(at, why, world),
            Act::Comment => key.say(at, why, world),
        });
        true
    }

    fn means_nothing(&mut self, name: &str, seen: &Finding) -> bool {
        let key = self.keys.entry(name.to_owned()).or_default();
        key.alert.is_none() && key.shelf.is_none() && (!seen.condition || key.covers(seen))
    }

    fn live(&mut self, name: &str, to: i64) {
        for second in 0..=to {
            self.second(name, second);
        }
    }

    fn second(&mut self, name: &str, second: i64) {
        self.with(name, Order::Timer(second), |key, world| key.second(second, world));
    }

    fn with(&mut self, name: &str, order: Order, act: impl FnOnce(&mut Key, &mut World<'_>)) {
        let mut key = self.keys.remove(name).unwrap_or_default();
        let Self { policy, keys, fired, .. } = self;
        let (policy, keys) = (&*policy, &*keys);
        let mut ask = |at: i64| {
            let Some(limit) = policy.limit else { return true };
            let per = whole(limit.per);
            let span = at.div_euclid(per) * per;
            let taken = fired.entry(span).or_insert(0);
            let ahead = keys.iter().filter(|(other, key)| match order {
                Order::Timer(second) => key
                    .starts_by(second, policy)
                    .is_some_and(|start| start >= span && (start, other.as_str()) < (second, name)),
                Order::Sight(second) => {
                    key.starts_by(second, policy).is_some_and(|start| start >= span)
                }
            });
            let admitted = *taken as usize + ahead.count() < limit.alerts as usize;
            *taken += u32::from(admitted);
            admitted
        };
        let mut world = World { policy, ask: &mut ask, said: Vec::new() };
        act(&mut key, &mut world);
        self.out.extend(world.said.into_iter().map(|said| format!("{name} {said}")));
        self.keys.insert(name.to_owned(), key);
    }
}

impl Key {
    fn covers(&self, seen: &Finding) -> bool {
        self.closed.is_some_and(|(started, at)| seen.at < at || seen.since <= started)
    }

    fn state(&self) -> Option<State> {
        let alert = self.alert.as_ref()?;
        Some(if self.shelf.is_some() {
            State::Shelved
        } else if !alert.active {
            State::Pending
        } else if alert.held || alert.ticket == Some(false) {
            State::Suppressed
        } else if alert.acked {
            State::Acknowledged
        } else {
            State::Firing
        })
    }

    fn say(&self, at: i64, reason: Option<&str>, world: &mut World<'_>) {
        if let Some(state) = self.state() {
            self.say_as(state, at, reason, world);
        }
    }

    fn say_as(&self, state: State, at: i64, reason: Option<&str>, world: &mut World<'_>) {
        if let Some(alert) = &self.alert {
            let Alert { severity, started, value, .. } = alert;
            world.said.push(format!("{at} {state} {severity} {started} {value:?} {reason:?}"));
        }
    }

    /// When the alert asks to fire within the next seconds up to `to` if nothing else happens.
    fn starts_by(&self, to: i64, policy: &Policy) -> Option<i64> {
        let mut key = self.clone();
        let mut asked = None;
        for second in 0..=to {
            let mut ask = |_: i64| {
                asked.get_or_insert(second);
                false
            };
            key.second(second, &mut World { policy, ask: &mut ask, said: Vec::new() });
        }
        asked.filter(|_| self.alert.as_ref().is_some_and(|alert| alert.ticket.is_none()))
    }

    fn second(&mut self, second: i64, world: &mut World<'_>) {
        self.plans_to(second, world);
        if self.shelf.as_ref().is_some_and(|shelf| shelf.until <= second) {
            self.unshelve(second, Some("shelving ended"), world);
        }
        let keep = whole(world.policy.timing.keep_firing_for);
        let Some(alert) = self.alert.as_mut() else { return };
        if alert.active && alert.clear.is_some_and(|clear| clear + keep <= second) {
            return self.end(State::Resolved, second, "condition stayed clear", world);
        }
        for (rung, (up, since)) in world.policy.ladder.iter().zip(&mut alert.rungs) {
            let wait = whole(if *up { rung.lower_after } else { rung.for_ });
            if since.is_some_and(|since| since + wait <= second) {
                (*up, *since) = (!*up, None);
            }
        }
        self.tell_severity(second, world);
        if self.alert.as_ref().is_some_and(|alert| !alert.active && alert.fires <= second) {
            self.activate(second, world);
        }
    }

    fn observe(&mut self, seen: &Finding, world: &mut World<'_>) {
        self.plans_to(seen.at, world);
        let covered = self.covers(seen);
        let Some(alert) = self.alert.as_mut() else {
            if seen.condition && !covered {
                self.open(seen, world);
            }
            return;
        };
        if seen.at < alert.last {
            return;
        }
        alert.last = seen.at;
        if seen.condition {
            alert.value = seen.value;
            alert.clear = None;
            let starts = !alert.active && alert.fires <= seen.at;
            let freed = alert.held && self.inhibitor.is_none();
            alert.held &= !freed;
            self.look_at_ladder(seen, seen.value, world);
            if starts {
                self.set_severity(world);
                self.activate(seen.at, world);
            } else if freed && self.shelf.is_none() {
                self.set_severity(world);
                self.alarm(seen.at, Some("inhibition ended"), world);
            } else {
                self.tell_severity(seen.at, world);
            }
        } else if !alert.active {
            alert.value = seen.value;
            let cooling = alert.fires > alert.started + whole(world.policy.timing.for_);
            let why = if cooling { "during COOLDOWN" } else { "before FOR" };
            self.end(State::Cancelled, seen.at, &format!("condition cleared {why}"), world);
        } else {
            let clear = *alert.clear.get_or_insert(seen.since);
            if clear + whole(world.policy.timing.keep_firing_for) <= seen.at {
                alert.value = seen.value;
                return self.end(State::Resolved, seen.at, "condition cleared", world);
            }
            self.look_at_ladder(seen, None, world);
            self.tell_severity(seen.at, world);
        }
    }

    fn open(&mut self, seen: &Finding, world: &mut World<'_>) {
        let fires = seen.since + whole(world.policy.timing.for_);
        self.closed = None;
        self.alert = Some(Alert {
            started: seen.since,
            fires: fires.max(self.quiet.unwrap_or(fires)),
            last: seen.at,
            clear: None,
            active: false,
            acked: false,
            held: false,
            ticket: None,
            value: seen.value,
            severity: world.policy.severity,
            rungs: vec![(false, None); world.policy.ladder.len()],
        });
        self.look_at_ladder(seen, seen.value, world);
        self.set_severity(world);
        if self.alert.as_ref().unwrap().fires <= seen.at {
            self.activate(seen.at, world);
        } else {
            self.say(seen.at, None, world);
        }
    }

    fn look_at_ladder(&mut self, seen: &Finding, value: Option<f64>, world: &World<'_>) {
        let alert = self.alert.as_mut().unwrap();
        for (rung, (up, since)) in world.policy.ladder.iter().zip(&mut alert.rungs) {
            let holds = value.is_some_and(|value| value > rung.bound);
            if holds == *up {
                *since = None;
            } else {
                let began = since.unwrap_or(seen.since);
                let wait = whole(if *up { rung.lower_after } else { rung.for_ });
                *since = Some(began);
                if began + wait <= seen.at {
                    (*up, *since) = (holds, None);
                }
            }
        }
    }

    fn set_severity(&mut self, world: &World<'_>) {
        let alert = self.alert.as_mut().unwrap();
        alert.severity = world.policy.severity;
        for (rung, (up, _)) in world.policy.ladder.iter().zip(&alert.rungs) {
            if *up {
                alert.severity = rung.severity;
            }
        }
    }

    fn tell_severity(&mut self, at: i64, world: &mut World<'_>) {
        let before = self.alert.as_ref().unwrap().severity;
        self.set_severity(world);
        let alert = self.alert.as_mut().unwrap();
        let now = alert.severity;
        if before == now || !alert.active {
            return;
        }
        let way = if now > before { "raised" } else { "lowered" };
        if now > before {
            alert.acked = false;
        }
        let mut reason = format!("severity {way} to {now}");
        if self.state() == Some(State::Suppressed) {
            reason = format!("{}; {reason}", self.why(world));
        }
        self.say(at, Some(&reason), world);
    }

    fn activate(&mut self, at: i64, world: &mut World<'_>) {
        let alert = self.alert.as_mut().unwrap();
        alert.active = true;
        alert.held = self.inhibitor.is_some();
        self.alarm(at, None, world);
    }

    fn alarm(&mut self, at: i64, reason: Option<&str>, world: &mut World<'_>) {
        let alert = self.alert.as_mut().unwrap();
        if let Some(shelf) = &mut self.shelf {
            shelf.started = alert.started;
            let reason = shelf.reason.clone();
            return self.say(at, reason.as_deref(), world);
        }
        if !alert.held && alert.ticket.is_none() {
            alert.ticket = Some((world.ask)(at));
        }
        alert.acked = false;
        let suppressed = self.state() == Some(State::Suppressed);
        let reason = if suppressed { Some(self.why(world)) } else { reason.map(str::to_owned) };
        self.say(at, reason.as_deref(), world);
    }

    fn why(&self, world: &World<'_>) -> String {
        match (&self.inhibitor, self.alert.as_ref().unwrap().held) {
            (Some(rule), true) => format!("inhibited by {rule}"),
            (None, true) => "condition clear when the inhibition ended".to_owned(),
            (_, false) => format!("over the limit of {}", world.policy.limit.unwrap()),
        }
    }

    fn plans_to(&mut self, to: i64, world: &mut World<'_>) {
        loop {
            let told = self.alert.as_ref().filter(|alert| alert.active);
            let Some((at, _)) = self.plans.first() else { return };
            let at = told.map_or(*at, |told| told.last.max(told.fires).max(*at));
            if at > to {
                return;
            }
            let (_, by) = self.plans.remove(0);
            if self.inhibitor != by {
                self.inhibitor = by;
                self.inhibitor_changed(at, world);
            }
        }
    }

    fn inhibitor_changed(&mut self, at: i64, world: &mut World<'_>) {
        let Some(alert) = self.alert.as_mut() else { return };
        if !alert.active || alert.ticket == Some(false) {
            return;
        }
        if self.inhibitor.is_some() {
            alert.held = true;
            if self.shelf.is_none() {
                let why = self.why(world);
                self.say(at, Some(&why), world);
            }
        } else if alert.clear.is_none() {
            alert.held = false;
            if self.shelf.is_none() {
                self.alarm(at, Some("inhibition ended"), world);
            }
        }
    }

    fn unshelve(&mut self, at: i64, reason: Option<&str>, world: &mut World<'_>) {
        if self.shelf.take().is_none() {
            return;
        }
        match &self.alert {
            None => {}
            Some(alert) if alert.active => self.alarm(at, reason, world),
            Some(_) => self.say(at, reason, world),
        }
    }

    fn end(&mut self, state: State, at: i64, reason: &str, world: &mut World<'_>) {
        self.say_as(state, at, Some(reason), world);
        let alert = self.alert.take().unwrap();
        self.closed = Some((alert.started, at));
        let cooldown = whole(world.policy.cooldown);
        if state == State::Resolved && alert.ticket == Some(true) && cooldown > 0 {
            self.quiet = Some(at + cooldown);
        }
    }
}
