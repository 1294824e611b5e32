//! Intake against real brokers: nothing is lost and nothing stored twice, whoever goes away.

mod mosquitto;
mod rumqttd;
mod support;
