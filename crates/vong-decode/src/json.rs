//! Picks the wanted values out of a JSON payload in one pass, without building a tree.
//!
//! Values nobody asked for are skipped by serde_json without recursion, so depth costs nothing;
//! recursion here is as deep as the longest configured pointer.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

const POINTER_DEPTH_MAX: usize = 32;

/// What stands at a wanted place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Found {
    #[default]
    Missing,
    Null,
    Bool(bool),
    Integer(i64),
    Number(f64),
    /// A range of [`Slots::text_of`]'s buffer.
    Text(Range<usize>),
    Array,
    Object,
    /// The key stands there more than once, so that no one can say which is meant.
    Repeated,
}

impl Found {
    /// For a sentence: "found …".
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
            Self::Repeated => "the key more than once",
        }
    }
}

/// The values found in one payload; reused from message to message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    found: Vec<Found>,
    text: String,
}

impl Slots {
    fn reset(&mut self, count: usize) {
        self.found.clear();
        self.found.resize(count, Found::Missing);
        self.text.clear();
    }

    pub(crate) fn get(&self, slot: usize) -> &Found {
        self.found.get(slot).unwrap_or(&Found::Missing)
    }

    /// The text of a [`Found::Text`], else nothing.
    pub(crate) fn text_of(&self, found: &Found) -> &str {
        match found {
            Found::Text(range) => self.text.get(range.clone()).unwrap_or(""),
            _ => "",
        }
    }

    fn put(&mut self, slot: Option<usize>, value: Found) {
        let Some(place) = slot.and_then(|s| self.found.get_mut(s)) else { return };
        let first = *place == Found::Missing;
        *place = if first { value } else { Found::Repeated };
    }

    fn put_text(&mut self, slot: Option<usize>, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.put(slot, Found::Text(start..self.text.len()));
    }
}

/// The pointers of one source, merged into a tree of keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extractor {
    root: Node,
    slots: usize,
}

#[derive(Clone, Debug, Default)]
struct Node {
    slot: Option<usize>,
    children: Vec<(String, Node)>,
}

impl Extractor {
    /// Adds a JSON pointer (RFC 6901) and returns its slot; the same pointer has the same slot.
    /// The error is a clause that completes "pointer '…' …".
    pub(crate) fn want(&mut self, pointer: &str) -> Result<usize, &'static str> {
        let mut node = &mut self.root;
        if !pointer.is_empty() {
            let path = pointer.strip_prefix('/').ok_or("does not begin with '/'")?;
            if path.split('/').count() > POINTER_DEPTH_MAX {
                return Err("is deeper than 32 levels");
            }
            for part in path.split('/') {
                let key = unescape(part)?;
                let place = match node.children.iter().position(|(name, _)| *name == key) {
                    Some(place) => place,
                    None => {
                        node.children.push((key, Node::default()));
                        node.children.len().saturating_sub(1)
                    }
                };
                node = &mut node.children.get_mut(place).expect("found or just pushed").1;
            }
        }
        let next = self.slots;
        let slot = *node.slot.get_or_insert(next);
        self.slots = self.slots.max(slot.saturating_add(1));
        Ok(slot)
    }

    /// Fills `slots` from `payload`, which must be one JSON value and nothing after it.
    pub(crate) fn extract(&self, payload: &[u8], slots: &mut Slots) -> Result<(), Malformed> {
        slots.reset(self.slots);
        // Once for the whole payload is cheaper than string by string.
        let text = std::str::from_utf8(payload)?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Probe { node: &self.root, slots }.deserialize(&mut deserializer)?;
        Ok(deserializer.end()?)
    }
}

fn unescape(part: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(part.len());
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '~' { chars.next() } else { None }) {
            ('~', Some('0')) => out.push('~'),
            ('~', Some('1')) => out.push('/'),
            ('~', _) => return Err("has a '~' that is neither ~0 nor ~1"),
            (other, _) => out.push(other),
        }
    }
    Ok(out)
}

/// Why a payload is not JSON.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("{0}")]
    Utf8(#[from] std::str::Utf8Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

struct Probe<'a> {
    node: &'a Node,
    slots: &'a mut Slots,
}

impl Probe<'_> {
    fn put<E>(self, value: Found) -> Result<(), E> {
        self.slots.put(self.node.slot, value);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put(Found::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(Found::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.put(Found::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.put(i64::try_from(value).map_or(Found::Number(value as f64), Found::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.put(Found::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.slots.put_text(self.node.slot, value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { node, slots } = self;
        slots.put(node.slot, Found::Array);
        let mut index = 0usize;
        loop {
            let child = node.children.iter().find(|(key, _)| is_index(key, index));
            let more = match child {
                Some((_, node)) => seq.next_element_seed(Probe { node, slots: &mut *slots })?,
                None => seq.next_element::<IgnoredAny>()?.map(drop),
            };
            if more.is_none() {
                return Ok(());
            }
            index = index.saturating_add(1);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { node, slots } = self;
        slots.put(node.slot, Found::Object);
        while let Some(wanted) = map.next_key_seed(Key { children: &node.children })? {
            match wanted {
                Some(node) => map.next_value_seed(Probe { node, slots: &mut *slots })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// An array index as RFC 6901 writes it: no leading zeros.
fn is_index(key: &str, index: usize) -> bool {
    key.parse() == Ok(index) && (key == "0" || !key.starts_with(['0', '+']))
}

struct Key<'a> {
    children: &'a [(String, Node)],
}

impl<'de, 'a> DeserializeSeed<'de> for Key<'a> {
    type Value = Option<&'a Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = Option<&'a Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.children.iter().find(|(name, _)| name == key).map(|(_, node)| node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(pointers: &[&str], payload: &str) -> Result<Vec<Found>, String> {
        let mut extractor = Extractor::default();
        let wanted: Vec<usize> = pointers.iter().map(|p| extractor.want(p).unwrap()).collect();
        let mut slots = Slots::default();
        extractor.extract(payload.as_bytes(), &mut slots).map_err(|e| e.to_string())?;
        Ok(wanted.iter().map(|slot| slots.get(*slot).clone()).collect())
    }

    #[test]
    fn wanted_values_are_found_at_any_depth() {
        let payload =
            r#"{"a":1,"b":{"c":[0,{"d":2.5}],"x":[[[]]]},"e/f":true,"g~":null,"h":"é\n"}"#;
        let found =
            extract(&["/a", "/b/c/1/d", "/e~1f", "/g~0", "/h", "/b", "/none"], payload).unwrap();
        let expected = [
            Found::Integer(1),
            Found::Number(2.5),
            Found::Bool(true),
            Found::Null,
            Found::Text(0..3),
            Found::Object,
            Found::Missing,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_empty_pointer_is_the_payload_itself() {
        assert_eq!(extract(&[""], " 3.5\n").unwrap(), [Found::Number(3.5)]);
        assert_eq!(
            extract(&[""], "18446744073709551615").unwrap(),
            [Found::Number(u64::MAX as f64)]
        );
    }

    #[test]
    fn a_repeated_key_is_said_to_be_repeated() {
        assert_eq!(extract(&["/a"], r#"{"a":1,"a":2}"#).unwrap(), [Found::Repeated]);
        assert_eq!(extract(&["/a"], r#"{"a":1,"b":2,"b":3}"#).unwrap(), [Found::Integer(1)]);
        assert_eq!(extract(&["/a/b"], r#"{"a":{"b":1},"a":{"b":1}}"#).unwrap(), [Found::Repeated]);
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for bad in ["", "{", "{\"a\":NaN}", "{\"a\":1}x", "1 2", "{\"a\":1e999}", "\u{feff}{}"] {
            assert!(extract(&["/a"], bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unwanted_depth_is_skipped_without_recursion() {
        let deep = format!("{{\"x\":{}{},\"a\":1}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(extract(&["/a"], &deep).unwrap(), [Found::Integer(1)]);
    }

    #[test]
    fn broken_pointers_are_refused() {
        let mut extractor = Extractor::default();
        assert!(extractor.want("a").is_err());
        assert!(extractor.want("/a~2").is_err());
        assert!(extractor.want("/a~").is_err());
        assert!(extractor.want(&"/a".repeat(33)).is_err());
    }
}
