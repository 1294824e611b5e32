//! City to embedded broker to subscriber, with exact counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use vong_model::SensorId;
use vong_runtime::{ManualClock, OnFailure, Tasks};

use super::*;
use crate::broker::{BrokerConfig, EmbeddedBroker};
use crate::city::{City, CityConfig};
use crate::scenarios::ScenarioKind;

const START: UnixMicros = 1_795_305_600_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

async fn broker(v5: bool) -> EmbeddedBroker {
    // another process may take a free port before we do: try again then
    for _ in 0..5 {
        let config = BrokerConfig { port: free_port(), port_v5: v5.then(free_port) };
        if let Ok(broker) = EmbeddedBroker::start(&config).await {
            return broker;
        }
    }
    panic!("no free port")
}

/// What a subscriber to everything has received: payloads by sensor.
#[derive(Default)]
struct Received {
    by_sensor: BTreeMap<SensorId, Vec<String>>,
    total: u64,
}

impl Received {
    fn add(&mut self, topic: &str, payload: &[u8]) {
        let sensor_id = topic.split('/').nth(2).unwrap();
        let payload = String::from_utf8(payload.to_vec()).unwrap();
        self.by_sensor.entry(SensorId::from(sensor_id)).or_default().push(payload);
        self.total += 1;
    }

    fn counts(&self) -> BTreeMap<SensorId, u64> {
        self.by_sensor.iter().map(|(id, all)| (id.clone(), all.len() as u64)).collect()
    }
}

/// A TCP line to `broker`; each notification of `cuts` breaks the connection of that moment.
async fn weak_line(tasks: &Tasks, broker: SocketAddr, cuts: Arc<Notify>) -> u16 {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn("test/line", OnFailure::Continue, async move {
        loop {
            let (mut near, _) = listener.accept().await?;
            let mut far = tokio::net::TcpStream::connect(broker).await?;
            tokio::select! {
                _ends = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                () = cuts.notified() => {}
            }
        }
        #[expect(unreachable_code, reason = "gives the task its error type")]
        Ok::<(), std::io::Error>(())
    });
    port
}

struct Rig {
    city: City,
    clock: ManualClock,
    tasks: Tasks,
    events: rumqttc::EventLoop,
    received: Received,
}

impl Rig {
    /// A city that publishes to a fresh broker, and a subscriber that is there before the start.
    async fn start(protocol: Protocol) -> Self {
        Self::start_behind(protocol, None).await
    }

    /// As [`Self::start`]; the city reaches its broker through a line that `cuts` interrupts.
    async fn start_behind(protocol: Protocol, cuts: Option<&Arc<Notify>>) -> Self {
        let broker = broker(protocol == Protocol::V5).await;
        let mut options = MqttOptions::new("subscriber", "127.0.0.1", broker.address.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut events) = AsyncClient::new(options, 16);
        client.subscribe("city/#", QoS::AtLeastOnce).await.unwrap();
        while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::SubAck(_))) {}
        let tasks = Tasks::new("edges", Shutdown::new());
        let address = match protocol {
            Protocol::V311 => broker.address,
            Protocol::V5 => broker.address_v5.unwrap(),
        };
        let port = match cuts {
            Some(cuts) => weak_line(&tasks, address, Arc::clone(cuts)).await,
            None => address.port(),
        };
        let (city, clock) = (City::new(1), ManualClock::new(START));
        let mqtt = PublisherConfig { protocol, ..PublisherConfig::new("127.0.0.1", port) };
        let shutdown = tasks.shutdown();
        let running = {
            let (city, clock) = (city.clone(), clock.clone());
            async move {
                city.run(CityConfig { start: START, mqtt }, Arc::new(clock), shutdown).await;
                Ok::<(), String>(())
            }
        };
        tasks.spawn("sim/publisher", OnFailure::Continue, running);
        drop(client);
        Self { city, clock, tasks, events, received: Received::default() }
    }

    /// Receives until everything due so far was published, acknowledged and received.
    async fn receive_all(&mut self, expected: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.received.total < expected {
            let event = timeout_at(deadline, self.events.poll()).await;
            let Ok(event) = event else { panic!("{} of {expected}", self.received.total) };
            match event {
                Ok(Event::Incoming(Packet::Publish(p))) => self.received.add(&p.topic, &p.payload),
                Ok(_) => {}
                Err(e) => panic!("{e}"),
            }
        }
    }
}

/// How many messages the city owes by `at_ms`, silent sensors left out.
fn owed(world: &World, at_ms: u64) -> u64 {
    let mut schedule = Schedule::new(world, 1.0);
    let mut owed = 0;
    while let Some(due) = schedule.take_before(at_ms + 1) {
        owed += u64::from(world.reading(due.sensor, due.at_ms).is_some());
    }
    owed
}

async fn round_trip(protocol: Protocol) {
    let mut rig = Rig::start(protocol).await;
    for second in 1..=12 {
        rig.clock.set(START + second * 1_000_000);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let expected = owed(rig.city.world(), 12_000);
    assert!(expected > 4_000, "{expected}");
    rig.receive_all(expected).await;
    rig.tasks.stop(Duration::from_secs(5)).await;
    let counts = rig.city.counts();
    assert_eq!(counts.total(), expected);
    assert_eq!(counts.total_acknowledged(), expected);
    assert_eq!(counts.by_sensor(), rig.received.counts());
}

#[tokio::test]
async fn everything_published_arrives_once_over_mqtt_3_1_1() {
    round_trip(Protocol::V311).await;
}

#[tokio::test]
async fn everything_published_arrives_once_over_mqtt_5() {
    round_trip(Protocol::V5).await;
}

#[tokio::test]
async fn stalled_publisher_catches_up_in_order_and_faults_show_on_the_wire() {
    let mut rig = Rig::start(Protocol::V311).await;
    rig.clock.set(START + 30_000_000); // a stall of half a minute
    let world = Arc::clone(rig.city.world());
    let expected = owed(&world, 30_000);
    rig.receive_all(expected).await;
    rig.tasks.stop(Duration::from_secs(5)).await;
    let main = |kind| {
        let scenario = world.plan().cycle(0).iter().find(|s| s.kind == kind).unwrap();
        scenario.sensor_ids(&world)[0].clone()
    };
    let unix_ms = |payload: &String| {
        serde_json::from_str::<serde_json::Value>(payload).unwrap()["t"].as_i64().unwrap()
    };
    let since_start = |id: &SensorId| -> Vec<i64> {
        rig.received.by_sensor[id].iter().map(|p| unix_ms(p) - START / 1_000).collect()
    };
    let flood = since_start(&main(ScenarioKind::Flood));
    assert!(flood.is_sorted() && *flood.last().unwrap() >= 29_000, "{flood:?}");
    let dead = main(ScenarioKind::SensorDead);
    assert!(rig.received.counts()[&dead] <= 8, "a dead sensor sends nothing after its end");
    let fast = since_start(&main(ScenarioKind::FastClock));
    assert!(fast.iter().all(|t| *t < 15_000 || *t >= 315_000), "{fast:?}");
    assert!(fast.iter().any(|t| *t >= 315_000));
}

/// rumqttd forgets a clean session at once, so each cut is a broker that lost what it knew.
async fn cut_line(protocol: Protocol) {
    let cuts = Arc::new(Notify::new());
    let mut rig = Rig::start_behind(protocol, Some(&cuts)).await;
    for second in 1..=10 {
        rig.clock.set(START + second * 1_000_000);
        let some = rig.received.total + 150;
        rig.receive_all(some).await;
        cuts.notify_one(); // while most of this second's messages are on their way
    }
    let expected = owed(rig.city.world(), 10_000);
    let distinct = |rig: &Rig| -> u64 {
        let different = |all: &Vec<String>| all.iter().collect::<BTreeSet<_>>().len() as u64;
        rig.received.by_sensor.values().map(different).sum()
    };
    while distinct(&rig) < expected {
        let one_more = rig.received.total + 1;
        rig.receive_all(one_more).await;
    }
    rig.tasks.shutdown().request();
    assert_eq!(distinct(&rig), expected);
    assert_eq!(rig.city.counts().total(), expected);
}

#[tokio::test]
async fn cut_line_loses_nothing_over_mqtt_3_1_1() {
    cut_line(Protocol::V311).await;
}

#[tokio::test]
async fn cut_line_loses_nothing_over_mqtt_5() {
    cut_line(Protocol::V5).await;
}
