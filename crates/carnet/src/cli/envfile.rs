//! Files of variables, `.env.local` and its like: changing a few and leaving every other byte as it is.

use std::collections::BTreeMap;

use carnet_model::SecretString;

/// The text with the variables set: each in its place where it stood, the others at the end. Where one stood twice,
/// both are changed, because readers differ about which of them counts.
pub(crate) fn update(text: &str, variables: &BTreeMap<String, SecretString>) -> String {
    let mut out = String::with_capacity(text.len() + 256);
    let mut written = Vec::new();
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let mut entry = line.to_owned();
        let assignment = assigned(line);
        if let Some((_, _, Some(quote))) = assignment {
            // The value goes on until its quote is closed; if it never is, it was one line after all.
            let rest: Vec<_> = lines.clone().collect();
            if let Some(end) = rest.iter().position(|line| closes(line, quote)) {
                for line in lines.by_ref().take(end + 1) {
                    entry.push_str(line);
                }
            }
        }
        let replaced = assignment.and_then(|(prefix, name, _)| Some((prefix, name, variables.get(name)?)));
        match replaced {
            Some((prefix, name, value)) => {
                let end = if entry.ends_with("\r\n") { "\r\n" } else { "\n" };
                out.push_str(&[prefix, name, "=", &for_file(value.expose()), end].concat());
                written.push(name);
            }
            None => out.push_str(&entry),
        }
    }
    let missing: Vec<_> = variables.iter().filter(|(name, _)| !written.contains(&name.as_str())).collect();
    if !missing.is_empty() && !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    for (name, value) in missing {
        out.push_str(&[name, "=", &for_file(value.expose()), "\n"].concat());
    }
    out
}

/// Whether a text sets a variable to this value, of which a line is enough: a quote that is left open takes in what follows.
pub(crate) fn has(text: &str, variable: &str, value: &SecretString) -> bool {
    let value = value.expose();
    let Some(first) = value.lines().next().map(str::trim).filter(|line| !line.is_empty()) else {
        return false;
    };
    text.lines().filter(|line| assigned(line).is_some_and(|(_, name, _)| name == variable)).any(|line| {
        let told = line.split_once('=').map_or("", |(_, told)| told.trim());
        let bare = told.trim_start_matches(['"', '\'', '`']);
        [told, bare, bare.trim_end_matches(['"', '\'', '`'])].contains(&first)
    })
}

/// Whether a text can name a variable.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A value as a POSIX shell reads it back, whatever it holds.
pub(crate) fn for_shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// A value as readers of such files agree on it: bare where nothing in it could be misread, quoted otherwise.
fn for_file(value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-.:/@%+,=".contains(c);
    if value.chars().all(bare) {
        value.to_owned()
    } else if value.contains(['\'', '\n', '\r']) {
        let escaped = value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$").replace('`', r"\`");
        format!("\"{}\"", escaped.replace('\n', r"\n").replace('\r', r"\r"))
    } else {
        format!("'{value}'")
    }
}

/// What stands before the name, the name, and the quote if the line leaves one open.
fn assigned(line: &str) -> Option<(&str, &str, Option<char>)> {
    let (left, right) = line.split_once('=')?;
    let name = left.trim();
    let name = name.strip_prefix("export ").map_or(name, str::trim_start);
    if !is_name(name) {
        return None;
    }
    let prefix = left.split(name).next().unwrap_or_default();
    let value = right.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    let open = quote.filter(|quote| !closes(value.get(1..).unwrap_or_default(), *quote));
    Some((prefix, name, open))
}

/// Whether the quote is closed in this text. Only double quotes know a backslash.
fn closes(text: &str, quote: char) -> bool {
    let mut escaped = false;
    for c in text.chars() {
        if c == quote && !escaped {
            return true;
        }
        escaped = quote == '"' && c == '\\' && !escaped;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, variables: &[(&str, &str)]) -> String {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), SecretString::from((*value).to_owned())))
            .collect();
        update(text, &variables)
    }

    #[test]
    fn a_variable_is_changed_where_it_stands_and_added_where_it_does_not() {
        for (before, after) in [
            ("", "A=1\n"),
            ("# mine\nB=2\n", "# mine\nB=2\nA=1\n"),
            ("B=2", "B=2\nA=1\n"),
            ("A=0\nB=2\n", "A=1\nB=2\n"),
            ("A=0", "A=1\n"),
            ("  export A = 0 # old\nB=2\n", "  export A=1\nB=2\n"),
            ("A=0\r\nB=2\r\n", "A=1\r\nB=2\r\n"),
            ("A=0\nB=2\nA=\"x\"\n", "A=1\nB=2\nA=1\n"),
            ("AA=0\nA_=1\n#A=3\n", "AA=0\nA_=1\n#A=3\nA=1\n"),
            ("A=\"x\ny\nz\"\nB=2\n", "A=1\nB=2\n"),
            ("K=\"-----BEGIN\nA=not this\n-----END\"\n", "K=\"-----BEGIN\nA=not this\n-----END\"\nA=1\n"),
            ("K='it\nB=2\n", "K='it\nB=2\nA=1\n"),
            ("K=\"a\\\"b\"\nA=0\n", "K=\"a\\\"b\"\nA=1\n"),
            ("nonsense\n= 3\n\n", "nonsense\n= 3\n\nA=1\n"),
        ] {
            assert_eq!(set(before, &[("A", "1")]), after, "{before:?}");
        }
    }

    #[test]
    fn a_value_is_found_where_it_stands() {
        let value = SecretString::from("eyJ.a-b.c".to_owned());
        for (text, found) in [
            ("B=2\nexport A = eyJ.a-b.c \n", true),
            ("A='eyJ.a-b.c'", true),
            ("A=\"eyJ.a-b.c\nB=2\n", true),
            ("A=eyJ.a-b.cc", false),
            ("#A=eyJ.a-b.c\nAA=eyJ.a-b.c\nA=", false),
        ] {
            assert_eq!(has(text, "A", &value), found, "{text}");
        }
        assert!(has("A='x\nB=2\n'", "A", &SecretString::from("x\nB=2\n".to_owned())));
        assert!(!has("A=\n", "A", &SecretString::from(" ".to_owned())));
    }

    #[test]
    fn setting_the_same_again_changes_nothing() {
        let variables =
            [("CARNET_OIDC_TOKEN", "eyJ.a-b_c.d"), ("CARNET_URL", "http://127.0.0.1:7070"), ("X", "a'b\n$c")];
        let once = set("# top\nB=\"multi\nline\"\n", &variables);
        assert_eq!(set(&once, &variables), once);
        assert!(once.contains("CARNET_URL=http://127.0.0.1:7070\n"));
    }

    #[test]
    fn values_survive_a_shell() {
        for value in ["", "plain", "it's", "$(touch x)", "`id`", "a\nb", "\\", "\"", "!x", "é"] {
            let script = format!("printf %s {}", for_shell(value));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), value);
            let script = format!("A={}; printf %s \"$A\"", for_file(value));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            if !value.contains('\n') {
                assert_eq!(String::from_utf8(output.stdout).unwrap(), value, "{script}");
            }
        }
    }

    #[test]
    fn names_are_names() {
        for (text, sound) in
            [("CARNET_URL", true), ("_a1", true), ("1A", false), ("", false), ("A B", false), ("A;", false)]
        {
            assert_eq!(is_name(text), sound, "{text}");
        }
    }
}
