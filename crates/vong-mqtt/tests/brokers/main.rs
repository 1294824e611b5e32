//! Intake against real brokers: nothing is lost and nothing stored twice, whoever goes away.

mod mosquitto;
mod rate;
mod rumqttd;
mod support;
