//! Finds words in SQL text, for errors that do not bring their own place.

use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::Place;
use crate::session::DIALECT;

/// Tokens without white space and comments; none when the text cannot be tokenized.
fn tokenize(sql: &str) -> Vec<TokenWithSpan> {
    let tokens = Tokenizer::new(&DIALECT, sql).tokenize_with_location().unwrap_or_default();
    tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).collect()
}

pub(super) fn place(location: Location) -> Option<Place> {
    let line = u32::try_from(location.line).ok().filter(|line| *line > 0)?;
    let column = u32::try_from(location.column).ok()?;
    Some(Place { line, column })
}

/// Where the first token stands.
pub(super) fn first(sql: &str) -> Option<Place> {
    tokenize(sql).first().and_then(|token| place(token.span.start))
}

/// Where `what` stands: its first word in any case, or the whole as a quoted text.
pub(crate) fn find_word(sql: &str, what: &str) -> Option<Place> {
    let wanted = what.split([' ', '.']).next()?;
    let tokens = tokenize(sql);
    let found = tokens.iter().find(|token| match &token.token {
        Token::Word(word) => word.value.eq_ignore_ascii_case(wanted),
        Token::SingleQuotedString(text) => text == what,
        _ => false,
    });
    found.and_then(|token| place(token.span.start))
}

/// Where the text after the first `;` goes on.
pub(super) fn second_statement(sql: &str) -> Option<Place> {
    let tokens = tokenize(sql);
    let mut after = tokens.iter().skip_while(|t| t.token != Token::SemiColon);
    let next = after.find(|t| t.token != Token::SemiColon);
    next.and_then(|token| place(token.span.start))
}
