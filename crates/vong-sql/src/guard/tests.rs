//! What the guard lets through, what it refuses, and in which words.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::datasource::empty::EmptyTable;
use expect_test::{Expect, expect};
use vong_model::Stream;

use super::parse;
use crate::{Error, SessionLimits, session};

async fn outcome(sql: &str) -> Result<(), Error> {
    let session = session(&SessionLimits::default()).unwrap();
    for stream in [Stream::Readings, Stream::AlertTransitions] {
        let table = Arc::new(EmptyTable::new(stream.schema()));
        session.register_table(stream.name(), table).unwrap();
    }
    parse(sql)?.plan(&session).await?;
    Ok(())
}

async fn check(statements: &[&str], expected: Expect) {
    let mut text = String::new();
    for sql in statements {
        let said = match outcome(sql).await {
            Ok(()) => "ok".to_owned(),
            Err(e) => match e.hint() {
                Some(hint) => format!("{e} | {hint}"),
                None => e.to_string(),
            },
        };
        writeln!(text, "{sql}\n  {said}").unwrap();
    }
    expected.assert_eq(&text);
}

#[tokio::test]
async fn reading_is_allowed() {
    check(
        &[
            "SELECT 1",
            "SELECT count(*) FROM readings WHERE metric = 'speed';",
            "WITH r AS (SELECT * FROM readings) SELECT * FROM r",
            "VALUES (1), (2)",
            "EXPLAIN SELECT * FROM readings",
            "EXPLAIN ANALYZE SELECT * FROM readings",
            "SHOW TABLES",
            "SHOW COLUMNS FROM readings",
            "DESCRIBE readings",
            "SELECT * FROM information_schema.columns",
        ],
        expect![[r#"
            SELECT 1
              ok
            SELECT count(*) FROM readings WHERE metric = 'speed';
              ok
            WITH r AS (SELECT * FROM readings) SELECT * FROM r
              ok
            VALUES (1), (2)
              ok
            EXPLAIN SELECT * FROM readings
              ok
            EXPLAIN ANALYZE SELECT * FROM readings
              ok
            SHOW TABLES
              ok
            SHOW COLUMNS FROM readings
              ok
            DESCRIBE readings
              ok
            SELECT * FROM information_schema.columns
              ok
        "#]],
    )
    .await;
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a list of cases")]
async fn everything_else_is_refused() {
    check(
        &[
            "COPY readings TO '/tmp/x.parquet'",
            "COPY (SELECT 1) TO 'x.csv'",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE TABLE t AS SELECT 1",
            "CREATE VIEW v AS SELECT 1",
            "INSERT INTO readings VALUES (1)",
            "WITH x AS (SELECT 1) INSERT INTO readings SELECT * FROM x",
            "UPDATE readings SET value = 1",
            "DELETE FROM readings",
            "DROP TABLE readings",
            "SET datafusion.execution.batch_size = 1",
            "RESET datafusion.execution.batch_size",
            "PREPARE p AS SELECT 1",
            "EXECUTE p",
            "BEGIN",
            "EXPLAIN INSERT INTO readings VALUES (1)",
            "EXPLAIN COPY readings TO 'x.csv'",
            "SELECT 1 INTO t",
            "SELECT 1;\n  DROP TABLE readings",
            "SELECT 1; -- one\n; SELECT 2",
            "",
            "-- nothing",
            "SELECT * FROM '/etc/passwd'",
            "SELECT * FROM 'https://example.org/x.parquet'",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT set_config('datafusion.execution.batch_size', '1', false)",
        ],
        expect![[r#"
            COPY readings TO '/tmp/x.parquet'
              COPY at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            COPY (SELECT 1) TO 'x.csv'
              COPY at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'
              CREATE EXTERNAL TABLE at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            CREATE TABLE t AS SELECT 1
              CREATE at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            CREATE VIEW v AS SELECT 1
              CREATE at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            INSERT INTO readings VALUES (1)
              INSERT at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            WITH x AS (SELECT 1) INSERT INTO readings SELECT * FROM x
              INSERT at line 1, column 22 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            UPDATE readings SET value = 1
              UPDATE at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            DELETE FROM readings
              DELETE at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            DROP TABLE readings
              DROP at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            SET datafusion.execution.batch_size = 1
              SET at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            RESET datafusion.execution.batch_size
              RESET at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            PREPARE p AS SELECT 1
              PREPARE at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            EXECUTE p
              EXECUTE at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            BEGIN
              BEGIN at line 1, column 1 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            EXPLAIN INSERT INTO readings VALUES (1)
              INSERT at line 1, column 9 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            EXPLAIN COPY readings TO 'x.csv'
              COPY at line 1, column 9 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            SELECT 1 INTO t
              INTO at line 1, column 10 is not allowed: SQL here only reads | Use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE.
            SELECT 1;
              DROP TABLE readings
              expected one statement, found 2 at line 2, column 3 | Send one statement at a time.
            SELECT 1; -- one
            ; SELECT 2
              expected one statement, found 2 at line 2, column 3 | Send one statement at a time.

              expected one statement, found 0 | Send one statement at a time.
            -- nothing
              expected one statement, found 0 | Send one statement at a time.
            SELECT * FROM '/etc/passwd'
              there is no table '/etc/passwd' at line 1, column 15 | SHOW TABLES lists what there is.
            SELECT * FROM 'https://example.org/x.parquet'
              there is no table 'https://example.org/x.parquet' at line 1, column 15 | SHOW TABLES lists what there is.
            SELECT * FROM read_csv('/etc/passwd')
              there is no function 'read_csv' at line 1, column 15
            SELECT set_config('datafusion.execution.batch_size', '1', false)
              there is no function 'set_config' at line 1, column 8
        "#]],
    )
    .await;
}

#[tokio::test]
async fn an_error_says_what_where_and_what_was_meant() {
    check(
        &[
            "SELEC 1",
            "SELECT 'open",
            "SELECT value\nFROM reading",
            "SELECT vaule FROM readings",
            "SELECT value,\n       sensorid FROM readings",
            "SELECT r.valeu FROM readings r",
            "SELECT tumbel(event_time, INTERVAL '1 minute') FROM readings",
            "SELECT zzz() FROM readings",
            "SELECT metric, value FROM readings GROUP BY metric",
            "SELECT value + metric + event_time FROM readings",
            "SELECT * FROM vong.strems",
            "SELECT tumble(value, INTERVAL '1 minute') FROM readings",
            "SELECT abs('x', 2) FROM readings",
        ],
        expect![[r#"
            SELEC 1
              syntax error: expected: an SQL statement, found: SELEC at line 1, column 1
            SELECT 'open
              syntax error: unterminated string literal at line 1, column 8
            SELECT value
            FROM reading
              there is no table 'reading' at line 2, column 6 | Did you mean 'readings'?
            SELECT vaule FROM readings
              there is no column 'vaule' at line 1, column 8 | Did you mean 'value'?
            SELECT value,
                   sensorid FROM readings
              there is no column 'sensorid' at line 2, column 8 | Did you mean 'sensor_id'?
            SELECT r.valeu FROM readings r
              there is no column 'valeu' at line 1, column 8 | Did you mean 'value'?
            SELECT tumbel(event_time, INTERVAL '1 minute') FROM readings
              there is no function 'tumbel' at line 1, column 8 | Did you mean 'tumble'?
            SELECT zzz() FROM readings
              there is no function 'zzz' at line 1, column 8
            SELECT metric, value FROM readings GROUP BY metric
              'readings.value' must appear in GROUP BY clause because it's not an aggregate expression at line 1, column 16 | Either add 'readings.value' to GROUP BY clause, or use an aggregate function like ANY_VALUE(readings.value)
            SELECT value + metric + event_time FROM readings
              expressions have incompatible types at line 1, column 8
            SELECT * FROM vong.strems
              there is no table 'vong.strems' at line 1, column 15 | SHOW TABLES lists what there is.
            SELECT tumble(value, INTERVAL '1 minute') FROM readings
              expected a timestamp, found Float64
            SELECT abs('x', 2) FROM readings
              function 'abs' expects 1 arguments but received 2
        "#]],
    )
    .await;
}

#[tokio::test]
async fn depth_and_length_have_limits() {
    let deep = format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500));
    expect!["syntax error: nested more than 64 deep"]
        .assert_eq(&outcome(&deep).await.unwrap_err().to_string());
    let long = format!("SELECT '{}'", "x".repeat(70_000));
    expect!["statement has 70009 bytes, the limit is 65536"]
        .assert_eq(&outcome(&long).await.unwrap_err().to_string());
}
