//! A table as spreadsheets write it: comma, semicolon or tab between fields, a byte order mark,
//! quotes, and a place for each field so that a mistake can be shown.
//!
//! Quoting as in RFC 4180. A spreadsheet set to Vietnamese writes decimal commas and therefore
//! semicolons; the first line decides which mark separates.

/// One field; line and column are 1-based, columns count characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A mistake and its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn at(field: &Field, message: impl Into<String>) -> Self {
        let Field { text: _, line, column } = field;
        Self { line: *line, column: *column, message: message.into(), hint: None }
    }

    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A header and the rows below it, empty lines left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sheet {
    pub(super) header: Vec<Field>,
    pub(super) rows: Vec<Vec<Field>>,
}

impl Sheet {
    /// # Errors
    /// When the bytes are no UTF-8, or a quote is never closed.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let text = decode(bytes)?;
        let (text, skipped) = without_separator_line(text);
        let mut records = split(text, separator(text), skipped + 1)?.into_iter();
        Ok(Self { header: records.next().unwrap_or_default(), rows: records.collect() })
    }
}

fn decode(bytes: &[u8]) -> Result<&str, Fault> {
    let hint = "save it as \"CSV UTF-8 (comma delimited)\"";
    let whole = Field { text: String::new(), line: 1, column: 1 };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Fault::at(&whole, "the file is UTF-16 text").with_hint(hint));
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return Err(Fault::at(&whole, "the file is a workbook, not CSV text").with_hint(hint));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(e) => {
            let before = bytes.get(..e.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|b| **b == b'\n').count() + 1;
            let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let in_line = String::from_utf8_lossy(before.get(start..).unwrap_or_default());
            let column = in_line.chars().count() + 1;
            let at = Field { line, column, ..whole };
            Err(Fault::at(&at, "a letter here is not UTF-8").with_hint(hint))
        }
    }
}

/// Spreadsheets may begin with a line `sep=;`, which is no data; tells how many lines it took.
fn without_separator_line(text: &str) -> (&str, usize) {
    let first = text.lines().next().unwrap_or_default();
    if first.trim().len() == 5 && first.trim_start().starts_with("sep=") {
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        return (rest, 1);
    }
    (text, 0)
}

fn separator(text: &str) -> char {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |mark: char| header.matches(mark).count();
    // Of two that are equally frequent the last one wins: the comma.
    [';', '\t', ','].into_iter().max_by_key(|mark| count(*mark)).unwrap_or(',')
}

/// Reads one character after the other; keeps count of where it is.
struct Splitter {
    records: Vec<Vec<Field>>,
    record: Vec<Field>,
    field: Field,
    line: usize,
    column: usize,
}

fn split(text: &str, separator: char, first_line: usize) -> Result<Vec<Vec<Field>>, Fault> {
    let field = Field { text: String::new(), line: first_line, column: 1 };
    let mut to =
        Splitter { records: Vec::new(), record: Vec::new(), field, line: first_line, column: 1 };
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let begins = to.field.text.trim().is_empty();
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                to.column += 1;
                to.field.text.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if begins => {
                quoted = true;
                to.field.text.clear();
            }
            '\r' if !quoted => {}
            '\n' if !quoted => to.end_record(),
            mark if mark == separator && !quoted => to.end_field(),
            other => to.field.text.push(other),
        }
        to.step(character);
    }
    if quoted {
        let told = Fault::at(&to.field, "this quoted text never ends");
        return Err(told.with_hint("a quote inside of quoted text is written twice"));
    }
    to.end_record();
    Ok(to.records)
}

impl Splitter {
    fn step(&mut self, character: char) {
        if character == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        if self.field.text.is_empty() {
            (self.field.line, self.field.column) = (self.line, self.column);
        }
    }

    fn end_field(&mut self) {
        let Field { text, line, column } = &mut self.field;
        let text = std::mem::take(text).trim().to_owned();
        self.record.push(Field { text, line: *line, column: *column });
    }

    fn end_record(&mut self) {
        self.end_field();
        let record = std::mem::take(&mut self.record);
        if record.iter().any(|field| !field.text.is_empty()) {
            self.records.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: &str) {
        let line = |fields: &Vec<Field>| {
            let told = fields.iter().map(|f| format!("{}@{}:{}", f.text, f.line, f.column));
            told.collect::<Vec<_>>().join(" ")
        };
        let told = match Sheet::parse(bytes) {
            Ok(Sheet { header, rows }) => {
                let rows = rows.iter().map(line);
                std::iter::once(line(&header)).chain(rows).collect::<Vec<_>>().join(" | ")
            }
            Err(Fault { line, column, message, hint: _ }) => format!("{line}:{column} {message}"),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn every_way_spreadsheets_write_is_understood() {
        check(b"a,b\n1,2\n", "a@1:1 b@1:3 | 1@2:1 2@2:3");
        check(
            b"\xef\xbb\xbfa;b\r\n1,5;2\r\n\r\n;\r\n3;4",
            "a@1:1 b@1:3 | 1,5@2:1 2@2:5 | 3@5:1 4@5:3",
        );
        check(b"a\tb\n1\t2", "a@1:1 b@1:3 | 1@2:1 2@2:3");
        check(b"sep=;\na;b\n1;2", "a@2:1 b@2:3 | 1@3:1 2@3:3");
        check(b"a,b\n\"x, y\",\"say \"\"so\"\"\"\n", "a@1:1 b@1:3 | x, y@2:2 say \"so\"@2:9");
        check(b"a,b\n\"two\nlines\",2\n3,4", "a@1:1 b@1:3 | two\nlines@2:2 2@3:8 | 3@4:1 4@4:3");
        check("tên;b\nĐường 5\" dài;2".as_bytes(), "tên@1:1 b@1:5 | Đường 5\" dài@2:1 2@2:14");
        check(b"", "");
    }

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        check(b"a,b\n1,\xd0\xe4\n", "2:3 a letter here is not UTF-8");
        check(b"\xff\xfea\0", "1:1 the file is UTF-16 text");
        check(b"PK\x03\x04rest", "1:1 the file is a workbook, not CSV text");
        check(b"a,b\n1,\"open\n", "2:4 this quoted text never ends");
    }
}
