//! Finds ONVIF devices: WS-Discovery (OASIS 1.1, ONVIF Core Specification 7) over multicast.
//!
//! One question, sent a few times because datagrams get lost; whoever answers it by its number
//! within the time is listed. Nothing that a device names is connected to.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use quick_xml::Reader;
use quick_xml::events::Event;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use vong_runtime::UnixMicros;

/// Where devices listen (WS-Discovery 1.1, 2.4).
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 3_702);
/// The question is repeated so often (SOAP-over-UDP, 4), with this between.
const QUESTIONS: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(300);
/// More devices than this are left out.
const MAX_DEVICES: usize = 1_024;
/// Scopes and addresses of one device that are kept.
const MAX_WORDS: usize = 64;
/// A longer word is cut, bytes.
const MAX_WORD_BYTES: usize = 512;
const MAX_DEPTH: usize = 64;

/// A device that answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Where the answer came from.
    pub address: String,
    /// What the device calls itself, mostly a `urn:uuid:…`.
    pub endpoint: String,
    /// Where its ONVIF services are.
    pub addresses: Vec<String>,
    /// From its scopes; empty where it says nothing.
    pub name: String,
    pub hardware: String,
    pub location: String,
}

#[derive(Debug, thiserror::Error)]
#[error("could not ask for devices from address {interface}; is it an address of this machine?")]
pub struct DiscoveryError {
    interface: Ipv4Addr,
    #[source]
    source: std::io::Error,
}

/// Asks on the network of `interface` (an address of this machine) and gathers answers for `wait`.
/// `now` makes the question's number.
///
/// # Errors
/// When the question cannot be sent.
pub async fn discover(
    interface: Ipv4Addr,
    wait: Duration,
    now: UnixMicros,
) -> Result<Vec<Device>, DiscoveryError> {
    let failed = |source| DiscoveryError { interface, source };
    // On Linux a multicast leaves through the interface whose address the socket is bound to.
    let socket = UdpSocket::bind((interface, 0)).await.map_err(failed)?;
    socket.set_multicast_ttl_v4(1).map_err(failed)?;
    socket.set_multicast_loop_v4(true).map_err(failed)?;
    let id = message_id(now);
    let question = question(&id);
    let ends = Instant::now() + wait;
    let mut next_question = Instant::now();
    let mut asked = 0;
    let mut found: BTreeMap<String, Device> = BTreeMap::new();
    let mut buffer = vec![0_u8; 65_535];
    while Instant::now() < ends {
        if asked < QUESTIONS && Instant::now() >= next_question {
            socket.send_to(question.as_bytes(), GROUP).await.map_err(failed)?;
            asked += 1;
            next_question = Instant::now() + BETWEEN;
        }
        let until = if asked < QUESTIONS { ends.min(next_question) } else { ends };
        let received = tokio::time::timeout_at(until, socket.recv_from(&mut buffer)).await;
        // An error of one answer (a port that is closed) is not the end of all.
        let Ok(Ok((bytes, from))) = received else { continue };
        for device in parse_answer(buffer.get(..bytes).unwrap_or_default(), &id) {
            if found.len() < MAX_DEVICES {
                let device = Device { address: from.ip().to_string(), ..device };
                found.insert(format!("{} {}", device.address, device.endpoint), device);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// A number in the form of a UUID; it need only differ between questions of one network.
fn message_id(now: UnixMicros) -> String {
    let bits = now.unsigned_abs();
    let process = u64::from(std::process::id());
    format!(
        "urn:uuid:{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        (bits >> 32) & 0xffff_ffff,
        (bits >> 16) & 0xffff,
        bits & 0xfff,
        process & 0xfff,
        bits & 0xffff_ffff_ffff
    )
}

fn question(id: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\">\
         <e:Header><w:MessageID>{id}</w:MessageID>\
         <w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>\
         <e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>"
    )
}

/// The devices in an answer to question `id`; none in anything else. `address` is left empty.
pub fn parse_answer(datagram: &[u8], id: &str) -> Vec<Device> {
    let text = String::from_utf8_lossy(datagram);
    let mut reader = Reader::from_str(&text);
    let mut path: Vec<String> = Vec::new();
    let mut relates = String::new();
    let mut open = Device::default();
    let mut found = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                if path.len() >= MAX_DEPTH {
                    return Vec::new();
                }
                path.push(element.local_name().as_ref().to_owned());
            }
            Ok(Event::End(element)) => {
                path.pop();
                if element.local_name().as_ref() == "ProbeMatch" && found.len() < MAX_WORDS {
                    found.push(std::mem::take(&mut open));
                }
            }
            Ok(Event::Text(words)) => match path.last().map(String::as_str) {
                Some("RelatesTo") => relates.push_str(words.trim()),
                Some("Address") => open.endpoint = cut(words.trim()),
                Some("XAddrs") => {
                    open.addresses = words.split_whitespace().take(MAX_WORDS).map(cut).collect();
                }
                Some("Scopes") => take_scopes(&words, &mut open),
                _ => {}
            },
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(_no_xml) => return Vec::new(),
        }
    }
    if relates == id { found } else { Vec::new() }
}

/// Scopes are addresses like `onvif://www.onvif.org/name/Gate%201`.
fn take_scopes(words: &str, device: &mut Device) {
    for scope in words.split_whitespace().take(MAX_WORDS) {
        let Some((_, path)) = scope.split_once("://www.onvif.org/") else { continue };
        let Some((what, value)) = path.split_once('/') else { continue };
        let value = cut(&percent_decoded(value));
        match what {
            "name" => device.name = value,
            "hardware" => device.hardware = value,
            "location" if device.location.is_empty() => device.location = value,
            "location" => device.location = cut(&format!("{}, {value}", device.location)),
            _ => {}
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn cut(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > MAX_WORD_BYTES {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "urn:uuid:1";

    fn answer(relates: &str, scopes: &str) -> String {
        format!(
            "<Envelope><Header><a:RelatesTo>{relates}</a:RelatesTo></Header><Body><ProbeMatches>\
             <d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:cam</a:Address></a:EndpointReference>\
             <d:Scopes>{scopes}</d:Scopes><d:XAddrs>http://10.0.0.9/onvif/device_service http://[fe80::1]/x</d:XAddrs>\
             </d:ProbeMatch></ProbeMatches></Body></Envelope>"
        )
    }

    #[test]
    fn an_answer_to_our_question_names_the_device() {
        let scopes = "onvif://www.onvif.org/name/C%E1%BB%95ng%201 onvif://www.onvif.org/hardware/X2 \
                      onvif://www.onvif.org/location/country/vn onvif://www.onvif.org/location/hue odd";
        let expected = Device {
            address: String::new(),
            endpoint: "urn:uuid:cam".into(),
            addresses: vec![
                "http://10.0.0.9/onvif/device_service".into(),
                "http://[fe80::1]/x".into(),
            ],
            name: "Cổng 1".into(),
            hardware: "X2".into(),
            location: "country/vn, hue".into(),
        };
        assert_eq!(parse_answer(answer(ID, scopes).as_bytes(), ID), [expected]);
        assert_eq!(parse_answer(answer("urn:uuid:2", scopes).as_bytes(), ID), []);
    }

    #[test]
    fn any_bytes_are_taken() {
        let mut bytes = answer(ID, "onvif://www.onvif.org/name/%").into_bytes();
        for at in 0..bytes.len() {
            for other in [0, b'<', b'%', 0xff] {
                let kept = std::mem::replace(&mut bytes[at], other);
                drop(parse_answer(&bytes, ID)); // only that it returns
                bytes[at] = kept;
            }
        }
        assert_eq!(parse_answer("<a>".repeat(9_999).as_bytes(), ID), []);
        let long = answer(ID, &format!("onvif://www.onvif.org/name/{}", "ữ".repeat(9_999)));
        assert!(parse_answer(long.as_bytes(), ID)[0].name.len() <= MAX_WORD_BYTES);
    }
}
