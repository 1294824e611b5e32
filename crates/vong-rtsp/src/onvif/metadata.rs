//! Events out of a metadata document (ONVIF Streaming Specification 5.2.1; WS-BaseNotification 1.3).
//!
//! Of `tt:MetadataStream` only `wsnt:NotificationMessage` is read. Name spaces are told apart by
//! their local names alone: cameras disagree on prefixes, and sometimes on the name spaces.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// A longer document is not read.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1_024;
/// Of one document; more are left out.
pub const MAX_NOTIFICATIONS: usize = 64;
/// A topic, name or value is cut here, bytes.
const MAX_TEXT_BYTES: usize = 256;
/// Simple items of one notification that are kept.
const MAX_ITEMS: usize = 16;
/// Elements inside one another.
const MAX_DEPTH: usize = 64;

/// One event of a camera.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// As in `RuleEngine/CellMotionDetector/Motion`, prefixes left out.
    pub topic: String,
    /// `PropertyOperation`: `Initialized`, `Changed` or `Deleted`; empty where it is no property.
    pub operation: String,
    /// Where in the camera: names and values of the source's simple items.
    pub source: Vec<(String, String)>,
    /// What it is: names and values of the data's simple items.
    pub data: Vec<(String, String)>,
    /// `UtcTime` as the camera wrote it.
    pub time: String,
}

/// Why a document is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("metadata document of {0} bytes is larger than {MAX_DOCUMENT_BYTES}")]
    TooLarge(usize),
    #[error("metadata document is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    #[error("metadata document is no XML at byte {at}: {why}")]
    Malformed { at: u64, why: String },
}

/// Which list a simple item belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Other,
    Source,
    Data,
}

/// The events in `document`, in order.
///
/// # Errors
/// [`MetadataError`]; what stood before the fault is lost with it.
pub fn parse_metadata(document: &[u8]) -> Result<Vec<Notification>, MetadataError> {
    if document.len() > MAX_DOCUMENT_BYTES {
        return Err(MetadataError::TooLarge(document.len()));
    }
    // What is no UTF-8 becomes replacement characters: one bad name does not lose the event.
    let text = String::from_utf8_lossy(document);
    let mut reader = Reader::from_str(&text);
    let mut found = Vec::new();
    let mut open = Open::default();
    let mut depth = 0_usize;
    loop {
        let event = reader.read_event().map_err(|why| MetadataError::Malformed {
            at: reader.error_position(),
            why: why.to_string(),
        })?;
        match event {
            Event::Start(element) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(MetadataError::TooDeep);
                }
                open.start(&element);
            }
            Event::Empty(element) => {
                open.start(&element);
                found.extend(open.end(element.local_name().as_ref()));
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                found.extend(open.end(element.local_name().as_ref()));
            }
            Event::Text(text) => open.text(&text),
            Event::Eof => return Ok(found),
            // A document type could define entities; none is read, none is expanded.
            _ => {}
        }
        if found.len() >= MAX_NOTIFICATIONS {
            return Ok(found);
        }
    }
}

/// The notification being read.
#[derive(Debug, Default)]
struct Open {
    notification: Option<Notification>,
    in_topic: bool,
    part: Option<Part>,
}

impl Open {
    fn start(&mut self, element: &BytesStart<'_>) {
        match element.local_name().as_ref() {
            "NotificationMessage" => self.notification = Some(Notification::default()),
            "Topic" => self.in_topic = true,
            "Message" => {
                let Some(notification) = &mut self.notification else { return };
                if let Some(operation) = attribute(element, "PropertyOperation") {
                    notification.operation = operation;
                }
                if let Some(time) = attribute(element, "UtcTime") {
                    notification.time = time;
                }
            }
            "Source" => self.part = Some(Part::Source),
            "Data" => self.part = Some(Part::Data),
            "Key" => self.part = Some(Part::Other),
            "SimpleItem" => self.item(element),
            _ => {}
        }
    }

    fn item(&mut self, element: &BytesStart<'_>) {
        let Some(notification) = &mut self.notification else { return };
        let items = match self.part {
            Some(Part::Source) => &mut notification.source,
            Some(Part::Data) => &mut notification.data,
            Some(Part::Other) | None => return,
        };
        if items.len() < MAX_ITEMS {
            let text = |name| attribute(element, name).unwrap_or_default();
            items.push((text("Name"), text("Value")));
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(notification) = self.notification.as_mut().filter(|_| self.in_topic) {
            notification.topic = cut(&format!("{}{}", notification.topic, without_prefixes(text)));
        }
    }

    fn end(&mut self, name: &str) -> Option<Notification> {
        match name {
            "Topic" => self.in_topic = false,
            "Source" | "Data" | "Key" => self.part = None,
            "NotificationMessage" => {
                self.in_topic = false;
                self.part = None;
                return self.notification.take().filter(|done| !done.topic.is_empty());
            }
            _ => {}
        }
        None
    }
}

/// `tns1:RuleEngine/tns1:Motion` without `tns1:`.
fn without_prefixes(topic: &str) -> String {
    let steps = topic.trim().split('/');
    let bare = steps.map(|step| step.rsplit_once(':').map_or(step, |(_prefix, name)| name));
    bare.collect::<Vec<_>>().join("/")
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = element.attributes();
    // Cameras write what they like: a fault in one attribute does not lose the others.
    attributes.with_checks(false);
    let found = attributes.flatten().find(|found| found.key.local_name().as_ref() == name)?;
    let plain = quick_xml::escape::unescape(&found.value);
    Some(plain.map_or_else(|_as_it_is| cut(&found.value), |plain| cut(&plain)))
}

fn cut(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control());
    let mut kept = String::new();
    for c in clean {
        if kept.len() + c.len_utf8() > MAX_TEXT_BYTES {
            break;
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOTION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema"><tt:Event>
<wsnt:NotificationMessage xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2">
<wsnt:Topic Dialect="d">tns1:RuleEngine/CellMotionDetector/tns1:Motion</wsnt:Topic>
<wsnt:Message><tt:Message UtcTime="2026-11-22T10:00:00Z" PropertyOperation="Changed">
<tt:Source><tt:SimpleItem Name="Source" Value="V&amp;1"/></tt:Source>
<tt:Data><tt:SimpleItem Name="IsMotion" Value="true"></tt:SimpleItem></tt:Data>
</tt:Message></wsnt:Message></wsnt:NotificationMessage></tt:Event></tt:MetadataStream>"#;

    #[test]
    fn a_motion_event_is_read() {
        let found = parse_metadata(MOTION.as_bytes()).unwrap();
        let expected = Notification {
            topic: "RuleEngine/CellMotionDetector/Motion".into(),
            operation: "Changed".into(),
            source: vec![("Source".into(), "V&1".into())],
            data: vec![("IsMotion".into(), "true".into())],
            time: "2026-11-22T10:00:00Z".into(),
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn documents_of_other_content_hold_no_event() {
        for document in ["", "<a/>", "plain words", "<tt:MetadataStream/>", "<SimpleItem/>"] {
            assert_eq!(parse_metadata(document.as_bytes()), Ok(Vec::new()), "{document}");
        }
    }

    #[test]
    fn hostile_documents_are_bounded() {
        assert!(parse_metadata(&vec![b' '; MAX_DOCUMENT_BYTES + 1]).is_err());
        assert_eq!(parse_metadata("<a>".repeat(1_000).as_bytes()), Err(MetadataError::TooDeep));
        assert!(parse_metadata(b"<a><b></a>").is_err());
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]>
            <NotificationMessage><Topic>T&b;</Topic></NotificationMessage>"#;
        let found = parse_metadata(bomb.as_bytes()).unwrap_or_default();
        assert!(found.iter().all(|n| n.topic.len() < 16), "{found:?}");
        let many = "<NotificationMessage><Topic>T</Topic></NotificationMessage>".repeat(1_000);
        assert_eq!(parse_metadata(many.as_bytes()).unwrap().len(), MAX_NOTIFICATIONS);
        let long = format!(
            "<NotificationMessage><Topic>{}</Topic></NotificationMessage>",
            "ữ".repeat(9_999)
        );
        assert!(parse_metadata(long.as_bytes()).unwrap()[0].topic.len() <= MAX_TEXT_BYTES);
    }

    #[test]
    fn any_bytes_are_taken() {
        let mut bytes = MOTION.as_bytes().to_vec();
        for at in 0..bytes.len() {
            for other in [0, b'<', b'"', 0xff] {
                let kept = std::mem::replace(&mut bytes[at], other);
                drop(parse_metadata(&bytes)); // only that it returns
                bytes[at] = kept;
            }
            drop(parse_metadata(&bytes[..at]));
        }
    }
}
