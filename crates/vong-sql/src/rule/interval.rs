//! Durations as SQL writes them: `INTERVAL '1 minute 30 seconds'`.

use std::time::Duration;

const UNITS: [(&str, u64); 13] = [
    ("millisecond", 1),
    ("ms", 1),
    ("second", 1_000),
    ("sec", 1_000),
    ("s", 1_000),
    ("minute", 60_000),
    ("min", 60_000),
    ("m", 60_000),
    ("hour", 3_600_000),
    ("h", 3_600_000),
    ("day", 86_400_000),
    ("d", 86_400_000),
    ("week", 604_800_000),
];

/// Reads pairs of whole number and unit; `None` when the text is anything else.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut words = text.split_whitespace();
    let mut total_ms: u64 = 0;
    let mut pairs = 0;
    while let Some(number) = words.next() {
        let number: u64 = number.parse().ok()?;
        total_ms = total_ms.checked_add(number.checked_mul(unit_ms(words.next()?)?)?)?;
        pairs += 1;
    }
    (pairs > 0).then(|| Duration::from_millis(total_ms))
}

fn unit_ms(word: &str) -> Option<u64> {
    let word = word.to_ascii_lowercase();
    let is = |unit: &str| word == unit || (unit.len() > 2 && word.strip_suffix('s') == Some(unit));
    UNITS.iter().find(|(unit, _)| is(unit)).map(|(_, ms)| *ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs_and_refuses_the_rest() {
        let check = |text, seconds: Option<u64>| {
            assert_eq!(parse(text), seconds.map(Duration::from_secs), "{text}");
        };
        check("2 minutes", Some(120));
        check("1 minute 30 seconds", Some(90));
        check("1 Hour", Some(3_600));
        check("0 seconds", Some(0));
        check("", None);
        check("5", None);
        check("-5 seconds", None);
        check("1 month", None);
        check("99999999999999999999 days", None);
        check("18446744073709551615 days", None);
    }
}
