//! A recursive-descent parser over the SQL tokenizer's tokens.
//!
//! Only the frame of the statement is read here; the `SELECT` is handed to the SQL parser whole.

use std::time::Duration;

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use vong_model::{RuleId, Severity};

use super::{RuleDefinition, RuleStatement, Select, interval};
use crate::session::DIALECT;
use crate::{Error, Place};

/// Longest file of rules, a limit of ours: 10,000 rules of 800 bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Longest name of a rule: it is a key in the log, a metric label and a file name.
const MAX_NAME: usize = 64;
/// A word this similar (Jaro-Winkler, 0 to 1) is offered instead.
const SIMILAR: f64 = 0.8;

const CLAUSES: [&str; 7] = ["SEVERITY", "FOR", "KEEP", "NO", "TITLE", "ACTION", "AS"];

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<TokenWithSpan>,
    next: usize,
}

/// The clauses read so far.
#[derive(Default)]
struct Clauses {
    severity: Option<Severity>,
    for_: Option<Duration>,
    keep_firing_for: Option<Duration>,
    no_data_for: Option<Duration>,
    title: Option<(String, String)>,
    action: Option<(String, String)>,
}

pub(super) fn parse(text: &str) -> Result<Vec<RuleStatement>, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::TooLong { bytes: text.len(), limit: MAX_BYTES });
    }
    let tokens = Tokenizer::new(&DIALECT, text).tokenize_with_location().map_err(|e| {
        Error::Syntax { message: e.message.to_lowercase(), place: place(e.location) }
    })?;
    let tokens = tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_)));
    let mut parser = Parser { text, tokens: tokens.collect(), next: 0 };
    let mut statements = Vec::new();
    loop {
        while parser.take_if(&Token::SemiColon) {}
        if parser.peek().is_none() {
            return Ok(statements);
        }
        statements.push(parser.statement()?);
        if parser.peek().is_some() && !parser.take_if(&Token::SemiColon) {
            return Err(parser.unexpected("';' between statements"));
        }
    }
}

impl Parser<'_> {
    fn statement(&mut self) -> Result<RuleStatement, Error> {
        let first = self.next;
        match self.one_of(&["CREATE", "DROP", "ALTER"])? {
            "CREATE" => {
                if self.take_word("OR") {
                    self.expect_word("REPLACE")?;
                }
                self.alert_rule()?;
                self.create(first)
            }
            "DROP" => {
                self.alert_rule()?;
                Ok(RuleStatement::Drop { rule_id: self.name()? })
            }
            _ => {
                self.alert_rule()?;
                let rule_id = self.name()?;
                Ok(match self.one_of(&["ENABLE", "DISABLE"])? {
                    "ENABLE" => RuleStatement::Enable { rule_id },
                    _ => RuleStatement::Disable { rule_id },
                })
            }
        }
    }

    fn create(&mut self, first: usize) -> Result<RuleStatement, Error> {
        let rule_id = self.name()?;
        let clauses = self.clauses()?;
        let select = self.select()?;
        let sql = self.slice(first, self.next.saturating_sub(1)).to_owned();
        let place = self.tokens.get(first).and_then(|t| place(t.span.start));
        let missing = |what: &str| Error::Syntax {
            message: format!("rule '{rule_id}' has no {what}"),
            place,
        };
        let Clauses { severity, for_, keep_firing_for, no_data_for, title, action } = clauses;
        if no_data_for.is_some() && (for_.is_some() || keep_firing_for.is_some()) {
            let message = "NO DATA FOR cannot be combined with FOR or KEEP FIRING FOR: \
                           it says itself how long"
                .to_owned();
            return Err(Error::Syntax { message, place });
        }
        if no_data_for == Some(Duration::ZERO) {
            let message = "NO DATA FOR must be longer than zero".to_owned();
            return Err(Error::Syntax { message, place });
        }
        let (title_vi, title_en) = title.ok_or_else(|| missing("TITLE vi '…' en '…'"))?;
        let (action_vi, action_en) = action.ok_or_else(|| {
            missing("ACTION vi '…' en '…': an alert nobody can act on is not an alert")
        })?;
        let severity = severity.ok_or_else(|| missing("SEVERITY critical, high, medium or low"))?;
        Ok(RuleStatement::Create(Box::new(RuleDefinition {
            rule_id,
            severity,
            for_: for_.unwrap_or_default(),
            keep_firing_for: keep_firing_for.unwrap_or_default(),
            no_data_for,
            title_vi,
            title_en,
            action_vi,
            action_en,
            sql,
            select,
        })))
    }

    /// The clauses up to and with `AS`.
    fn clauses(&mut self) -> Result<Clauses, Error> {
        let mut clauses = Clauses::default();
        loop {
            let at = self.next;
            let clause = self.one_of(&CLAUSES)?;
            let again = match clause {
                "AS" => return Ok(clauses),
                "SEVERITY" => clauses.severity.replace(self.severity()?).is_some(),
                "FOR" => clauses.for_.replace(self.interval()?).is_some(),
                "KEEP" => {
                    self.expect_word("FIRING")?;
                    self.expect_word("FOR")?;
                    clauses.keep_firing_for.replace(self.interval()?).is_some()
                }
                "NO" => {
                    self.expect_word("DATA")?;
                    self.expect_word("FOR")?;
                    clauses.no_data_for.replace(self.interval()?).is_some()
                }
                "TITLE" => clauses.title.replace(self.two_languages()?).is_some(),
                _ => clauses.action.replace(self.two_languages()?).is_some(),
            };
            if again {
                self.next = at;
                return Err(self.error(format!("{clause} is given twice")));
            }
        }
    }

    /// The query: every token up to the semicolon, checked to be one reading statement.
    fn select(&mut self) -> Result<Select, Error> {
        let first = self.next;
        if !matches!(self.peek_word(), Some(word) if word.eq_ignore_ascii_case("select")) {
            return Err(self.unexpected("SELECT"));
        }
        while self.peek().is_some_and(|t| t.token != Token::SemiColon) {
            self.next += 1;
        }
        let text = self.slice(first, self.next.saturating_sub(1)).to_owned();
        let start = self.tokens.get(first).and_then(|t| place(t.span.start));
        let select = Select { text, place: start.unwrap_or(Place { line: 1, column: 1 }) };
        match crate::guard::parse(&select.text) {
            Ok(_) => Ok(select),
            Err(e) => Err(select.in_whole(e)),
        }
    }

    fn alert_rule(&mut self) -> Result<(), Error> {
        self.expect_word("ALERT")?;
        self.expect_word("RULE")
    }

    fn name(&mut self) -> Result<RuleId, Error> {
        let fits = |name: &str| {
            let mut letters = name.chars();
            name.len() <= MAX_NAME
                && letters.next().is_some_and(|c| c.is_ascii_lowercase())
                && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        match self.peek_word() {
            Some(name) if fits(name) => {
                let id = RuleId::from(name);
                self.next += 1;
                Ok(id)
            }
            _ => Err(self.unexpected(&format!(
                "the rule's name: a-z, 0-9 and _, starting with a letter, at most {MAX_NAME}"
            ))),
        }
    }

    fn severity(&mut self) -> Result<Severity, Error> {
        let names: Vec<&str> = Severity::ALL.iter().rev().map(|s| s.as_str()).collect();
        match self.peek_word().map(str::parse::<Severity>) {
            Some(Ok(severity)) => {
                self.next += 1;
                Ok(severity)
            }
            _ => Err(self.unexpected_one_of(&names)),
        }
    }

    fn interval(&mut self) -> Result<Duration, Error> {
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

    /// `vi '…' en '…'`, in either order.
    fn two_languages(&mut self) -> Result<(String, String), Error> {
        let first = self.one_of(&["vi", "en"])?;
        let text = self.string("a text in quotes")?;
        let second = if first == "vi" { "en" } else { "vi" };
        self.expect_word(second)?;
        let other = self.string("a text in quotes")?;
        Ok(if first == "vi" { (text, other) } else { (other, text) })
    }

    fn string(&mut self, expected: &str) -> Result<String, Error> {
        let text = match self.peek().map(|t| &t.token) {
            Some(Token::SingleQuotedString(text)) if !text.trim().is_empty() => text.clone(),
            _ => return Err(self.unexpected(expected)),
        };
        self.next += 1;
        Ok(text)
    }

    fn one_of(&mut self, words: &[&'static str]) -> Result<&'static str, Error> {
        let found = self
            .peek_word()
            .and_then(|word| words.iter().find(|expected| expected.eq_ignore_ascii_case(word)));
        match found {
            Some(word) => {
                self.next += 1;
                Ok(word)
            }
            None => Err(self.unexpected_one_of(words)),
        }
    }

    fn expect_word(&mut self, word: &'static str) -> Result<(), Error> {
        self.one_of(&[word]).map(|_| ())
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek_word().is_some_and(|w| w.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn take_if(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|t| t.token == *token);
        self.next += usize::from(found);
        found
    }

    fn peek(&self) -> Option<&TokenWithSpan> {
        self.tokens.get(self.next)
    }

    fn peek_word(&self) -> Option<&str> {
        match self.peek().map(|t| &t.token) {
            Some(Token::Word(word)) => Some(&word.value),
            _ => None,
        }
    }

    fn unexpected_one_of(&self, words: &[&str]) -> Error {
        let found = self.peek_word().unwrap_or_default().to_lowercase();
        let scored = words.iter().map(|w| (strsim::jaro_winkler(&found, &w.to_lowercase()), w));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|best| best.0 >= SIMILAR);
        let expected = match words {
            [one] => (*one).to_owned(),
            several => format!("one of {}", several.join(", ")),
        };
        let Error::Syntax { message, place } = self.unexpected(&expected) else {
            return self.unexpected(&expected);
        };
        let hint = best.map(|(_, word)| format!("; did you mean {word}?")).unwrap_or_default();
        Error::Syntax { message: format!("{message}{hint}"), place }
    }

    fn unexpected(&self, expected: &str) -> Error {
        let found = match self.peek() {
            Some(token) => format!("'{}'", token.token),
            None => "the end of the text".to_owned(),
        };
        self.error(format!("expected {expected}, found {found}"))
    }

    fn error(&self, message: String) -> Error {
        let here = self.peek().map(|t| t.span.start);
        let end = || self.tokens.last().map(|t| t.span.end);
        Error::Syntax { message, place: here.or_else(end).and_then(place) }
    }

    /// The text from token `first` to token `last`, both included.
    fn slice(&self, first: usize, last: usize) -> &str {
        let start = self.tokens.get(first).map(|t| self.byte_at(t.span.start));
        let end = self.tokens.get(last).map(|t| self.byte_at(t.span.end));
        start.zip(end).and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default()
    }

    /// Byte offset of a line and a column counted in characters.
    fn byte_at(&self, location: Location) -> usize {
        let before = usize::try_from(location.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let lines = self.text.split_inclusive('\n');
        let line_start: usize = lines.take(before).map(str::len).sum();
        let column = usize::try_from(location.column.saturating_sub(1)).unwrap_or(usize::MAX);
        let rest = self.text.get(line_start..).unwrap_or_default();
        let in_line = rest.char_indices().nth(column).map_or(rest.len(), |(byte, _)| byte);
        line_start + in_line
    }
}

fn place(location: Location) -> Option<Place> {
    let line = u32::try_from(location.line).ok().filter(|line| *line > 0)?;
    Some(Place { line, column: u32::try_from(location.column).ok()? })
}
