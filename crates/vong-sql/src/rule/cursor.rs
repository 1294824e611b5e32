//! A place in a list of tokens, and the ways to go on from it.
//!
//! Invariant: whatever is not as expected is answered with what was expected, what was found, where,
//! and with the word that was probably meant.

use std::time::Duration;

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use vong_model::RuleId;

use super::interval;
use crate::session::DIALECT;
use crate::{Error, Place};

/// Longest name of a rule: it is a key in the log, a metric label and a file name.
const MAX_NAME: usize = 64;
/// A word this similar (Jaro-Winkler, 0 to 1) is offered instead.
const SIMILAR: f64 = 0.8;

pub(super) struct Cursor<'a> {
    text: &'a str,
    /// Byte offset of each line, so that places are found in a file of ten thousand rules.
    lines: Vec<usize>,
    tokens: Vec<TokenWithSpan>,
    next: usize,
}

impl<'a> Cursor<'a> {
    /// # Errors
    /// [`Error::Syntax`] for a text that is no sequence of tokens, as with a quote left open.
    pub(super) fn new(text: &'a str) -> Result<Self, Error> {
        let tokens = Tokenizer::new(&DIALECT, text).tokenize_with_location().map_err(|e| {
            Error::Syntax { message: e.message.to_lowercase(), place: place(e.location) }
        })?;
        let tokens = tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_)));
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(end, _)| end + 1)).collect();
        Ok(Self { text, lines, tokens: tokens.collect(), next: 0 })
    }

    /// Number of the token that comes next.
    pub(super) fn at(&self) -> usize {
        self.next
    }

    pub(super) fn go_back_to(&mut self, token: usize) {
        self.next = token;
    }

    pub(super) fn skip(&mut self) {
        self.next += 1;
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.next >= self.tokens.len()
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|t| &t.token)
    }

    pub(super) fn peek_word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => Some(&word.value),
            _ => None,
        }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.peek_word().is_some_and(|found| found.eq_ignore_ascii_case(word))
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    pub(super) fn take_if(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    pub(super) fn one_of(&mut self, words: &[&'static str]) -> Result<&'static str, Error> {
        let found = words.iter().find(|word| self.is_word(word));
        match found {
            Some(word) => {
                self.next += 1;
                Ok(word)
            }
            None => Err(self.unexpected_one_of(words)),
        }
    }

    pub(super) fn expect_word(&mut self, word: &'static str) -> Result<(), Error> {
        self.one_of(&[word]).map(|_| ())
    }

    /// The name of a rule.
    pub(super) fn name(&mut self) -> Result<RuleId, Error> {
        match self.peek_word() {
            Some(name) if is_name(name) => {
                let id = RuleId::from(name);
                self.next += 1;
                Ok(id)
            }
            _ => Err(self.unexpected(&format!(
                "the rule's name: a-z, 0-9 and _, starting with a letter, at most {MAX_NAME}"
            ))),
        }
    }

    pub(super) fn interval(&mut self) -> Result<Duration, Error> {
        self.expect_word("INTERVAL")?;
        let text = self.string("a duration, as in '2 minutes'")?;
        interval::parse(&text).ok_or_else(|| {
            self.next -= 1;
            self.error(format!(
                "'{text}' is no duration: expected whole numbers with milliseconds, seconds, \
                 minutes, hours, days or weeks, as in '1 minute 30 seconds'"
            ))
        })
    }

    /// A number with or without a sign.
    pub(super) fn number(&mut self) -> Result<f64, Error> {
        let minus = self.take_if(&Token::Minus);
        if !minus {
            self.take_if(&Token::Plus);
        }
        let found = match self.peek() {
            Some(Token::Number(text, _)) => text.parse::<f64>().ok().filter(|n| n.is_finite()),
            _ => None,
        };
        let Some(number) = found else {
            return Err(self.unexpected("a number, as in 4.5"));
        };
        self.next += 1;
        Ok(if minus { -number } else { number })
    }

    /// A whole number, zero included.
    pub(super) fn count(&mut self) -> Result<u32, Error> {
        let found = match self.peek() {
            Some(Token::Number(text, _)) => text.parse::<u32>().ok(),
            _ => None,
        };
        let Some(count) = found else {
            return Err(self.unexpected("a whole number, as in 5"));
        };
        self.next += 1;
        Ok(count)
    }

    pub(super) fn string(&mut self, expected: &str) -> Result<String, Error> {
        let text = match self.peek() {
            Some(Token::SingleQuotedString(text)) if !text.trim().is_empty() => text.clone(),
            _ => return Err(self.unexpected(expected)),
        };
        self.next += 1;
        Ok(text)
    }

    pub(super) fn unexpected_one_of(&self, words: &[&str]) -> Error {
        let found = self.peek_word().unwrap_or_default();
        let expected = match words {
            [one] => (*one).to_owned(),
            several => format!("one of {}", several.join(", ")),
        };
        let meant = similar(found, words);
        let hint = meant.map(|word| format!("; did you mean {word}?")).unwrap_or_default();
        self.error(format!("expected {expected}, found {}{hint}", self.found()))
    }

    pub(super) fn unexpected(&self, expected: &str) -> Error {
        self.error(format!("expected {expected}, found {}", self.found()))
    }

    /// A mistake at the next token.
    pub(super) fn error(&self, message: String) -> Error {
        Error::Syntax { message, place: self.place() }
    }

    /// Where the next token stands, or the end of the text.
    pub(super) fn place(&self) -> Option<Place> {
        let end = || self.tokens.last().map(|t| t.span.end);
        let here = self.tokens.get(self.next).map(|t| t.span.start);
        here.or_else(end).and_then(place)
    }

    /// Where token number `token` stands.
    pub(super) fn place_of(&self, token: usize) -> Option<Place> {
        self.tokens.get(token).and_then(|t| place(t.span.start))
    }

    /// The text from token number `first` up to the next one, which is not part of it.
    pub(super) fn text_from(&self, first: usize) -> &'a str {
        let last = self.tokens.get(first..self.next).and_then(<[TokenWithSpan]>::last);
        let start = self.tokens.get(first).map(|t| self.byte_at(t.span.start));
        let end = last.map(|t| self.byte_at(t.span.end));
        start.zip(end).and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default()
    }

    /// What stands where something else was expected.
    pub(super) fn found(&self) -> String {
        match self.peek() {
            Some(token) => format!("'{token}'"),
            None => "the end of the text".to_owned(),
        }
    }

    /// Byte offset of a line and a column counted in characters.
    fn byte_at(&self, location: Location) -> usize {
        let line = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let start = self.lines.get(line).copied().unwrap_or(self.text.len());
        let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.char_indices().nth(column).map_or(rest.len(), |(byte, _)| byte)
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    name.len() <= MAX_NAME
        && letters.next().is_some_and(|c| c.is_ascii_lowercase())
        && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The word of `words` that was probably meant by `found`.
pub(super) fn similar<'w>(found: &str, words: &[&'w str]) -> Option<&'w str> {
    let found = found.to_lowercase();
    let scored = words.iter().map(|w| (strsim::jaro_winkler(&found, &w.to_lowercase()), *w));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|best| best.0 >= SIMILAR);
    best.map(|(_, word)| word)
}

fn place(location: Location) -> Option<Place> {
    let line = u32::try_from(location.line).ok().filter(|line| *line > 0)?;
    Some(Place { line, column: u32::try_from(location.column).ok()? })
}
