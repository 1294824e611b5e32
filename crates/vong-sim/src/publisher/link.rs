//! One MQTT client in either protocol version.
//!
//! rumqttc throws away what it still has to send when a broker comes back without the session;
//! this keeps those messages and sends them again.

use std::collections::VecDeque;
use std::time::Duration;

use rumqttc::v5;

use super::{Protocol, PublisherConfig};
use crate::message::Message;

const QUEUE: usize = 256;
const IN_FLIGHT: u16 = 500;
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What the publisher needs to know about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Connected,
    /// One publish was acknowledged.
    Acknowledged,
    Other,
}

/// The asking half: never talks to the network itself.
#[derive(Debug)]
pub(super) enum Requests {
    V311(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// The half that talks to the network.
pub(super) enum Link {
    V311 { events: Box<rumqttc::EventLoop>, unsent: VecDeque<rumqttc::Request> },
    V5 { events: Box<v5::EventLoop>, unsent: VecDeque<v5::Request> },
}

pub(super) fn connect(config: &PublisherConfig) -> (Requests, Link) {
    let PublisherConfig { host, port, protocol, client_id, rate: _ } = config;
    match protocol {
        Protocol::V311 => {
            let mut options = rumqttc::MqttOptions::new(client_id, host, *port);
            options.set_keep_alive(KEEP_ALIVE).set_clean_session(true).set_inflight(IN_FLIGHT);
            let (client, events) = rumqttc::AsyncClient::new(options, QUEUE);
            let unsent = VecDeque::new();
            (Requests::V311(client), Link::V311 { events: Box::new(events), unsent })
        }
        Protocol::V5 => {
            let mut options = v5::MqttOptions::new(client_id, host, *port);
            options.set_keep_alive(KEEP_ALIVE).set_clean_start(true);
            options.set_outgoing_inflight_upper_limit(IN_FLIGHT);
            let (client, events) = v5::AsyncClient::new(options, QUEUE);
            let unsent = VecDeque::new();
            (Requests::V5(client), Link::V5 { events: Box::new(events), unsent })
        }
    }
}

impl Requests {
    /// Hands a message over; waits while the queue is full.
    pub(super) async fn publish(&self, message: Message) {
        let Message { topic, payload } = message;
        let sent = match self {
            Self::V311(client) => {
                let qos = rumqttc::QoS::AtLeastOnce;
                client.publish(topic, qos, false, payload).await.map_err(|e| e.to_string())
            }
            Self::V5(client) => {
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                client.publish(topic, qos, false, payload).await.map_err(|e| e.to_string())
            }
        };
        // the other half lives as long as this one: both are dropped together
        debug_assert!(sent.is_ok(), "{sent:?}");
    }

    pub(super) async fn disconnect(&self) {
        // failing means that the other half is gone, and the connection with it
        match self {
            Self::V311(client) => drop(client.disconnect().await),
            Self::V5(client) => drop(client.disconnect().await),
        }
    }
}

impl Link {
    /// The next event. After an error, polling again reconnects.
    pub(super) async fn poll(&mut self) -> Result<Event, String> {
        match self {
            Self::V311 { events, unsent } => match events.poll().await {
                Ok(rumqttc::Event::Incoming(rumqttc::Packet::ConnAck(ack))) => {
                    if !ack.session_present {
                        events.pending.append(unsent);
                    }
                    unsent.clear();
                    Ok(Event::Connected)
                }
                Ok(rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_))) => Ok(Event::Acknowledged),
                Ok(_) => Ok(Event::Other),
                Err(error) => {
                    unsent.clone_from(&events.pending);
                    Err(error.to_string())
                }
            },
            Self::V5 { events, unsent } => match events.poll().await {
                Ok(v5::Event::Incoming(v5::mqttbytes::v5::Packet::ConnAck(ack))) => {
                    if !ack.session_present {
                        events.pending.append(unsent);
                    }
                    unsent.clear();
                    Ok(Event::Connected)
                }
                Ok(v5::Event::Incoming(v5::mqttbytes::v5::Packet::PubAck(_))) => {
                    Ok(Event::Acknowledged)
                }
                Ok(_) => Ok(Event::Other),
                Err(error) => {
                    unsent.clone_from(&events.pending);
                    Err(error.to_string())
                }
            },
        }
    }
}
