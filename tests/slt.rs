//! `slt/*.slt`: rows, queries and what they must answer, asked of the live engine and of batch SQL.
//!
//! The format is that of sqllogictest, with one directive more. `rows STREAM COLUMN…` gives rows, a
//! line each, `-` for null. A `query` runs on both engines unless `onlyif live` or `onlyif batch`
//! stands before it; queries with the same label have the same answer, which stands under the first.
//! Live, each query is a continuous view, all views of a file are in force together, and the rows
//! come in many different batches. `query error TEXT` must be refused with that text when it is
//! planned. `VONG_BLESS=1` writes what batch SQL answers into the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use vong_model::Stream;
use vong_model::streams::ColumnType;
use vong_workloads::{Column, Feed, batch, prepare, shown, view};

/// Ways in which the rows of a file are cut into batches.
const CUTS: u64 = 6;
/// Instants of rows are times of this day, 2026-11-22, as microseconds.
const DAY_US: i64 = 1_795_305_600_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Both,
    Live,
    Batch,
}

/// One `query` of a file.
#[derive(Clone, Debug)]
struct Query {
    on: On,
    types: String,
    label: Option<String>,
    /// The text that a refusal must hold.
    error: Option<String>,
    sql: String,
    expected: Vec<String>,
}

/// A file taken apart; what is no query is kept as it stands.
#[derive(Debug, Default)]
struct File {
    feed: Feed,
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Query(Query),
}

impl File {
    fn read(text: &str) -> Result<Self> {
        let mut file = Self::default();
        let mut on = On::Both;
        for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
            let lines = block.trim_matches('\n').lines();
            let told: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
            let mut told = told.as_slice();
            if let [first, rest @ ..] = told
                && let Some(engine) = first.strip_prefix("onlyif ")
            {
                on = match engine {
                    "live" => On::Live,
                    "batch" => On::Batch,
                    other => bail!("no engine is called {other}"),
                };
                told = rest;
            }
            match told {
                [first, rest @ ..] if first.starts_with("query ") => {
                    file.parts.push(Part::Query(Query::read(on, first, rest)?));
                    on = On::Both;
                    continue;
                }
                [first, rest @ ..] if first.starts_with("rows ") => file.rows(first, rest)?,
                [] => {}
                [other, ..] => bail!("what is '{other}'?"),
            }
            file.parts.push(Part::Text(block.trim_matches('\n').to_owned()));
        }
        Ok(file)
    }

    fn rows(&mut self, head: &str, lines: &[&str]) -> Result<()> {
        let mut words = head.split_whitespace().skip(1);
        let stream = words.next().and_then(Stream::from_name).context("rows of which stream?")?;
        let lines: Vec<Vec<&str>> = lines.iter().map(|l| l.split_whitespace().collect()).collect();
        let mut columns = Vec::new();
        for (place, name) in words.enumerate() {
            let word = |line: &Vec<&'_ str>| line.get(place).copied().unwrap_or("-").to_owned();
            let words: Vec<String> = lines.iter().map(word).collect();
            columns.push((name, words));
        }
        let typed = columns.iter().map(|(name, words)| {
            let of = stream.columns().get(stream.column_index(name)).context("a column")?;
            Ok((*name, typed(of.column_type, words)?))
        });
        self.feed.push(stream, &typed.collect::<Result<Vec<_>>>()?)
    }

    fn queries(&self) -> impl Iterator<Item = &Query> {
        self.parts.iter().filter_map(|part| match part {
            Part::Query(query) => Some(query),
            Part::Text(_) => None,
        })
    }

    /// What each query must answer: what stands under it, or under the first of its label.
    fn expected(&self) -> Vec<(&Query, Vec<String>)> {
        let mut of_label: BTreeMap<&str, &Vec<String>> = BTreeMap::new();
        let mut out = Vec::new();
        for query in self.queries() {
            let expected = match &query.label {
                Some(label) => *of_label.entry(label).or_insert(&query.expected),
                None => &query.expected,
            };
            out.push((query, expected.clone()));
        }
        out
    }

    fn written(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Query(query) => query.written(),
        });
        let mut text = parts.collect::<Vec<_>>().join("\n\n");
        text.push('\n');
        text
    }
}

impl Query {
    fn read(on: On, head: &str, lines: &[&str]) -> Result<Self> {
        let words: Vec<&str> = head.split_whitespace().skip(1).collect();
        if let ["error", ..] = words.as_slice() {
            let text = head.trim_start_matches("query error").trim().to_owned();
            let (types, label) = (String::new(), None);
            let sql = lines.join("\n");
            return Ok(Self { on, types, label, error: Some(text), sql, expected: vec![] });
        }
        let (types, label) = match words.as_slice() {
            [types, "rowsort"] => (*types, None),
            [types, "rowsort", label] => (*types, Some((*label).to_owned())),
            _ => bail!("'{head}' is not 'query TYPES rowsort [LABEL]'"),
        };
        let end = lines.iter().position(|line| *line == "----");
        let (sql, expected) = lines.split_at(end.unwrap_or(lines.len()));
        let expected = expected.iter().skip(1).map(|line| (*line).to_owned()).collect();
        let (types, sql) = (types.to_owned(), sql.join("\n"));
        Ok(Self { on, types, label, error: None, sql, expected })
    }

    fn written(&self) -> String {
        let mut text = match self.on {
            On::Both => String::new(),
            On::Live => "onlyif live\n".to_owned(),
            On::Batch => "onlyif batch\n".to_owned(),
        };
        if let Some(error) = &self.error {
            write!(text, "query error {error}\n{}", self.sql).unwrap();
            return text;
        }
        let label = self.label.as_ref().map(|label| format!(" {label}")).unwrap_or_default();
        write!(text, "query {} rowsort{label}\n{}\n----", self.types, self.sql).unwrap();
        for line in &self.expected {
            write!(text, "\n{line}").unwrap();
        }
        text
    }
}

fn typed(of: ColumnType, words: &[String]) -> Result<Column<'_>> {
    Ok(match of {
        ColumnType::Time => Column::Times(words.iter().map(|w| instant(w)).collect::<Result<_>>()?),
        ColumnType::Key | ColumnType::Text => {
            Column::Texts(words.iter().map(|w| (w != "-").then_some(w.as_str())).collect())
        }
        ColumnType::Float64 => {
            let float = |word: &String| word.parse().with_context(|| format!("'{word}'"));
            Column::Floats(words.iter().map(float).collect::<Result<_>>()?)
        }
        other => bail!("rows of {other:?} are not written in these files"),
    })
}

/// `10:00:01.5` of the day.
fn instant(word: &str) -> Result<i64> {
    let parts: Vec<f64> = word.split(':').map(str::parse).collect::<Result<_, _>>()?;
    let [hours, minutes, seconds] = parts.as_slice() else { bail!("'{word}' is no time") };
    let seconds = (hours * 60.0 + minutes) * 60.0 + seconds;
    Ok(DAY_US + (seconds * 1e6).round() as i64)
}

/// A small generator: the test needs disorder, not chance.
fn cutter(seed: u64) -> impl FnMut() -> usize {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match seed {
            0 => usize::MAX,
            1 => 1,
            _ => 1 + (state >> 33) as usize % 7,
        }
    }
}

async fn by_batch(file: &File, query: &Query) -> Result<Vec<String>> {
    let batches = batch(&file.feed, &query.sql).await?;
    let columns = batches.first().map(|batch| batch.num_columns());
    ensure!(columns.is_none_or(|n| n == query.types.len()), "{columns:?} columns: {}", query.sql);
    shown(&batches)
}

/// What batch SQL answers becomes what is expected.
async fn bless(path: &Path, file: &mut File) -> Result<()> {
    let mut answers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let key = |place: usize, query: &Query| {
        query.label.clone().unwrap_or_else(|| format!("number {place}"))
    };
    for (place, query) in file.queries().enumerate().filter(|(_, q)| q.error.is_none()) {
        if query.on != On::Live {
            answers.insert(key(place, query), by_batch(file, query).await?);
        }
    }
    let mut place = 0;
    for part in &mut file.parts {
        if let Part::Query(query) = part {
            query.expected = answers.remove(&key(place, query)).unwrap_or_default();
            place += 1;
        }
    }
    Ok(std::fs::write(path, file.written())?)
}

async fn check(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let mut file = File::read(&text)?;
    if std::env::var_os("VONG_BLESS").is_some() {
        bless(path, &mut file).await?;
    }
    let all = file.expected();
    let mut views = Vec::new();
    for (place, (query, expected)) in all.iter().enumerate() {
        let planned = view(&format!("v{place}"), &query.sql)
            .and_then(|view| prepare(std::slice::from_ref(&view)).map(|_| view));
        match (&query.error, planned) {
            (Some(text), Err(e)) => {
                let told = format!("{e:#}");
                ensure!(told.contains(text), "expected '{text}' in: {told}");
                continue;
            }
            (Some(_), Ok(_)) => bail!("is not refused: {}", query.sql),
            (None, Ok(view)) if query.on != On::Batch => views.push(view),
            (None, Err(e)) if query.on != On::Batch => return Err(e.context(query.sql.clone())),
            (None, _) => {}
        }
        ensure!(!expected.is_empty(), "an answer without rows shows nothing: {}", query.sql);
        if query.on != On::Live {
            same("batch", query, expected, &by_batch(&file, query).await?)?;
        }
    }
    for seed in 0..CUTS {
        let live = prepare(&views)?.run(&file.feed.recut(cutter(seed)).records()?)?;
        let asked = all.iter().enumerate();
        for (place, (query, expected)) in
            asked.filter(|(_, (q, _))| q.error.is_none() && q.on != On::Batch)
        {
            let found = live.views.get(&format!("v{place}")).map(Vec::as_slice);
            let found = shown(found.unwrap_or_default())?;
            same(&format!("live, cut {seed}"), query, expected, &found)?;
        }
    }
    Ok(())
}

fn same(engine: &str, query: &Query, expected: &[String], found: &[String]) -> Result<()> {
    let sorted: BTreeSet<&String> = expected.iter().collect();
    ensure!(
        expected == found,
        "{engine}: {}\nmissing: {:#?}\ntoo much: {:#?}\n{} rows expected, {} found",
        query.sql,
        sorted.iter().filter(|row| !found.contains(row)).collect::<Vec<_>>(),
        found.iter().filter(|row| !sorted.contains(row)).collect::<Vec<_>>(),
        expected.len(),
        found.len()
    );
    Ok(())
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("slt");
    let found = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = found.collect();
    found.sort();
    found
}

#[tokio::test]
async fn live_and_batch_answer_as_written() {
    let files = files();
    assert!(files.len() >= 6, "{files:?}");
    let mut wrong = Vec::new();
    for path in files {
        if let Err(e) = check(&path).await {
            wrong.push(format!("{}: {e:#}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// No aggregate of the dialect is left unsaid: each stands in some file, answered or refused.
#[tokio::test]
async fn every_aggregate_stands_in_some_file() {
    let session = vong_sql::session(&vong_sql::SessionLimits::deterministic()).unwrap();
    let all: String = files().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let is_there = |name: &str| all.contains(&format!("{name}("));
    let state = session.state();
    let functions: BTreeMap<&String, _> = state.aggregate_functions().iter().collect();
    let is_missing = |name: &String, aliases: &[String], own: &str| {
        !is_there(own) && !aliases.iter().chain([name]).any(|name| is_there(name))
    };
    let missing = functions.iter().filter(|(name, f)| is_missing(name, f.aliases(), f.name()));
    let missing: Vec<&&String> = missing.map(|(name, _)| name).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
