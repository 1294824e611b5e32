//! MQTT packets of both versions, as the few words intake speaks.
//!
//! Packet layouts are rumqttc's; what is ours is that a packet of any size is survived.

use std::fmt;
use std::io;

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes as v5bytes;
use rumqttc::v5::mqttbytes::v5;
use tokio_util::codec::{Decoder, Encoder};

use crate::config::Protocol;
use crate::oversize::{Skipper, Step, TooLarge};

/// What the broker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message(Message),
    TooLarge(TooLarge),
    /// The session was taken up, or begun anew.
    Accepted {
        session_present: bool,
    },
    Refused {
        reason: String,
    },
    /// One answer for each filter: none, or why it was refused.
    Subscribed {
        refusals: Vec<Option<String>>,
    },
    Pong,
    Ended {
        reason: String,
    },
    /// Something that needs no answer.
    Other,
}

/// A published message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: Bytes,
    pub(crate) payload: Bytes,
    /// None for QoS 0: nothing to acknowledge.
    pub(crate) packet_id: Option<u16>,
    pub(crate) redelivered: bool,
    pub(crate) retained: bool,
}

/// What we say.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Connect(Hello),
    /// Filters with their QoS (0 or 1).
    Subscribe(Vec<(String, u8)>),
    Acknowledge(u16),
    Ping,
    Disconnect,
}

/// How we present ourselves.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) client_id: String,
    pub(crate) login: Option<(String, String)>,
    pub(crate) keep_alive_s: u16,
    pub(crate) session_expiry_s: u32,
}

impl fmt::Debug for Hello {
    /// Leaves the password out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// Reads and writes packets of one protocol version.
#[derive(Debug)]
pub(crate) struct MqttCodec {
    protocol: Protocol,
    max_packet: usize,
    skipper: Skipper,
}

impl MqttCodec {
    pub(crate) fn new(protocol: Protocol, max_packet: usize) -> Self {
        Self { protocol, max_packet, skipper: Skipper::default() }
    }
}

impl Decoder for MqttCodec {
    type Item = Incoming;
    type Error = io::Error;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Incoming>, io::Error> {
        let v5 = self.protocol == Protocol::V5;
        match self.skipper.step(bytes, self.max_packet, v5) {
            Step::Wait => return Ok(None),
            Step::TooLarge(too_large) => return Ok(Some(Incoming::TooLarge(too_large))),
            Step::Broken(why) => return Err(no_mqtt(why)),
            Step::Read => {}
        }
        match self.protocol {
            Protocol::V311 => match v4::Packet::read(bytes, self.max_packet) {
                Ok(packet) => Ok(Some(from_v4(packet))),
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(missing)) => {
                    bytes.reserve(missing);
                    Ok(None)
                }
                Err(e) => Err(no_mqtt(&e.to_string())),
            },
            Protocol::V5 => match v5::Packet::read(bytes, u32::try_from(self.max_packet).ok()) {
                Ok(packet) => Ok(Some(from_v5(packet))),
                Err(v5bytes::Error::InsufficientBytes(missing)) => {
                    bytes.reserve(missing);
                    Ok(None)
                }
                Err(e) => Err(no_mqtt(&e.to_string())),
            },
        }
    }
}

impl Encoder<Outgoing> for MqttCodec {
    type Error = io::Error;

    fn encode(&mut self, outgoing: Outgoing, bytes: &mut BytesMut) -> Result<(), io::Error> {
        let written = match self.protocol {
            Protocol::V311 => to_v4(outgoing).write(bytes, usize::MAX).map_err(|e| e.to_string()),
            Protocol::V5 => to_v5(outgoing).write(bytes, None).map_err(|e| e.to_string()),
        };
        written.map(drop).map_err(|e| no_mqtt(&e))
    }
}

fn no_mqtt(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}

fn from_v4(packet: v4::Packet) -> Incoming {
    match packet {
        v4::Packet::Publish(publish) => Incoming::Message(Message {
            topic: publish.topic.into(),
            payload: publish.payload,
            packet_id: (publish.pkid != 0).then_some(publish.pkid),
            redelivered: publish.dup,
            retained: publish.retain,
        }),
        v4::Packet::ConnAck(v4::ConnAck {
            code: v4::ConnectReturnCode::Success,
            session_present,
        }) => Incoming::Accepted { session_present },
        v4::Packet::ConnAck(connack) => Incoming::Refused { reason: format!("{:?}", connack.code) },
        v4::Packet::SubAck(suback) => {
            let refusal = |code: &v4::SubscribeReasonCode| match code {
                v4::SubscribeReasonCode::Success(_) => None,
                v4::SubscribeReasonCode::Failure => Some("Failure".to_owned()),
            };
            Incoming::Subscribed { refusals: suback.return_codes.iter().map(refusal).collect() }
        }
        v4::Packet::PingResp => Incoming::Pong,
        v4::Packet::Disconnect => Incoming::Ended { reason: "no reason given".to_owned() },
        _ => Incoming::Other,
    }
}

fn from_v5(packet: v5::Packet) -> Incoming {
    match packet {
        v5::Packet::Publish(publish) => Incoming::Message(Message {
            topic: publish.topic,
            payload: publish.payload,
            packet_id: (publish.pkid != 0).then_some(publish.pkid),
            redelivered: publish.dup,
            retained: publish.retain,
        }),
        v5::Packet::ConnAck(connack) if connack.code == v5::ConnectReturnCode::Success => {
            Incoming::Accepted { session_present: connack.session_present }
        }
        v5::Packet::ConnAck(connack) => Incoming::Refused { reason: format!("{:?}", connack.code) },
        v5::Packet::SubAck(suback) => {
            let refusal = |code: &v5::SubscribeReasonCode| match code {
                v5::SubscribeReasonCode::Success(_) => None,
                other => Some(format!("{other:?}")),
            };
            Incoming::Subscribed { refusals: suback.return_codes.iter().map(refusal).collect() }
        }
        v5::Packet::PingResp(_) => Incoming::Pong,
        v5::Packet::Disconnect(disconnect) => {
            Incoming::Ended { reason: format!("{:?}", disconnect.reason_code) }
        }
        _ => Incoming::Other,
    }
}

fn to_v4(outgoing: Outgoing) -> v4::Packet {
    match outgoing {
        Outgoing::Connect(hello) => {
            let mut connect = v4::Connect::new(hello.client_id);
            connect.clean_session = false;
            connect.keep_alive = hello.keep_alive_s;
            if let Some((username, password)) = hello.login {
                connect.set_login(username, password);
            }
            v4::Packet::Connect(connect)
        }
        Outgoing::Subscribe(filters) => {
            let qos = |qos| match qos {
                0 => rumqttc::mqttbytes::QoS::AtMostOnce,
                _ => rumqttc::mqttbytes::QoS::AtLeastOnce,
            };
            let filters = filters.into_iter().map(|(f, q)| v4::SubscribeFilter::new(f, qos(q)));
            let mut subscribe = v4::Subscribe::new_many(filters);
            subscribe.pkid = 1;
            v4::Packet::Subscribe(subscribe)
        }
        Outgoing::Acknowledge(id) => v4::Packet::PubAck(v4::PubAck::new(id)),
        Outgoing::Ping => v4::Packet::PingReq,
        Outgoing::Disconnect => v4::Packet::Disconnect,
    }
}

fn to_v5(outgoing: Outgoing) -> v5::Packet {
    match outgoing {
        Outgoing::Connect(hello) => {
            let properties = v5::ConnectProperties {
                session_expiry_interval: Some(hello.session_expiry_s),
                ..v5::ConnectProperties::new()
            };
            let connect = v5::Connect {
                keep_alive: hello.keep_alive_s,
                client_id: hello.client_id,
                clean_start: false,
                properties: Some(properties),
            };
            let login = hello.login.map(|(name, password)| v5::Login::new(name, password));
            v5::Packet::Connect(connect, None, login)
        }
        Outgoing::Subscribe(filters) => {
            let filter = |(path, qos): (String, u8)| {
                let qos = match qos {
                    0 => v5bytes::QoS::AtMostOnce,
                    _ => v5bytes::QoS::AtLeastOnce,
                };
                let mut filter = v5::Filter::new(path, qos);
                // Retained messages once, not again at each return to the same session.
                filter.retain_forward_rule = v5::RetainForwardRule::OnNewSubscribe;
                filter
            };
            let mut subscribe = v5::Subscribe::new_many(filters.into_iter().map(filter), None);
            subscribe.pkid = 1;
            v5::Packet::Subscribe(subscribe)
        }
        Outgoing::Acknowledge(id) => v5::Packet::PubAck(v5::PubAck::new(id, None)),
        Outgoing::Ping => v5::Packet::PingReq(v5::PingReq),
        Outgoing::Disconnect => {
            let reason = v5::DisconnectReasonCode::NormalDisconnection;
            v5::Packet::Disconnect(v5::Disconnect::new(reason))
        }
    }
}
