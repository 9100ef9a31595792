//! Time as text and back. DRS writes `…Z` and `…+00:00`, EC2 writes `…Z`; records hold one form only.

use jiff::fmt::temporal::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use tidegate_contract::IsoTime;
use tidegate_contract::activities::StartTime;

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

/// An execution's start as records hold it, whichever way it was told.
pub fn start_time(start: &StartTime) -> IsoTime {
    match start {
        StartTime::Iso(text) => normalise(text).unwrap_or_else(|| text.clone()),
        StartTime::EpochMillis(millis) => {
            Timestamp::from_millisecond(*millis).map_or_else(|_| millis.to_string(), format)
        }
    }
}

/// Whether a told start is the recorded one. The context object and the event cut the same instant to milliseconds, each in
/// its own way, so two that are less than a second apart are one; a name is used again after 90 days at the earliest.
pub fn is_same_start(told: &StartTime, recorded: &str) -> bool {
    let exact = start_time(told) == recorded;
    match told {
        StartTime::Iso(_) => exact,
        StartTime::EpochMillis(millis) => {
            exact || parse(recorded).is_some_and(|start| (start.as_millisecond() - millis).abs() < 1_000)
        }
    }
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
    fn a_start_is_the_same_as_text_and_as_a_number() {
        let recorded = "2026-11-20T03:04:05.678Z";
        let millis = |text: &str| StartTime::EpochMillis(parse(text).unwrap().as_millisecond());
        assert_eq!(start_time(&millis(recorded)), recorded);
        assert_eq!(start_time(&StartTime::Iso("2026-11-20T03:04:05.678123+00:00".to_owned())), recorded);
        assert!(is_same_start(&millis(recorded), recorded));
        assert!(is_same_start(&millis("2026-11-20T03:04:05Z"), recorded), "cut to seconds on the way");
        assert!(!is_same_start(&millis("2026-11-20T03:04:07Z"), recorded));
        assert!(!is_same_start(&millis("2026-08-20T03:04:05.678Z"), recorded), "an earlier use of the name");
        assert!(!is_same_start(&StartTime::Iso("2026-11-20T03:04:05Z".to_owned()), recorded));
        assert!(!is_same_start(&StartTime::EpochMillis(i64::MAX), recorded), "nonsense is nobody's start");
    }

    #[test]
    fn time_never_runs_backwards() {
        let now = parse("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(seconds_since("2026-01-01T00:00:10Z", now), 0);
    }
}
