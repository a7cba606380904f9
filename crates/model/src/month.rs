//! Days and months of the calendar, in UTC: what is counted is counted by them.
//!
//! The proleptic Gregorian calendar. A year is taken to begin in March, so that the odd day is its last one.

use std::fmt;

use crate::time::Time;

/// A month of UTC, as months since January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i64);

/// Text that names no month.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a month is written 2026-09, and is from 1970-01 to 9999-12")]
pub struct InvalidMonth;

impl Month {
    /// The month in which a moment lies.
    pub const fn of(time: Time) -> Self {
        let days = day_of(time) + DAYS_BEFORE_1970;
        let cycle = days.div_euclid(DAYS_PER_CYCLE);
        let day = days.rem_euclid(DAYS_PER_CYCLE);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        // 153 days are five months, whichever of the five come.
        let from_march = (5 * day_of_year + 2) / 153;
        let months = (cycle * 400 + year) * 12 + from_march + 2;
        Self(months - 1970 * 12)
    }

    /// From months since January 1970.
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Months since January 1970.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The month after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Its first day, as days since 1970.
    pub const fn first_day(self) -> i64 {
        let from_march = self.0 + 1970 * 12 - 2;
        let (year, month) = (from_march.div_euclid(12), from_march.rem_euclid(12));
        let (cycle, year) = (year.div_euclid(400), year.rem_euclid(400));
        let day = 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5;
        cycle * DAYS_PER_CYCLE + day - DAYS_BEFORE_1970
    }

    /// When it begins.
    pub const fn begins(self) -> Time {
        Time::from_millis(self.first_day() * DAY)
    }

    /// Reads `2026-09`.
    pub fn parse(text: &str) -> Result<Self, InvalidMonth> {
        let (year, month) = text.split_once('-').ok_or(InvalidMonth)?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return Err(InvalidMonth);
        }
        let year: i64 = year.parse().map_err(|_| InvalidMonth)?;
        let month: i64 = month.parse().map_err(|_| InvalidMonth)?;
        if year < 1970 || !(1..=12).contains(&month) {
            return Err(InvalidMonth);
        }
        Ok(Self((year - 1970) * 12 + month - 1))
    }
}

/// The UTC day in which a moment lies, as days since 1970.
pub const fn day_of(time: Time) -> i64 {
    time.millis().div_euclid(DAY)
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let months = self.0 + 1970 * 12;
        write!(f, "{:04}-{:02}", months.div_euclid(12), months.rem_euclid(12) + 1)
    }
}

/// Milliseconds.
const DAY: i64 = 86_400_000;
/// After four hundred years the calendar repeats.
const DAYS_PER_CYCLE: i64 = 146_097;
/// From the first of March of the year 0.
const DAYS_BEFORE_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_moment_lies_in_the_month_of_the_calendar() {
        // Checked with `date -u -d @…`.
        for (secs, month, day) in [
            (0, "1970-01", 0),
            (951_782_399, "2000-02", 11_015),
            (951_868_800, "2000-03", 11_017),
            (1_709_164_800, "2024-02", 19_782),
            (1_709_251_200, "2024-03", 19_783),
            (1_798_761_599, "2026-12", 20_818),
            (1_798_761_600, "2027-01", 20_819),
            (4_107_542_400, "2100-03", 47_541),
            (-1, "1969-12", -1),
        ] {
            let time = Time::from_secs(secs);
            assert_eq!((Month::of(time).to_string().as_str(), day_of(time)), (month, day), "{secs}");
        }
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in ["", "2026", "2026-13", "2026-00", "26-01", "2026-1", "1969-12", "2026-09-01", "+026-09"]
        {
            assert_eq!(Month::parse(text), Err(InvalidMonth), "{text}");
        }
    }

    proptest! {
        #[test]
        fn months_follow_each_other_without_a_gap(number in 0_i64..96_359) {
            let month = Month::from_number(number);
            let (begins, ends) = (month.begins(), month.next().begins());
            prop_assert_eq!(Month::of(begins), month);
            prop_assert_eq!(Month::of(Time::from_millis(ends.millis() - 1)), month);
            prop_assert!((28..=31).contains(&(month.next().first_day() - month.first_day())));
            prop_assert_eq!(Month::parse(&month.to_string()), Ok(month));
        }
    }
}
