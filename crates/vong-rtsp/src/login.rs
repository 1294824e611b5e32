//! Name and password of a camera, and how they are kept out of everything that is shown.

use std::fmt;

/// Name and password of a camera. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: String,
}

/// Secrets shorter than this are left in place: they occur in any text by chance, and what is
/// missing from it would tell them.
const LEAST_BYTES: usize = 4;

/// A message of a camera is cut here, bytes.
const MESSAGE_BYTES: usize = 400;

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(***)")
    }
}

impl Login {
    /// `text` without name, password and what basic access makes of them.
    fn strike(&self, text: &str) -> String {
        let basic = base64(format!("{}:{}", self.username, self.password).as_bytes());
        let mut clean = text.to_owned();
        for secret in [&basic, &self.password, &self.username] {
            if secret.len() >= LEAST_BYTES {
                clean = without(&clean, secret);
            }
        }
        clean
    }
}

/// `text` with each `secret` replaced, however its letters of ASCII are written.
fn without(text: &str, secret: &str) -> String {
    let (low_text, low_secret) = (text.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(found) = low_text.get(from..).and_then(|rest| rest.find(&low_secret)) {
        clean.push_str(text.get(from..from + found).unwrap_or_default());
        clean.push_str("***");
        from += found + secret.len();
    }
    clean.push_str(text.get(from..).unwrap_or_default());
    clean
}

/// What a camera said, fit to be shown: one line, no control characters, cut, without `login`.
pub(crate) fn presentable(text: &str, login: Option<&Login>) -> String {
    let clean = login.map_or_else(|| text.to_owned(), |login| login.strike(text));
    let mut line: String = clean.lines().next().unwrap_or_default().to_owned();
    line = line.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    if line.len() > MESSAGE_BYTES {
        let end = (0..=MESSAGE_BYTES).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}

/// RFC 4648 section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let word = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for place in 0..4_usize {
            let index = usize::try_from((word >> (18 - 6 * place)) & 63).unwrap_or(0);
            let letter = LETTERS.get(index).copied().unwrap_or(b'A');
            text.push(if place > group.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_in_every_form_they_travel_in() {
        let login = Login { username: "operator7".into(), password: "Hunter2-xyzzy".into() };
        let told = "no: operator7 Hunter2-xyzzy Basic b3BlcmF0b3I3Okh1bnRlcjIteHl6enk= end";
        assert_eq!(presentable(told, Some(&login)), "no: *** *** Basic *** end");
        assert!(!format!("{login:?}").contains("operator7"));
    }

    #[test]
    fn letters_may_be_written_otherwise() {
        assert_eq!(without("x HUNTER2 ữ hunter2", "Hunter2"), "x *** ữ ***");
    }

    #[test]
    fn what_a_camera_says_stays_one_short_line() {
        assert_eq!(presentable("a\u{1b}[31mb\nsecond", None), "a·[31mb");
        assert!(presentable(&"ữ".repeat(1_000), None).len() <= MESSAGE_BYTES + 4);
    }
}
