//! Dates and times of day as text (ISO 8601), from counts since 1970.

use std::fmt::Write as _;

const DAY_SECONDS: i64 = 86_400;

/// `2024-02-29`.
pub(super) fn date(days: i64) -> String {
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `2024-02-29T12:00:00.5Z`; without the `Z` where the time is local. `parts` of it are a second.
pub(super) fn timestamp(count: i64, parts: i64, utc: bool) -> String {
    let (seconds, part) = (count.div_euclid(parts), count.rem_euclid(parts));
    let (days, second) = (
        seconds.div_euclid(DAY_SECONDS),
        seconds.rem_euclid(DAY_SECONDS),
    );
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let mut text = date(days);
    // Writing to a string cannot fail.
    let _infallible = write!(text, "T{hour:02}:{minute:02}:{:02}", second % 60);
    if part != 0 {
        let digits = parts.ilog10() as usize;
        let fraction = format!("{part:0digits$}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    if utc {
        text.push('Z');
    }
    text
}

/// Year, month and day in the Gregorian calendar, from days since 1970-01-01: years that begin in
/// March, so that the leap day is the last, in cycles of 400 years (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    const CYCLE_DAYS: i64 = 146_097;
    let days = days.saturating_add(719_468);
    let (cycle, day) = (days.div_euclid(CYCLE_DAYS), days.rem_euclid(CYCLE_DAYS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, wraps) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (cycle * 400 + year + wraps, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (days, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (11_016, "2000-02-29"),
            (-25_508, "1900-03-01"),
            (2_932_896, "9999-12-31"),
        ] {
            assert_eq!(date(days), text);
        }
        assert_eq!(timestamp(0, 1000, true), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(-1, 1000, false), "1969-12-31T23:59:59.999");
        assert_eq!(
            timestamp(1_709_208_000_500_000, 1_000_000, true),
            "2024-02-29T12:00:00.5Z"
        );
        // No count is too large to be shown.
        assert!(!timestamp(i64::MIN, 1, true).is_empty());
        assert!(!date(i64::from(i32::MIN)).is_empty());
    }
}
