//! Every way of writing a time, and every way of writing it wrong.

use super::*;

fn read(format: &str, offset_hours: Option<f64>, found: &Found, text: &str) -> String {
    let config = TimestampConfig { pointer: "/t".into(), format: format.into(), offset_hours };
    let format = TimestampFormat::compile(&config).unwrap();
    match format.read(found, text) {
        Ok(time) => time.to_string(),
        Err(expected) => format!("expected {expected}"),
    }
}

fn text(format: &str, value: &str) -> String {
    read(format, None, &Found::Text(0..value.len()), value)
}

#[test]
fn rfc_3339_is_read_with_any_offset_and_fraction() {
    let check = |value, expected| assert_eq!(text("rfc3339", value), expected, "{value}");
    check("2026-11-22T07:30:00+07:00", "2026-11-22T00:30:00.000000Z");
    check("2026-11-22T07:30:00.5Z", "2026-11-22T07:30:00.500000Z");
    check("2026-11-22t07:30:00.123456789z", "2026-11-22T07:30:00.123456Z");
    check("2026-11-22 07:30:00-0130", "2026-11-22T09:00:00.000000Z");
    check("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z");
    check("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z");
    check("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z");
    check("2038-01-19T03:14:08Z", "2038-01-19T03:14:08.000000Z");
}

#[test]
fn what_is_not_rfc_3339_is_refused() {
    for bad in [
        "",
        "2026-11-22",
        "2026-11-22T07:30:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T07:60:00Z",
        "2026-11-22T07:30:61Z",
        "2026-11-22T07:30:00.Z",
        "2026-11-22T07:30:00+24:00",
        "2026-11-22T07:30:00Zx",
        "２026-11-22T07:30:00Z",
        "NaN",
    ] {
        assert_eq!(text("rfc3339", bad), "expected an RFC 3339 time with offset", "{bad}");
    }
}

#[test]
fn counts_since_1970_are_read_as_integers_fractions_and_text() {
    let check = |format, found: Found, expected| {
        assert_eq!(read(format, None, &found, ""), expected);
    };
    check("unix_s", Found::Integer(1_795_305_600), "2026-11-22T00:00:00.000000Z");
    check("unix_s", Found::Number(1_795_305_600.25), "2026-11-22T00:00:00.250000Z");
    check("unix_ms", Found::Integer(1_795_305_600_001), "2026-11-22T00:00:00.001000Z");
    check("unix_us", Found::Integer(1_795_305_600_000_001), "2026-11-22T00:00:00.000001Z");
    check("unix_s", Found::Integer(i64::MAX), "expected a number since 1970");
    check("unix_s", Found::Number(1e300), "expected a number since 1970");
    check("unix_s", Found::Number(f64::NAN), "expected a number since 1970");
    check("unix_s", Found::Bool(true), "expected a number since 1970");
    assert_eq!(text("unix_ms", "1795305600001"), "2026-11-22T00:00:00.001000Z");
    assert_eq!(text("unix_ms", "inf"), "expected a number since 1970");
}

#[test]
fn patterns_take_an_offset_or_carry_a_zone() {
    let value = "22/11/2026 07:00:00";
    let found = Found::Text(0..value.len());
    let local = read("%d/%m/%Y %H:%M:%S", Some(7.0), &found, value);
    assert_eq!(local, "2026-11-22T00:00:00.000000Z");
    assert_eq!(text("%Y%m%d%H%M%S%z", "20261122070000+0700"), "2026-11-22T00:00:00.000000Z");
    assert_eq!(text("%Y", "x"), "expected a time in the configured pattern");
}

#[test]
fn formats_that_make_no_sense_are_refused() {
    let compile = |format: &str, offset_hours| {
        let config =
            TimestampConfig { pointer: String::new(), format: format.into(), offset_hours };
        TimestampFormat::compile(&config).unwrap_err()
    };
    assert!(compile("rfc3399", None).contains("did you mean 'rfc3339'"));
    assert!(compile("unix_ms", Some(7.0)).contains("no offset_hours"));
    assert!(compile("%Y-%m-%dT%H:%M:%S%z", Some(7.0)).contains("zone of its own"));
    assert!(compile("%Y %!", None).contains("not a strftime pattern"));
    assert!(compile("%Y-%m-%d %H", Some(99.0)).contains("outside"));
}
