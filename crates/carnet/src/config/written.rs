//! The configuration file as it was written, so that what is wrong in it is told with its line.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::failure::Failure;

/// A file that was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    path: PathBuf,
    text: String,
    /// Members that a flag or a variable was taken for instead.
    overruled: Vec<&'static str>,
}

impl Written {
    pub(crate) fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text, overruled: Vec::new() }
    }

    /// From here on nothing that is wrong with this member is the file's.
    pub(crate) fn overrule(&mut self, member: &'static str) {
        self.overruled.push(member);
    }

    /// Puts file and line before a failure that is about this member, if the file has it: `egress.allow.1` is the second
    /// one of the list. Where a part of it is not written down, the line is that of what it would belong to.
    pub(crate) fn told(&self, member: &str, mut failure: Failure) -> Failure {
        if let Some(line) = self.line_of(member).filter(|_| !self.overruled.contains(&member)) {
            failure.message = format!("{} line {line}: {}", self.path.display(), failure.message);
        }
        failure
    }

    /// On which line a member stands, or what it would belong to.
    pub(crate) fn line_of(&self, member: &str) -> Option<usize> {
        let table = DeTable::parse(&self.text).ok()?;
        let mut parts = member.split('.');
        let (mut start, mut value) = find(table.get_ref(), parts.next()?)?;
        for part in parts {
            let below = match value {
                DeValue::Table(table) => find(table, part),
                DeValue::Array(items) => {
                    let item = part.parse().ok().and_then(|at: usize| items.get(at));
                    item.map(|item| (item.span().start, item.get_ref()))
                }
                _ => None,
            };
            let Some(below) = below else { break };
            (start, value) = below;
        }
        Some(line_at(&self.text, start))
    }
}

fn find<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<(usize, &'a DeValue<'i>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
    Some((key.span().start, Spanned::get_ref(value)))
}

/// Which line the byte at `start` stands on.
pub(crate) fn line_at(text: &str, start: usize) -> usize {
    text.get(..start).unwrap_or_default().matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_is_found_where_it_stands() {
        let text = "# a comment\nurl = \"x\"\n\n[egress]\nports = [1]\nallow = [\n  \"10.0.0.0/8\",\n  \"10.0.0.0/99\",\n]\n\n\
                    [[sign_in]]\nname = \"one\"\n\n[[sign_in]]\nname = \"two\"\nissuer = \"y\"\n\n[usage.teams]\nt = \"pro\"\n";
        let mut written = Written::new(Path::new("carnet.toml"), text.to_owned());
        for (member, line) in [
            ("url", Some(2)),
            ("egress", Some(4)),
            ("egress.ports", Some(5)),
            ("egress.allow.0", Some(7)),
            ("egress.allow.1", Some(8)),
            ("egress.allow.2", Some(6)),
            ("sign_in.1.name", Some(15)),
            ("sign_in.1.issuer", Some(16)),
            ("usage.teams.t", Some(19)),
            ("listen", None),
        ] {
            assert_eq!(written.line_of(member), line, "{member}");
        }
        let failure = || Failure::new("invalid_configuration", "No.");
        assert_eq!(written.told("url", failure()).message, "carnet.toml line 2: No.");
        assert_eq!(written.told("listen", failure()).message, "No.");
        written.overrule("url");
        assert_eq!(written.told("url", failure()).message, "No.");
    }
}
