//! Time as text and back. DRS writes `…Z` and `…+00:00`, EC2 writes `…Z`; records hold one form only.

use jiff::fmt::temporal::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use tidegate_contract::IsoTime;

/// Prints exactly three fraction digits, so that text order is time order in the tables' sort keys.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// The one form used in records.
pub fn format(at: Timestamp) -> IsoTime {
    PRINTER.timestamp_to_string(&at)
}

/// Any RFC 3339 time AWS writes; None for anything else.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Rewrites an AWS time into the records' form; keeps nothing that is not a time.
pub fn normalise(text: &str) -> Option<IsoTime> {
    parse(text).map(format)
}

/// Whole seconds from `from` to `to`; 0 when `to` is earlier or `from` is no time.
pub fn seconds_since(from: &str, to: Timestamp) -> u32 {
    parse(from).map_or(0, |from| seconds_between(from, to))
}

/// Whole seconds from `from` to `to`; 0 when `to` is earlier (clocks of two machines may differ).
pub fn seconds_between(from: Timestamp, to: Timestamp) -> u32 {
    u32::try_from(to.duration_since(from).as_secs().max(0)).unwrap_or(u32::MAX)
}

/// `at` plus some seconds; stays put at the end of time.
pub fn after(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(at)
}

/// `at` minus some seconds.
pub fn before(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(at)
}

/// An ISO 8601 duration such as DRS's `lagDuration` (`P0D`, `PT1M30S`) in seconds.
pub fn duration_seconds(text: &str) -> Option<u32> {
    let span: jiff::Span = text.parse().ok()?;
    let seconds = span.total((jiff::Unit::Second, jiff::SpanRelativeTo::days_are_24_hours())).ok()?;
    (seconds >= 0.0 && seconds <= f64::from(u32::MAX)).then_some(seconds as u32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_aws_times_become_one_sortable_form() {
        assert_eq!(normalise("2022-12-07T19:15:38.846723+00:00").unwrap(), "2022-12-07T19:15:38.846Z");
        assert_eq!(normalise("2022-12-07T19:15:38Z").unwrap(), "2022-12-07T19:15:38.000Z");
        assert_eq!(normalise("yesterday"), None);
    }

    #[test]
    fn lag_durations_are_read() {
        assert_eq!(duration_seconds("P0D"), Some(0));
        assert_eq!(duration_seconds("PT1M30S"), Some(90));
        assert_eq!(duration_seconds("P1DT1H"), Some(90_000));
        assert_eq!(duration_seconds("soon"), None);
    }

    #[test]
    fn time_never_runs_backwards() {
        let now = parse("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(seconds_since("2026-01-01T00:00:10Z", now), 0);
    }
}
