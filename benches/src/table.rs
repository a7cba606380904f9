//! The table: what was measured, and what it is held against.

use std::fmt;

/// Prints a line.
#[expect(clippy::print_stdout, reason = "this is a command-line program")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// What a number is held against.
pub(crate) enum Beside {
    /// The project's aim: not more than this.
    AtMost(f64),
    /// The project's aim: not less than this.
    AtLeast(f64),
    /// Another number of the same run, if it was taken.
    Measured(&'static str, Option<f64>),
}

/// The unit of a number, and how it is written.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    PerSecond,
    Millis,
    Megabytes,
}

struct Line {
    what: String,
    ours: f64,
    unit: Unit,
    beside: Beside,
}

/// Everything measured so far.
pub(crate) struct Table {
    lines: Vec<Line>,
}

impl Table {
    pub(crate) const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// Adds a line for each thing that the number is held against, and shows the number at once: the whole takes
    /// minutes.
    pub(crate) fn add<const N: usize>(&mut self, what: &str, ours: f64, unit: Unit, beside: [Beside; N]) {
        say(&format!("  {what}: {}", unit.write(ours)));
        self.lines.extend(beside.into_iter().map(|beside| Line {
            what: what.to_owned(),
            ours,
            unit,
            beside,
        }));
    }
}

impl Unit {
    fn write(self, number: f64) -> String {
        match self {
            Self::PerSecond => format!("{number:.0} /s"),
            Self::Millis if number < 1.0 => format!("{number:.4} ms"),
            Self::Millis => format!("{number:.1} ms"),
            Self::Megabytes => format!("{number:.1} MB"),
        }
    }
}

impl Line {
    fn cells(&self) -> [String; 4] {
        let ratio = |to: f64| format!("{:.2}", self.ours / to);
        let verdict = |kept: bool| if kept { "" } else { "  MISSED" };
        let (beside, ratio) = match self.beside {
            Beside::AtMost(aim) => (
                format!("aim: at most {}", self.unit.write(aim)),
                format!("{}{}", ratio(aim), verdict(self.ours <= aim)),
            ),
            Beside::AtLeast(aim) => (
                format!("aim: at least {}", self.unit.write(aim)),
                format!("{}{}", ratio(aim), verdict(self.ours >= aim)),
            ),
            Beside::Measured(name, Some(theirs)) => {
                (format!("{name}: {}", self.unit.write(theirs)), ratio(theirs))
            }
            Beside::Measured(name, None) => (format!("{name}: NOT MEASURED"), String::new()),
        };
        [self.what.clone(), self.unit.write(self.ours), beside, ratio]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "ours", "beside it", "ratio"].map(str::to_owned);
        let rows: Vec<[String; 4]> =
            std::iter::once(head).chain(self.lines.iter().map(Line::cells)).collect();
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..4).map(|column| width(column).unwrap_or_default()).collect();
        for (number, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:width$} |"));
            writeln!(f, "|{}", cells.collect::<String>())?;
            if number == 0 {
                let rules = widths.iter().map(|width| format!("{}|", "-".repeat(width + 2)));
                writeln!(f, "|{}", rules.collect::<String>())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_aim_is_told_and_a_kept_one_is_not() {
        let mut table = Table::new();
        table.add("start", 100.0, Unit::Millis, [Beside::AtMost(150.0)]);
        table.add("help", 30.0, Unit::Millis, [Beside::AtMost(20.0)]);
        let echo = Beside::Measured("echo", Some(100.0));
        table.add("rate", 50.0, Unit::PerSecond, [Beside::AtLeast(100.0), echo]);
        let text = table.to_string();
        let missed: Vec<bool> = text.lines().skip(2).map(|line| line.contains("MISSED")).collect();
        assert_eq!(missed, [false, true, true, false], "{text}");
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| Some(width) == widths.first()), "{text}");
    }
}
