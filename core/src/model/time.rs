//! Durations (GEP-2257, [V-1]) and creation timestamps (RFC 3339).

use std::time::Duration;

/// Reads a Gateway API duration: 1 to 4 parts of 1 to 5 digits with unit `h`, `m`, `s` or `ms`; the value is
/// their sum ([V-1]).
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut parts = 0_u8;
    while !rest.is_empty() {
        parts = parts.checked_add(1).filter(|n| *n <= 4)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=5).contains(&digits) {
            return None;
        }
        let (number, tail) = rest.split_at_checked(digits)?;
        let number: u64 = number.parse().ok()?;
        // `ms` before `m`: the longer unit first.
        let (unit, tail) = [("ms", 1_u64), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
            .iter()
            .find_map(|(unit, millis)| Some((*millis, tail.strip_prefix(unit)?)))?;
        total = total.checked_add(Duration::from_millis(number.checked_mul(unit)?))?;
        rest = tail;
    }
    (parts > 0).then_some(total)
}

/// Reads an RFC 3339 time as seconds since 1970; Kubernetes keeps whole seconds, a fraction is dropped
/// ([M-20] step 8).
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let mut clock = clock.split_once('.').map_or(clock, |(whole, _)| whole).split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let valid = date.next().is_none()
        && clock.next().is_none()
        && (0..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..=23).contains(&hour)
        && (0..=59).contains(&minute)
        && (0..=60).contains(&second);
    if !valid {
        return None;
    }
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let (sign, digits) = zone.split_at_checked(1)?;
            let (hours, minutes) = digits.split_once(':')?;
            let (hours, minutes) = (hours.parse::<i64>().ok()?, minutes.parse::<i64>().ok()?);
            if !(0..=23).contains(&hours) || !(0..=59).contains(&minutes) {
                return None;
            }
            let seconds = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
            if sign == "-" { seconds.checked_neg()? } else { seconds }
        }
    };
    let day_seconds = days_since_1970(year, month, day)?.checked_mul(86_400)?;
    let clock_seconds = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    day_seconds.checked_add(clock_seconds)?.checked_sub(offset)
}

/// Days of the proleptic Gregorian calendar, by Howard Hinnant's `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = month.checked_add(if month > 2 { -3 } else { 9 })?;
    let day_of_year = shifted_month.checked_mul(153)?.checked_add(2)?.div_euclid(5).checked_add(day)?.checked_sub(1)?;
    let day_of_era = year_of_era
        .checked_mul(365)?
        .checked_add(year_of_era.div_euclid(4))?
        .checked_sub(year_of_era.div_euclid(100))?
        .checked_add(day_of_year)?;
    era.checked_mul(146_097)?.checked_add(day_of_era)?.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of [V-2].
    #[test]
    fn durations() {
        for (text, millis) in [
            ("0h", 0),
            ("0s", 0),
            ("0ms", 0),
            ("1h", 3_600_000),
            ("150m", 9_000_000),
            ("7230s", 7_230_000),
            ("1h30m10s5ms", 5_410_005),
            ("10s30m1h", 5_410_000),
            ("100ms200ms300ms", 600),
            ("99999h", 359_996_400_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["1", "1m1", "1d", "1.5h", "-15m", "1h30m10s20ms50h", "999999h", "1us", "1 s", "1S", "", "s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-01T00:00:00Z", 1_767_225_600),
            ("2024-02-29T12:34:56Z", 1_709_210_096),
            ("2026-01-01T01:30:00.123+01:30", 1_767_225_600),
            ("2025-12-31T23:00:00-01:00", 1_767_225_600),
        ] {
            assert_eq!(parse_timestamp(text), Some(seconds), "{text}");
        }
        for text in ["", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "yesterday"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
