//! A mistake in a file, told so that it can be mended: where, what, and what was probably meant.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// One mistake; line and column are 1-based, columns count characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub file: PathBuf,
    pub place: Option<(usize, usize)>,
    pub message: String,
    pub hint: Option<String>,
}

impl Diagnostic {
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), place: None, message: message.into(), hint: None }
    }

    pub fn at(file: &Path, line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { place: Some((line, column)), ..Self::of_file(file, message) }
    }

    /// Points at the first line that sets `key`.
    pub fn of_key(file: &Path, text: &str, key: &str, message: impl Into<String>) -> Self {
        let found = text.lines().position(|line| line.trim_start().starts_with(key));
        Self { place: found.map(|line| (line + 1, 1)), ..Self::of_file(file, message) }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  = {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// Parses TOML into `T`; the error knows its place, and the nearest known key where a key is unknown.
pub fn from_toml<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Diagnostic> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().map(|span| place_of(text, span.start));
        let hint = did_you_mean(error.message());
        Diagnostic { file: file.to_path_buf(), place, message: error.message().to_owned(), hint }
    })
}

fn place_of(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(line_start..).map_or(0, |rest| rest.chars().count()) + 1;
    (line, column)
}

/// Reads serde's "unknown field `x`, expected one of `a`, `b`" and names the nearest of them.
fn did_you_mean(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown "))?;
    let nearest = quoted.min_by_key(|known| strsim::damerau_levenshtein(unknown, known))?;
    let distance = strsim::damerau_levenshtein(unknown, nearest);
    (distance <= nearest.len().div_ceil(2)).then(|| format!("did you mean `{nearest}`?"))
}
