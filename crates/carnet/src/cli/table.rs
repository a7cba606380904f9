//! Columns of text.

use carnet_model::Time;
use carnet_model::shown::clean;
use jiff::Timestamp;

use super::talk::plain;

/// Rows under their headings: columns as wide as their widest cell, two spaces apart, nothing after the last.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let cells: Vec<Vec<String>> = std::iter::once(headings.iter().map(ToString::to_string).collect())
        .chain(rows.iter().map(|row| {
            let shown = |(cell, heading): (&String, &&str)| match (cell.is_empty(), *heading) {
                (true, _) => "–".to_owned(),
                // Whoever gave it a name chose its length; what is copied from here is not in this column.
                (false, "Name") => clean(cell, LONGEST_NAME),
                (false, _) => plain(cell),
            };
            row.iter().zip(headings).map(shown).collect()
        }))
        .collect();
    let mut widths = vec![0; headings.len()];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<String>| {
        let padded: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect()
}

/// How much of a name is shown in a table.
const LONGEST_NAME: usize = 80;

/// Names and values, the values in one column.
pub(crate) fn sheet(rows: &[(&str, String)]) -> Vec<String> {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    rows.iter()
        .map(|(name, value)| format!("{name:<width$}  {}", plain(value)).trim_end().to_owned())
        .collect()
}

/// A time for people to read: how long ago, or exactly where a program may read it.
pub(crate) fn moment(time: Time, now: Time, relative: bool) -> String {
    if !relative || time >= Time::FAR_FUTURE {
        return exact(time);
    }
    let (seconds, past) =
        if time > now { (now.until(time).as_secs(), false) } else { (time.until(now).as_secs(), true) };
    let span = match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    if past { format!("{span} ago") } else { format!("in {span}") }
}

/// RFC 3339, in UTC.
pub(crate) fn exact(time: Time) -> String {
    if time >= Time::FAR_FUTURE {
        return "never".to_owned();
    }
    Timestamp::from_millisecond(time.millis()).map_or_else(|_| time.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_and_hold_no_control_characters() {
        let rows = vec![
            vec!["demo/hello".to_owned(), "Hé\u{1b}[31m".to_owned()],
            vec!["a/b".to_owned(), String::new()],
        ];
        assert_eq!(
            table(&["UID", "Name"], &rows),
            ["UID         Name", "demo/hello  Hé [31m", "a/b         –"]
        );
    }

    #[test]
    fn a_name_deceives_nobody_and_is_no_wider_than_it_is_read() {
        let rows = vec![
            vec![
                "a/b".to_owned(),
                format!("x\u{202e}cod\u{2066}.\u{200b}y{}", "z".repeat(200)),
                "!".to_owned(),
            ],
            vec!["https://example.com/".repeat(9), "c".to_owned(), String::new()],
        ];
        let lines = table(&["URL", "Name", "State"], &rows);
        assert!(lines[1].contains(&format!("xcod.y{}…  !", "z".repeat(74))), "{lines:?}");
        assert!(lines[2].contains(&rows[1][0]), "what is copied is whole: {lines:?}");
    }

    #[test]
    fn times_are_read_by_people_or_by_programs() {
        let now = Time::from_secs(1_784_065_923);
        for (offset, text) in [
            (0, "0 s ago"),
            (-59, "59 s ago"),
            (-3600, "1 h ago"),
            (90, "in 1 min"),
            (-864_000, "10 days ago"),
        ] {
            assert_eq!(moment(Time::from_secs(now.secs() + offset), now, true), text);
        }
        assert_eq!(moment(now, now, false), "2026-07-14T21:52:03Z");
        assert_eq!(moment(Time::FAR_FUTURE, now, true), "never");
    }
}
