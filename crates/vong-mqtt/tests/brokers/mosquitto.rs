//! Against Mosquitto: sessions that survive restarts, passwords, TLS, floods and full disks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, ensure};
use vong_mqtt::{Protocol, TlsConfig};
use vong_testkit::{Mosquitto, MosquittoOptions, Publisher};

use crate::support::{self, BOTH, Behaviour, Site, TestLog, numbered, publish};

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_both_protocols_become_rows_and_rejects() -> Result<()> {
    for protocol in BOTH {
        let Some(broker) = Mosquitto::start_or_skip()? else { return Ok(()) };
        let log = Arc::new(TestLog::new());
        let site = Site::start(broker.port(), protocol, &log)?;
        site.wait_for("connection", || log.states() == ["connected", "connected"])?;
        let mut messages = numbered(0..1_000);
        messages.push(("t/S-1".into(), b"{".to_vec()));
        messages.push(("t/S-1".into(), b"{\"t\":1795305600000}".to_vec()));
        messages.push(messages[0].clone()); // sent twice, stored once
        messages.push(("bare/B".into(), b"7".to_vec()));
        messages.push(("bare/B".into(), b"7".to_vec())); // measured twice
        publish(broker.port(), &messages)?;
        site.wait_for("rows", || log.numbers().len() == 1_002 && log.rejects().len() == 2)?;
        ensure!(log.exactly(0..1_000), "{protocol:?}: each message once");
        ensure!(log.rejects() == ["malformed_json", "missing_field"], "{:?}", log.rejects());
        site.wait_for("metrics", || site.metric("messages_total") == 1_005)?;
        ensure!(site.metric("duplicates_total") == 1);
        site.stop().await?;
        // All was acknowledged: whoever takes up the session is sent nothing.
        let again = Site::start(broker.port(), protocol, &log)?;
        publish(broker.port(), &numbered(1_000..1_001))?;
        again.wait_for("one more", || log.numbers().len() == 1_003)?;
        ensure!(again.metric("messages_total") == 1, "nothing was delivered again");
        again.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_restarted_in_the_middle_loses_and_doubles_nothing() -> Result<()> {
    for protocol in BOTH {
        let Some(mut broker) = Mosquitto::start_or_skip()? else { return Ok(()) };
        let log = Arc::new(TestLog::new());
        let site = Site::start(broker.port(), protocol, &log)?;
        site.wait_for("connection", || log.states().len() == 2)?;
        let port = broker.port();
        let publisher = std::thread::Builder::new()
            .spawn(move || Publisher::publish_through(port, "publisher", &numbered(0..20_000)))?;
        site.wait_for("the first", || log.numbers().len() > 2_000)?;
        tokio::task::block_in_place(|| broker.restart())?;
        site.wait_for("the publisher", || publisher.is_finished())?;
        publisher.join().map_err(|_panic| anyhow::anyhow!("publisher panicked"))??;
        site.wait_for("all", || log.numbers().len() >= 20_000)?;
        ensure!(log.exactly(0..20_000), "{protocol:?}: each message once");
        site.wait_for("events", || log.states().len() == 6)?;
        let states = log.states();
        ensure!(states[2..] == ["lost", "lost", "connected", "connected"], "{states:?}");
        println!("{protocol:?}: {} delivered again", site.metric("duplicates_total"));
        site.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_but_not_acknowledged_is_recognised_after_a_crash() -> Result<()> {
    for protocol in BOTH {
        let Some(broker) = Mosquitto::start_or_skip()? else { return Ok(()) };
        let log = Arc::new(TestLog::new());
        let site = Site::start(broker.port(), protocol, &log)?;
        site.wait_for("connection", || log.states().len() == 2)?;
        // The log stores, but intake dies before it hears of it.
        log.behave(Behaviour::StoreAndNeverAnswer);
        publish(broker.port(), &numbered(0..3_000))?;
        site.wait_for("some", || !log.numbers().is_empty())?;
        let stored = log.numbers().len();
        site.crash().await;
        log.behave(Behaviour::Good);
        let again = Site::start(broker.port(), protocol, &log)?;
        again.wait_for("all", || log.numbers().len() >= 3_000)?;
        again.wait_for("counting", || again.metric("messages_total") >= 3_000)?;
        ensure!(log.exactly(0..3_000), "{protocol:?}: each message once");
        ensure!(again.metric("duplicates_total") == u64::try_from(stored)?, "{stored} came again");
        again.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_acknowledges_nothing_and_loses_nothing() -> Result<()> {
    let Some(broker) = Mosquitto::start_or_skip()? else { return Ok(()) };
    let log = Arc::new(TestLog::new());
    let site = Site::start(broker.port(), Protocol::V5, &log)?;
    site.wait_for("connection", || log.states().len() == 2)?;
    log.behave(Behaviour::Full);
    publish(broker.port(), &numbered(0..9_000))?; // more than two batches
    site.wait_for("refusals", || site.metric("append_failures_total") >= 3)?;
    ensure!(log.numbers().is_empty());
    log.behave(Behaviour::Good);
    site.wait_for("all", || log.numbers().len() >= 9_000)?;
    ensure!(log.exactly(0..9_000));
    ensure!(log.states().len() == 2, "the connection was kept");
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_stored_before_a_crash_comes_again() -> Result<()> {
    for protocol in BOTH {
        let Some(broker) = Mosquitto::start_or_skip()? else { return Ok(()) };
        let log = Arc::new(TestLog::new());
        let site = Site::start(broker.port(), protocol, &log)?;
        site.wait_for("connection", || log.states().len() == 2)?;
        // The log refuses, so nothing may be acknowledged, and then intake dies.
        log.behave(Behaviour::Full);
        publish(broker.port(), &numbered(0..3_000))?;
        site.wait_for("refusals", || site.metric("append_failures_total") >= 2)?;
        ensure!(site.metric("acknowledged_total") == 0);
        site.crash().await;
        log.behave(Behaviour::Good);
        let again = Site::start(broker.port(), protocol, &log)?;
        again.wait_for("all", || log.numbers().len() >= 3_000)?;
        ensure!(log.exactly(0..3_000), "{protocol:?}: each message once");
        again.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_stops_only_itself() -> Result<()> {
    for protocol in BOTH {
        let Some(broker) = Mosquitto::start_or_skip()? else { return Ok(()) };
        let log = Arc::new(TestLog::new());
        let site =
            Site::start_with(broker.port(), protocol, &log, |config| config.max_packet = 50_000)?;
        site.wait_for("connection", || log.states().len() == 2)?;
        let mut messages = numbered(0..10);
        messages.push(("t/S-1".into(), vec![b' '; 1_000_000]));
        messages.push(("t/S-1".into(), vec![b' '; 49_950]));
        messages.extend(numbered(10..20));
        publish(broker.port(), &messages)?;
        site.wait_for("all", || log.numbers().len() == 20 && log.rejects().len() == 2)?;
        ensure!(log.rejects() == ["too_large", "malformed_json"], "{:?}", log.rejects());
        ensure!(site.metric("connections_total") == 1);
        site.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_kept_while_we_were_away_are_taken_on_return() -> Result<()> {
    for protocol in BOTH {
        let Some(mut broker) = Mosquitto::start_or_skip()? else { return Ok(()) };
        let log = Arc::new(TestLog::new());
        let site = Site::start(broker.port(), protocol, &log)?;
        site.wait_for("connection", || log.states().len() == 2)?;
        tokio::time::sleep(Duration::from_millis(100)).await; // the subscription is answered
        site.stop().await?;
        publish(broker.port(), &numbered(0..5_000))?;
        tokio::task::block_in_place(|| broker.restart())?;
        let again = Site::start(broker.port(), protocol, &log)?;
        again.wait_for("all", || log.numbers().len() >= 5_000)?;
        ensure!(log.exactly(0..5_000), "{protocol:?}: each message once");
        again.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn retained_messages_are_taken_once_a_session() -> Result<()> {
    for protocol in BOTH {
        let Some(mut broker) = Mosquitto::start_or_skip()? else { return Ok(()) };
        Publisher::connect(broker.port(), "publisher")?.send("bare/kept", b"41", true)?;
        let log = Arc::new(TestLog::new());
        let site = Site::start(broker.port(), protocol, &log)?;
        site.wait_for("the retained one", || log.numbers() == [41])?;
        tokio::task::block_in_place(|| broker.restart())?;
        site.wait_for("events", || log.states().len() == 6)?;
        publish(broker.port(), &numbered(0..1))?;
        site.wait_for("another", || log.numbers().len() == 2)?;
        ensure!(log.numbers() == [41, 0], "{protocol:?}: {:?}", log.numbers());
        site.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_and_repaired_while_running() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (users, secret) = (directory.path().join("users"), directory.path().join("secret"));
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-c", "-b"])
        .arg(&users)
        .args(["vong", "right"])
        .output();
    if !made.is_ok_and(|output| output.status.success()) {
        println!("skipped: mosquitto_passwd is not installed");
        return Ok(());
    }
    std::fs::write(&secret, "wrong\n")?;
    let options = MosquittoOptions {
        require_password: true,
        extra: vec![format!("password_file {}", users.display())],
        ..MosquittoOptions::default()
    };
    let Some(broker) = Mosquitto::start_with(&options)? else { return Ok(()) };
    let log = Arc::new(TestLog::new());
    let site = Site::start_with(broker.port(), Protocol::V5, &log, |config| {
        config.username = Some("vong".into());
        config.password_file = Some(secret.clone());
    })?;
    site.wait_for("refusal", || log.states() == ["lost", "lost"])?;
    ensure!(log.details()[0].contains("refused"), "{:?}", log.details());
    ensure!(!log.details()[0].contains("wrong"), "the password is never told");
    std::fs::write(&secret, "right\n")?;
    site.wait_for("connection", || log.states().len() == 4)?;
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_only_the_configured_authority() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    if let Err(e) = support::make_certificates(directory.path()) {
        println!("skipped: {e:#}");
        return Ok(());
    }
    let line = |key: &str, name: &str| format!("{key} {}", path(name).display());
    let options = MosquittoOptions {
        listener: vec![line("certfile", "broker.pem"), line("keyfile", "broker.key")],
        ..MosquittoOptions::default()
    };
    let Some(broker) = Mosquitto::start_with(&options)? else { return Ok(()) };
    let tls = |ca: &str| Some(TlsConfig { ca_file: Some(path(ca)), ..TlsConfig::default() });
    let log = Arc::new(TestLog::new());
    let site = Site::start_with(broker.port(), Protocol::V5, &log, |config| {
        config.host = "localhost".into();
        config.tls = tls("ca.pem");
    })?;
    site.wait_for("connection", || log.states() == ["connected", "connected"])?;
    site.stop().await?;
    let other = Arc::new(TestLog::new());
    let site = Site::start_with(broker.port(), Protocol::V5, &other, |config| {
        config.host = "localhost".into();
        config.tls = tls("other.pem");
    })?;
    site.wait_for("refusal", || other.states() == ["lost", "lost"])?;
    ensure!(other.details()[0].contains("certificate"), "{:?}", other.details());
    site.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_broken_for_good_ends_intake_with_an_error() -> Result<()> {
    let Some(broker) = Mosquitto::start_or_skip()? else { return Ok(()) };
    let log = Arc::new(TestLog::new());
    log.behave(Behaviour::Broken);
    let site = Site::start(broker.port(), Protocol::V311, &log)?;
    let failed = Arc::clone(&site.failed);
    site.wait_for("the error", || failed.load(Ordering::SeqCst))?;
    site.stop().await
}
