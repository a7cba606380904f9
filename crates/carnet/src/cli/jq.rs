//! `--jq`: an expression of the jq language, applied to the JSON that a command answers with.
//!
//! It is read together with the flags, so a mistake in it is found before anything is done. Each of its results is a
//! line: a text as it stands, everything else as compact JSON. It loads no modules.

use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars};
use jaq_json::{Val, read};

use super::failure::{Exit, Failure};

/// An expression that can be applied.
pub(crate) struct Jq(Filter<JustLut<Val>>);

impl Jq {
    /// Reads an expression; says what is wrong with it, and where.
    pub(crate) fn read(expression: &str) -> Result<Self, String> {
        let definitions = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let filters = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let loaded = Loader::new(definitions).load(&arena, File { code: expression, path: () });
        let modules = loaded.map_err(|errors| unreadable(expression, errors))?;
        let compiled = Compiler::default().with_funs(filters).compile(modules).map_err(|errors| {
            let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
            first.map_or_else(String::new, |(name, kind)| format!("there is no {} {name}", kind.as_str()))
        })?;
        Ok(Self(compiled))
    }

    /// What comes of a JSON text, line by line. Nothing, if any of it fails.
    pub(crate) fn lines(&self, json: &str) -> Result<Vec<String>, Failure> {
        let failed = |why: String| {
            Failure::new("jq_failed", format!("The --jq expression does not fit the answer: {why}"))
                .exit(Exit::Usage)
                .next("the same command with --json in its place", "to see the answer whole")
        };
        let input = read::parse_single(json.as_bytes()).map_err(|error| failed(error.to_string()))?;
        let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        let mut lines = Vec::new();
        for result in self.0.id.run((context, input)) {
            match result {
                Ok(Val::TStr(text)) => lines.push(String::from_utf8_lossy(&text).into_owned()),
                Ok(value) => lines.push(value.to_string()),
                Err(exception) => match exception.get_err() {
                    Ok(error) => return Err(failed(short(&error.to_string()))),
                    // `halt`: that was all.
                    Err(_) => break,
                },
            }
        }
        Ok(lines)
    }
}

/// For the flags.
pub(crate) fn expression(text: &str) -> Result<String, String> {
    Jq::read(text).map(|_| text.to_owned())
}

fn unreadable(whole: &str, errors: load::Errors<&str, ()>) -> String {
    let at = |rest: &str| {
        let place = whole.len().saturating_sub(rest.len());
        if rest.is_empty() { "at its end".to_owned() } else { format!("at character {}", place + 1) }
    };
    let first = errors.into_iter().next().map(|(_, error)| error);
    let said = match first {
        Some(load::Error::Io(_)) => Some("modules are not loaded here".to_owned()),
        Some(load::Error::Lex(errors)) => errors
            .into_iter()
            .next()
            .map(|(wanted, rest)| format!("{} expected {}", wanted.as_str(), at(rest))),
        Some(load::Error::Parse(errors)) => errors.into_iter().next().map(|(wanted, found)| match found {
            "" => format!("{} expected at its end", wanted.as_str()),
            found => format!("{} expected where {found:?} stands", wanted.as_str()),
        }),
        None => None,
    };
    said.unwrap_or_else(|| "it is no expression".to_owned())
}

/// An error quotes the value that it is about, which may be a token. Its texts are left out.
fn short(text: &str) -> String {
    const MOST: usize = 120;
    let mut kept = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        kept.push(c);
        if c == '"' {
            while let Some(inner) = chars.next() {
                match inner {
                    '\\' => drop(chars.next()),
                    '"' => break,
                    _ => {}
                }
            }
            kept.push_str("…\"");
        }
    }
    match kept.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", kept.get(..end).unwrap_or_default()),
        None => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_lines_and_texts_stand_as_they_are() {
        let json = r#"{"a":[{"uid":"slack/x","n":1.0},{"uid":"b\nc","n":12345678901234567890}],"z":null}"#;
        for (expression, lines) in [
            (".a[].uid", &["slack/x", "b\nc"][..]),
            (".a | map(.n)", &["[1.0,12345678901234567890]"]),
            (".a[] | select(.uid | test(\"^sl\")) | {uid}", &[r#"{"uid":"slack/x"}"#]),
            (".z, (.a|length), .none", &["null", "2", "null"]),
            ("empty", &[]),
            ("1, halt, 2", &["1"]),
        ] {
            assert_eq!(Jq::read(expression).unwrap().lines(json).unwrap(), lines, "{expression}");
        }
    }

    #[test]
    fn a_mistake_is_told_before_anything_is_done() {
        for (expression, said) in [
            (".a[", "closing bracket"),
            ("nope", "nope"),
            ("$x", "x"),
            ("| .", "\"|\""),
            ("include \"m\"; .", ""),
        ] {
            let why = Jq::read(expression).err().unwrap_or_else(|| panic!("{expression}"));
            assert!(why.contains(said) && !why.is_empty(), "{expression}: {why}");
        }
    }

    #[test]
    fn what_does_not_fit_fails_whole_and_quotes_no_text() {
        let json = r#"{"a":1,"token":"hu\\"sh"}"#;
        let failure = Jq::read(".a, .a.b.c").unwrap().lines(json).unwrap_err();
        assert_eq!((failure.code.as_str(), failure.exit), ("jq_failed", Exit::Usage));
        for expression in [". - 1", ".token - 1", ".token | error", ".[.token][0]"] {
            let failure = Jq::read(expression).unwrap().lines(json).unwrap_err();
            assert!(!failure.message.contains("hu") && !failure.message.contains("sh\""), "{failure}");
        }
    }
}
