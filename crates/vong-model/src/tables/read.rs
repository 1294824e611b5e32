//! CSV to a table, with the place of each fault.

use std::collections::BTreeMap;

use super::{FieldType, MAX_BYTES, MAX_COLUMNS, MAX_ROWS, Table, TableColumn, TableFault, TextRow};

/// One record of the file and where it stands.
struct Line {
    number: usize,
    fields: Vec<String>,
}

/// A column whose type may still be open.
struct Draft {
    name: String,
    marked: Option<FieldType>,
}

pub(super) fn parse(name: &str, text: &str) -> Result<Table, TableFault> {
    if let Err(message) = check_name(name) {
        return Err(fault((1, 1), format!("the name '{name}' of the table {message}")));
    }
    if text.len() > MAX_BYTES {
        let message = format!("the table has {} bytes; {MAX_BYTES} at most", text.len());
        return Err(fault((1, 1), message));
    }
    // A byte-order mark, as spreadsheets write it, is no part of the first name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = lines(text)?;
    let Some(header) = lines.next() else {
        return Err(fault((1, 1), "the table has no header".to_owned())
            .hint("the first line names the columns, as in sensor_id,high,low"));
    };
    let header = header?;
    let drafts = drafts(text, &header)?;
    let body = lines.collect::<Result<Vec<_>, _>>()?;
    if body.len() > MAX_ROWS {
        let message = format!("the table has {} rows; {MAX_ROWS} at most", body.len());
        return Err(fault((1, 1), message));
    }
    let columns = typed(text, drafts, &header, &body)?;
    let rows = rows(text, &columns, body)?;
    Ok(Table::from_rows(name, columns, rows))
}

/// Why a name cannot be written in SQL without quotes; names of tables and columns alike.
fn check_name(name: &str) -> Result<(), &'static str> {
    let mut letters = name.bytes();
    let first = letters.next().is_some_and(|b| b.is_ascii_lowercase());
    if first && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Ok(());
    }
    Err("is not made of a-z, 0-9 and _, beginning with a letter")
}

fn lines(text: &str) -> Result<impl Iterator<Item = Result<Line, TableFault>>, TableFault> {
    let reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let records = reader.into_records();
    Ok(records.map(|record| {
        let record = record.map_err(|e| {
            let line = e.position().map_or(1, |place| place.line());
            fault((usize::try_from(line).unwrap_or(1), 1), e.to_string())
        })?;
        let number = record.position().map_or(1, csv::Position::line);
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Line { number, fields: record.iter().map(str::to_owned).collect() })
    }))
}

fn drafts(text: &str, header: &Line) -> Result<Vec<Draft>, TableFault> {
    if header.fields.len() > MAX_COLUMNS {
        let message =
            format!("the table has {} columns; {MAX_COLUMNS} at most", header.fields.len());
        return Err(fault((header.number, 1), message));
    }
    let mut seen = BTreeMap::new();
    let mut drafts: Vec<Draft> = Vec::new();
    for (place, field) in header.fields.iter().enumerate() {
        let here = place_of(text, header.number, place);
        let (name, word) = match field.split_once(':') {
            Some((name, word)) => (name.trim(), Some(word.trim())),
            None => (field.as_str(), None),
        };
        if let Err(message) = check_name(name) {
            return Err(fault(here, format!("the name '{name}' of a column {message}")));
        }
        if seen.insert(name.to_owned(), place).is_some() {
            return Err(fault(here, format!("two columns are named '{name}'")));
        }
        let marked = match word {
            None => None,
            Some(word) => Some(FieldType::from_word(word).ok_or_else(|| {
                fault(here, format!("'{word}' is no type of column '{name}'"))
                    .hint("types are key, text, number and boolean")
            })?),
        };
        let after_others = drafts.last().is_some_and(|d| d.marked != Some(FieldType::Key));
        if marked == Some(FieldType::Key) && after_others {
            return Err(fault(here, format!("key column '{name}' stands behind another column"))
                .hint("key columns come first"));
        }
        drafts.push(Draft { name: name.to_owned(), marked });
    }
    match drafts.first_mut() {
        Some(first) if first.marked.is_none() => first.marked = Some(FieldType::Key),
        Some(first) if first.marked == Some(FieldType::Key) => {}
        _ => {
            let message = "the first column is the key of the table, which is a text".to_owned();
            return Err(fault((header.number, 1), message));
        }
    }
    Ok(drafts)
}

fn typed(
    text: &str,
    drafts: Vec<Draft>,
    header: &Line,
    body: &[Line],
) -> Result<Vec<TableColumn>, TableFault> {
    let mut columns = Vec::with_capacity(drafts.len());
    for (place, Draft { name, marked }) in drafts.into_iter().enumerate() {
        let mut fields = body.iter().filter_map(|line| line.fields.get(place));
        let field_type = match (marked, fields.find(|field| !field.is_empty())) {
            (Some(marked), _) => marked,
            (None, Some(first)) => type_of(first),
            (None, None) => {
                let here = place_of(text, header.number, place);
                let message = format!("no field of column '{name}' says what it is");
                return Err(fault(here, message)
                    .hint(format!("write {name}:number, {name}:text or {name}:boolean")));
            }
        };
        columns.push(TableColumn { name, field_type });
    }
    Ok(columns)
}

/// What a field looks like. Digits behind a zero are a code, as of a ward, not a number.
fn type_of(field: &str) -> FieldType {
    let digits = field.trim_start_matches(['-', '+']).as_bytes();
    let is_code = digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit();
    match number(field) {
        Some(_) if !is_code => FieldType::Number,
        _ if matches!(field, "true" | "false") => FieldType::Boolean,
        _ => FieldType::Text,
    }
}

/// A finite number; "inf" and "nan" are words.
fn number(field: &str) -> Option<f64> {
    field.parse().ok().filter(|number: &f64| number.is_finite())
}

fn rows(text: &str, columns: &[TableColumn], body: Vec<Line>) -> Result<Vec<TextRow>, TableFault> {
    let keys = columns.iter().take_while(|c| c.field_type == FieldType::Key).count();
    let mut seen: BTreeMap<Vec<String>, usize> = BTreeMap::new();
    let mut rows = Vec::with_capacity(body.len());
    for Line { number, fields } in body {
        if fields.len() != columns.len() {
            let message = format!(
                "the line has {} fields, the header {}; a comma inside a field needs \"quotes\"",
                fields.len(),
                columns.len()
            );
            return Err(fault((number, 1), message));
        }
        for (place, (field, column)) in fields.iter().zip(columns).enumerate() {
            if let Err(what) = fits(field, column) {
                let fault = fault(place_of(text, number, place), what);
                if column.field_type == FieldType::Key {
                    return Err(fault);
                }
                return Err(fault.hint(format!(
                    "write {}:text in the header when the column holds other things too",
                    column.name
                )));
            }
        }
        let key: Vec<String> = fields[..keys].to_vec();
        if let Some(known) = seen.get(&key) {
            let message = format!("key '{}' stands in line {known} already", key.join(","));
            return Err(fault((number, 1), message));
        }
        seen.insert(key, number);
        let null_if_empty = |field: String| (!field.is_empty()).then_some(field);
        rows.push(fields.into_iter().map(null_if_empty).collect());
    }
    Ok(rows)
}

fn fits(field: &str, column: &TableColumn) -> Result<(), String> {
    let name = &column.name;
    match column.field_type {
        FieldType::Key if field.is_empty() => Err(format!("key column '{name}' is empty")),
        FieldType::Number if !field.is_empty() && number(field).is_none() => {
            Err(format!("'{field}' in column '{name}' is not a number"))
        }
        FieldType::Boolean if !matches!(field, "" | "true" | "false") => {
            Err(format!("'{field}' in column '{name}' is neither true nor false"))
        }
        _ => Ok(()),
    }
}

/// Where a field of a line begins, quotes counted as CSV does.
fn place_of(text: &str, line: usize, field: usize) -> (usize, usize) {
    let Some(of_line) = text.lines().nth(line.saturating_sub(1)) else { return (line, 1) };
    let (mut passed, mut quoted) = (0, false);
    for (place, letter) in of_line.chars().enumerate() {
        if passed == field {
            return (line, place + 1);
        }
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => passed += 1,
            _ => {}
        }
    }
    (line, of_line.chars().count() + 1)
}

fn fault((line, column): (usize, usize), message: String) -> TableFault {
    TableFault { line, column, message, hint: None }
}

impl TableFault {
    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
