//! A search for devices against an implementation that is not ours, where it is installed.

use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use vong_rtsp::onvif::discovery::discover;

/// Publishes one device by the Python package WSDiscovery until its standard input ends.
const PUBLISHER: &str = r#"
import sys
from wsdiscovery.publishing import ThreadedWSPublishing
from wsdiscovery import QName, Scope
wsd = ThreadedWSPublishing()
wsd.start()
wsd.publishService(types=[QName("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")],
    scopes=[Scope("onvif://www.onvif.org/name/Gate%201"), Scope("onvif://www.onvif.org/hardware/X2"),
            Scope("onvif://www.onvif.org/location/hue")],
    xAddrs=["http://127.0.0.1:8899/onvif/device_service"])
print("ready", flush=True)
sys.stdin.read()
wsd.stop()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_another_maker_is_found() {
    let started = Command::new("python3")
        .args(["-c", PUBLISHER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut publisher) = started else {
        return println!("skipped: needs python3");
    };
    let told = BufReader::new(publisher.stdout.take().unwrap()).lines().next();
    if !matches!(told, Some(Ok(line)) if line == "ready") {
        drop(publisher.wait());
        return println!("skipped: needs the Python package WSDiscovery");
    }
    let interface = std::env::var("VONG_DISCOVERY_INTERFACE");
    let interface: Ipv4Addr =
        interface.ok().and_then(|text| text.parse().ok()).unwrap_or(Ipv4Addr::LOCALHOST);
    let found = discover(interface, Duration::from_secs(4), 1_790_000_000_000_000).await.unwrap();
    drop(publisher.stdin.take());
    drop(publisher.kill());
    drop(publisher.wait());
    if found.is_empty() && interface.is_loopback() {
        return println!("skipped: this machine's loopback carries no multicast");
    }
    let device = found.iter().find(|device| device.name == "Gate 1");
    let device = device.unwrap_or_else(|| panic!("not among {found:?}"));
    assert_eq!((device.hardware.as_str(), device.location.as_str()), ("X2", "hue"));
    assert_eq!(device.addresses, ["http://127.0.0.1:8899/onvif/device_service"]);
    assert!(device.endpoint.starts_with("urn:uuid:"), "{device:?}");
}
