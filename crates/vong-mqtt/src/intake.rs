//! The service of one broker: connects, reads, and acknowledges what is durable.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};
use vong_decode::{Decoder, Subscription};
use vong_log::Log;
use vong_runtime::{Clock, Shutdown};

use crate::backoff::Backoff;
use crate::codec::{Incoming, Outgoing};
use crate::config::BrokerConfig;
use crate::error::Error;
use crate::link::Link;
use crate::metrics::{BrokerMetrics, MqttMetrics};

mod pipeline;

use pipeline::{Pipeline, Receipt};

/// Messages read in one go before other work gets its turn.
const TURN_MESSAGES: usize = 512;
/// At shutdown, an append may take this long; what is not durable then is delivered again.
const FAREWELL: Duration = Duration::from_secs(5);
/// A connection that held this long was a good one: the next attempt comes soon. Shorter ones slow
/// us down, as when two clients of one name keep pushing each other out.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// Takes the messages of one broker into the log.
///
/// A message is acknowledged once the append that holds its rows is durable, and on the connection
/// it came on; everything else is delivered again by the broker and recognised.
pub struct MqttIntake {
    config: BrokerConfig,
    subscriptions: Vec<Subscription>,
    pipeline: Pipeline,
    metrics: BrokerMetrics,
    backoff: Backoff,
    heard_of: HeardOf,
}

/// What the log last heard of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeardOf {
    Nothing,
    Connected,
    Lost,
}

impl fmt::Debug for MqttIntake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttIntake").field("broker", &self.config.id).finish_non_exhaustive()
    }
}

impl MqttIntake {
    /// `decoder` holds the sources of this broker; `seed` spreads reconnections of many clients.
    ///
    /// # Errors
    /// [`Error::NoSource`] and [`Error::Config`] for what can never work.
    pub fn new(
        config: BrokerConfig,
        decoder: Decoder,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        metrics: &MqttMetrics,
        seed: u64,
    ) -> Result<Self, Error> {
        let subscriptions = decoder.subscriptions();
        let broker = config.id.clone();
        if subscriptions.is_empty() {
            return Err(Error::NoSource { broker });
        }
        if config.client_id().is_empty() {
            let problem = "client_id is empty, so the broker could keep no session for us";
            return Err(Error::Config { broker, problem });
        }
        if config.username.is_none() && config.password_file.is_some() {
            return Err(Error::Config { broker, problem: "password_file needs a username" });
        }
        let metrics = metrics.of(&config.id);
        let pipeline = Pipeline::new(log, clock, decoder, metrics.clone(), seed);
        let backoff = Backoff::new(FIRST_RETRY, LAST_RETRY, seed);
        let heard_of = HeardOf::Nothing;
        Ok(Self { config, subscriptions, pipeline, metrics, backoff, heard_of })
    }

    /// Runs until `shutdown`; reconnects for as long as it takes.
    ///
    /// # Errors
    /// [`Error::Append`] when the log can never take what was received, [`Error::ReadTail`] when
    /// its end cannot be read. Nothing unacknowledged is lost by either.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), Error> {
        self.pipeline.remember_tail().await?;
        while !shutdown.is_requested() {
            let connected = tokio::select! {
                biased;
                () = shutdown.requested() => break,
                stopped = drain(&mut self.pipeline) => match stopped? {},
                connected = Box::pin(Link::connect(&self.config)) => connected,
            };
            let lost = match connected {
                Ok(mut link) => {
                    let since = Instant::now();
                    let ended = self.session(&mut link, &shutdown).await;
                    if since.elapsed() >= GOOD_CONNECTION {
                        self.backoff.reset();
                    }
                    match ended {
                        Ok(()) => return Ok(()),
                        Err(e @ Error::Append { .. }) => return Err(e),
                        Err(lost) => lost,
                    }
                }
                Err(failed) => failed,
            };
            self.note_lost(&lost);
            let wait = self.backoff.wait();
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                stopped = drain(&mut self.pipeline) => match stopped? {},
                () = sleep(wait) => {}
            }
        }
        self.finish(None).await
    }

    /// One connection, from subscribing to shutdown (`Ok`) or loss.
    async fn session(&mut self, link: &mut Link, shutdown: &Shutdown) -> Result<(), Error> {
        self.note_connected(link);
        let filters = self.subscriptions.iter().map(|s| (s.filter.clone(), s.qos)).collect();
        link.send([Outgoing::Subscribe(filters)]).await?;
        let beat = Duration::from_secs(self.config.keep_alive_s().into()) / 2;
        let mut heartbeat = interval(beat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent_beats = 0;
        loop {
            self.pipeline.begin_commit();
            let room = self.pipeline.has_room();
            tokio::select! {
                biased;
                () = shutdown.requested() => return self.finish(Some(link)).await,
                receipt = self.pipeline.committed() => {
                    acknowledge(link, receipt?, &self.metrics).await?;
                }
                _ = heartbeat.tick() => {
                    // While there is no room we do not listen, so silence means nothing.
                    silent_beats = if room { silent_beats + 1 } else { 0 };
                    if silent_beats > 3 {
                        return Err(Error::Silent { seconds: (beat * 3).as_secs() });
                    }
                    link.send([Outgoing::Ping]).await?;
                }
                incoming = link.next(), if room => {
                    silent_beats = 0;
                    self.take_turn(link, incoming?)?;
                }
            }
        }
    }

    /// Takes `first` and what else has arrived; never waits for more.
    fn take_turn(&mut self, link: &mut Link, first: Incoming) -> Result<(), Error> {
        let mut incoming = first;
        for _ in 0..TURN_MESSAGES {
            self.take(&incoming)?;
            if !self.pipeline.has_room() {
                return Ok(());
            }
            match link.next_now() {
                Some(next) => incoming = next?,
                None => return Ok(()),
            }
        }
        self.take(&incoming)
    }

    fn take(&mut self, incoming: &Incoming) -> Result<(), Error> {
        match incoming {
            Incoming::Message(message) => self.pipeline.take(message),
            Incoming::TooLarge(message) => self.pipeline.take_too_large(message),
            Incoming::Subscribed { refusals } => self.note_refusals(refusals),
            Incoming::Ended { reason } | Incoming::Refused { reason } => {
                return Err(Error::Ended { reason: reason.clone() });
            }
            Incoming::Accepted { .. } | Incoming::Pong | Incoming::Other => {}
        }
        Ok(())
    }

    fn note_connected(&mut self, link: &Link) {
        self.metrics.connections.inc();
        self.metrics.connected.set(1);
        let BrokerConfig { id, host, port, .. } = &self.config;
        let session = match (link.session_present(), self.heard_of) {
            (true, _) => "session taken up",
            (false, HeardOf::Nothing) => "session begun",
            (false, _) => "session begun anew: the broker forgot what it kept for us",
        };
        info!(broker = %id, host, port, session, "broker connected");
        let detail = format!("{host}:{port}, {session}");
        if self.heard_of != HeardOf::Connected {
            self.note_all("connected", &detail);
        }
        self.heard_of = HeardOf::Connected;
    }

    fn note_lost(&mut self, error: &Error) {
        // Acknowledgements belong to the connection their messages came on.
        self.pipeline.forget_receipts();
        self.metrics.connected.set(0);
        let reason = error.line();
        if self.heard_of == HeardOf::Lost {
            debug!(broker = %self.config.id, error = %reason, "broker still away");
            return;
        }
        warn!(broker = %self.config.id, error = %reason, "broker lost, trying again");
        self.note_all("lost", &reason);
        self.heard_of = HeardOf::Lost;
    }

    fn note_all(&mut self, state: &'static str, detail: &str) {
        for subscription in &self.subscriptions {
            self.pipeline.note(subscription.source_id.clone(), state, detail);
        }
    }

    fn note_refusals(&mut self, refusals: &[Option<String>]) {
        for (subscription, refusal) in self.subscriptions.iter().zip(refusals) {
            let Subscription { source_id, filter, .. } = subscription;
            let Some(reason) = refusal else { continue };
            warn!(broker = %self.config.id, source = %source_id, filter, reason, "not subscribed");
            let detail = format!("subscription to {filter} refused: {reason}");
            self.pipeline.note(source_id.clone(), "lost", &detail);
        }
    }

    /// Makes durable what was received, acknowledges it where there is a connection, and leaves.
    async fn finish(&mut self, mut link: Option<&mut Link>) -> Result<(), Error> {
        let all = async {
            self.pipeline.begin_commit();
            while self.pipeline.is_busy() {
                let receipt = self.pipeline.committed().await?;
                self.pipeline.begin_commit();
                if let Some(link) = &mut link {
                    acknowledge(link, receipt, &self.metrics).await?;
                }
            }
            if let Some(link) = &mut link {
                link.send([Outgoing::Disconnect]).await?;
            }
            Ok(())
        };
        match timeout(FAREWELL, all).await {
            Ok(Err(e @ Error::Append { .. })) => Err(e),
            Ok(Ok(()) | Err(_)) => Ok(()), // a broker that goes first delivers again
            Err(_elapsed) => {
                warn!(broker = %self.config.id, "stopped before all was durable; it will come again");
                Ok(())
            }
        }
    }
}

/// Acknowledges, in order, what has just become durable.
async fn acknowledge(
    link: &mut Link,
    receipt: Receipt,
    metrics: &BrokerMetrics,
) -> Result<(), Error> {
    if !receipt.acks.is_empty() {
        link.send(receipt.acks.iter().copied().map(Outgoing::Acknowledge)).await?;
    }
    metrics.acknowledged.inc_by(receipt.acks.len() as u64);
    receipt.observe(metrics);
    Ok(())
}

/// Keeps appending while there is no connection; ends only with an error.
async fn drain(pipeline: &mut Pipeline) -> Result<std::convert::Infallible, Error> {
    loop {
        pipeline.begin_commit();
        drop(pipeline.committed().await?); // no connection to acknowledge on
    }
}
