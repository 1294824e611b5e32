//! `vong sql`: one question to a running vong, answered as a table, JSON or CSV.

use std::io::Read;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use vong_wire::http::{Problem, SqlRequest};

use crate::cli::{SqlArguments, SqlFormat, say, tell};

/// Larger answers belong into a file: use the HTTP interface.
const ANSWER_LIMIT: u64 = 1024 * 1024 * 1024;

pub(crate) fn run(arguments: &SqlArguments) -> Result<ExitCode> {
    let sql = match &arguments.statement {
        Some(statement) => statement.clone(),
        None => read_statement()?,
    };
    let accept = match arguments.format {
        SqlFormat::Table => "application/vnd.apache.arrow.stream",
        SqlFormat::Json => "application/json",
        SqlFormat::Csv => "text/csv",
    };
    let answer = ask(&arguments.url, &sql, accept)?;
    match arguments.format {
        SqlFormat::Table => say(&table(&answer)?),
        SqlFormat::Json | SqlFormat::Csv => say(String::from_utf8_lossy(&answer).trim_end()),
    }
}

fn read_statement() -> Result<String> {
    let mut statement = String::new();
    std::io::stdin().read_to_string(&mut statement).context("could not read the statement")?;
    Ok(statement)
}

fn ask(url: &str, sql: &str, accept: &str) -> Result<Vec<u8>> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let mut answer = ureq::Agent::new_with_config(config)
        .post(format!("{}/api/v1/sql", url.trim_end_matches('/')))
        .header("accept", accept)
        .send_json(SqlRequest { sql: sql.to_owned() })
        .with_context(|| format!("no vong answers at {url}; is it running?"))?;
    if let Some(lost) = answer.headers().get("vong-lost-offsets").and_then(|v| v.to_str().ok()) {
        tell(&format!(
            "warning: the log is damaged, rows of offsets {lost} are missing from this answer; run `vong fsck`"
        ));
    }
    let body = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec();
    let body = body.context("the answer broke off")?;
    if answer.status().is_success() {
        return Ok(body);
    }
    let Ok(Problem { message, hint, line, column, .. }) = serde_json::from_slice(&body) else {
        bail!("{}: {}", answer.status(), String::from_utf8_lossy(&body));
    };
    // Messages about a statement carry their place already.
    let place = line.zip(column).filter(|_| !message.contains("line"));
    let place =
        place.map(|(line, column)| format!(" (line {line}, column {column})")).unwrap_or_default();
    let hint = hint.map(|hint| format!("\n  = {hint}")).unwrap_or_default();
    bail!("{message}{place}{hint}")
}

fn table(answer: &[u8]) -> Result<String> {
    let reader = StreamReader::try_new(answer, None).context("the answer is no Arrow stream")?;
    let batches: Vec<RecordBatch> =
        reader.collect::<Result<_, _>>().context("the answer broke off")?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let table =
        arrow::util::pretty::pretty_format_batches(&batches).context("could not draw the table")?;
    Ok(format!("{table}\n{rows} row{}", if rows == 1 { "" } else { "s" }))
}
