//! What intake counts.

use vong_telemetry::{Counter, CounterVec, Gauge, GaugeVec, Histogram, Metrics};

/// The metrics of all brokers; built once, cheap to clone.
#[derive(Clone, Debug)]
pub struct MqttMetrics {
    pub(crate) messages: CounterVec,
    pub(crate) acknowledged: CounterVec,
    pub(crate) rows: CounterVec,
    pub(crate) rejects: CounterVec,
    pub(crate) duplicates: CounterVec,
    pub(crate) connections: CounterVec,
    pub(crate) append_failures: CounterVec,
    pub(crate) connected: GaugeVec,
    pub(crate) lag: GaugeVec,
    pub(crate) waiting: GaugeVec,
    pub(crate) ack_latency: Histogram,
}

const LATENCY_BUCKETS_S: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

impl MqttMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        let counter = |name: &str, help: &str| metrics.counter_vec(name, help, &["broker"]);
        let gauge = |name: &str, help: &str| metrics.gauge_vec(name, help, &["broker"]);
        Self {
            messages: counter("vong_mqtt_messages_total", "Messages received."),
            acknowledged: counter(
                "vong_mqtt_acknowledged_total",
                "Messages acknowledged: their rows are durable.",
            ),
            rows: counter("vong_mqtt_rows_total", "Readings decoded from messages."),
            rejects: metrics.counter_vec(
                "vong_mqtt_rejects_total",
                "Messages or fields rejected, by reason.",
                &["broker", "reason"],
            ),
            duplicates: counter(
                "vong_mqtt_duplicates_total",
                "Messages delivered again, recognised and not stored again.",
            ),
            connections: counter("vong_mqtt_connections_total", "Connections made."),
            append_failures: counter(
                "vong_mqtt_append_failures_total",
                "Appends the log refused; the messages stay unacknowledged and are tried again.",
            ),
            connected: gauge("vong_mqtt_connected", "1 while the broker is connected."),
            lag: gauge(
                "vong_mqtt_lag_ms",
                "Arrival time less event time of the latest reading, milliseconds.",
            ),
            waiting: gauge("vong_mqtt_waiting_messages", "Messages received and not yet durable."),
            ack_latency: metrics.histogram(
                "vong_mqtt_ack_latency_seconds",
                "From the arrival of a batch's first message to its acknowledgements.",
                &LATENCY_BUCKETS_S,
            ),
        }
    }

    pub(crate) fn of(&self, broker: &str) -> BrokerMetrics {
        let labels = [broker];
        BrokerMetrics {
            broker: broker.to_owned(),
            messages: self.messages.with_label_values(&labels),
            acknowledged: self.acknowledged.with_label_values(&labels),
            rows: self.rows.with_label_values(&labels),
            rejects: self.rejects.clone(),
            duplicates: self.duplicates.with_label_values(&labels),
            connections: self.connections.with_label_values(&labels),
            append_failures: self.append_failures.with_label_values(&labels),
            connected: self.connected.with_label_values(&labels),
            lag: self.lag.with_label_values(&labels),
            waiting: self.waiting.with_label_values(&labels),
            ack_latency: self.ack_latency.clone(),
        }
    }
}

/// The metrics of one broker.
#[derive(Clone, Debug)]
pub(crate) struct BrokerMetrics {
    pub(crate) broker: String,
    pub(crate) messages: Counter,
    pub(crate) acknowledged: Counter,
    pub(crate) rows: Counter,
    pub(crate) rejects: CounterVec,
    pub(crate) duplicates: Counter,
    pub(crate) connections: Counter,
    pub(crate) append_failures: Counter,
    pub(crate) connected: Gauge,
    pub(crate) lag: Gauge,
    pub(crate) waiting: Gauge,
    pub(crate) ack_latency: Histogram,
}
