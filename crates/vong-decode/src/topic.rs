//! Topic templates: `city/traffic/{sensor_id}/state`, with `+` and `#` where MQTT allows them.
//!
//! Matching follows MQTT 5.0 §4.7: levels are separated by `/`, `+` takes one level, a last `#`
//! takes any number, and a leading wildcard takes no topic that begins with `$`.

use std::fmt::Write as _;

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicTemplate {
    levels: Vec<Level>,
    open_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(String),
    SensorId,
    Any,
}

/// What a template caught in a topic it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Captured<'t> {
    pub(crate) sensor_id: Option<&'t str>,
}

impl TopicTemplate {
    /// The error is a clause that completes "topic '…' …".
    pub(crate) fn compile(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty");
        }
        if text.len() > 65_535 || text.contains('\0') {
            return Err("is longer than MQTT allows or holds a NUL");
        }
        let mut levels = Vec::new();
        let mut open_ended = false;
        for part in text.split('/') {
            if open_ended {
                return Err("has levels after '#'");
            }
            match part {
                "#" => open_ended = true,
                "+" => levels.push(Level::Any),
                "{sensor_id}" if levels.contains(&Level::SensorId) => {
                    return Err("captures {sensor_id} twice");
                }
                "{sensor_id}" => levels.push(Level::SensorId),
                _ if is_capture(part) => levels.push(Level::Any),
                _ if part.contains(['{', '}', '+', '#']) => {
                    return Err("mixes a capture or wildcard with text in one level");
                }
                _ => levels.push(Level::Literal(part.to_owned())),
            }
        }
        Ok(Self { levels, open_ended })
    }

    pub(crate) fn captures_sensor_id(&self) -> bool {
        self.levels.contains(&Level::SensorId)
    }

    /// The MQTT topic filter to subscribe to.
    pub(crate) fn filter(&self) -> String {
        let mut filter = String::new();
        for (place, level) in self.levels.iter().enumerate() {
            let text = match level {
                Level::Literal(text) => text,
                Level::SensorId | Level::Any => "+",
            };
            let separator = if place == 0 { "" } else { "/" };
            write!(filter, "{separator}{text}").expect("writing to a String cannot fail");
        }
        if self.open_ended {
            filter.push_str(if self.levels.is_empty() { "#" } else { "/#" });
        }
        filter
    }

    pub(crate) fn matches<'t>(&self, topic: &'t str) -> Option<Captured<'t>> {
        if topic.starts_with('$') && !matches!(self.levels.first(), Some(Level::Literal(_))) {
            return None;
        }
        let mut sensor_id = None;
        let mut parts = topic.split('/');
        for level in &self.levels {
            let part = parts.next()?;
            match level {
                Level::Literal(text) if text != part => return None,
                Level::SensorId => sensor_id = Some(part),
                Level::Literal(_) | Level::Any => {}
            }
        }
        (self.open_ended || parts.next().is_none()).then_some(Captured { sensor_id })
    }

    /// Whether some topic matches both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let both = self.levels.iter().zip(&other.levels);
        let compatible = both.into_iter().all(|pair| match pair {
            (Level::Literal(a), Level::Literal(b)) => a == b,
            _ => true,
        });
        let (ours, theirs) = (self.levels.len(), other.levels.len());
        let lengths_meet = ours == theirs
            || (ours < theirs && self.open_ended)
            || (theirs < ours && other.open_ended);
        compatible && lengths_meet
    }
}

fn is_capture(part: &str) -> bool {
    let name = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, topic: &str, expected: Option<&str>) {
        let compiled = TopicTemplate::compile(template).unwrap();
        let found = compiled.matches(topic).map(|c| c.sensor_id.unwrap_or("-"));
        assert_eq!(found, expected, "{template} on {topic}");
    }

    #[test]
    fn templates_match_as_mqtt_filters_do() {
        check("city/{sensor_id}/state", "city/TR-1/state", Some("TR-1"));
        check("city/{sensor_id}/state", "city/TR-1/state/x", None);
        check("city/{sensor_id}/state", "city/TR-1", None);
        check("city/{sensor_id}/state", "city//state", Some(""));
        check("a/{district}/{sensor_id}", "a/b/c", Some("c"));
        check("a/#", "a", Some("-"));
        check("a/#", "a/b/c", Some("-"));
        check("#", "$SYS/uptime", None);
        check("+/uptime", "$SYS/uptime", None);
        check("$SYS/{sensor_id}", "$SYS/uptime", Some("uptime"));
    }

    #[test]
    fn filters_replace_captures_by_wildcards() {
        let filter = |t| TopicTemplate::compile(t).unwrap().filter();
        assert_eq!(filter("city/{sensor_id}/state"), "city/+/state");
        assert_eq!(filter("{a}/b/#"), "+/b/#");
        assert_eq!(filter("#"), "#");
    }

    #[test]
    fn broken_templates_are_refused() {
        for bad in ["", "a/#/b", "a/x{sensor_id}", "a/+b", "{sensor_id}/{sensor_id}", "a/{}", "a\0"]
        {
            assert!(TopicTemplate::compile(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn overlap_is_found() {
        let check = |a, b, expected| {
            let (a, b) = (TopicTemplate::compile(a).unwrap(), TopicTemplate::compile(b).unwrap());
            assert_eq!(a.overlaps(&b), expected);
            assert_eq!(b.overlaps(&a), expected);
        };
        check("a/{sensor_id}", "a/b", true);
        check("a/{sensor_id}", "b/{sensor_id}", false);
        check("a/{sensor_id}", "a/b/c", false);
        check("a/#", "a/b/c", true);
        check("a/b/c", "a/b/c/#", true);
    }
}
