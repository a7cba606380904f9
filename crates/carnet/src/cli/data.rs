//! `--data`: JSON on the line, from a file or from stdin.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::surroundings::Place;
use super::talk::Talk;

/// What was given.
#[derive(Debug, PartialEq)]
pub(crate) enum Data {
    /// Nothing: the person wants to know what there is to give.
    Question,
    /// An object.
    Object(Map<String, Value>),
}

/// Reads the flag's value. Warns when a secret stood on the line, where the shell's history and other users see it.
pub(crate) fn read(
    flag: &str,
    connector_type: Option<&str>,
    folder: &Path,
    talk: &mut Talk,
) -> Result<Data, Failure> {
    let on_the_line = !flag.starts_with('@');
    let text = text(flag, folder, talk)?;
    if on_the_line && text.trim().is_empty() {
        return Ok(Data::Question);
    }
    let Ok(Value::Object(object)) = serde_json::from_str(&text) else {
        // Not even the place of the mistake: it could be next to a secret.
        return Err(Failure::usage("--data is not a JSON object.")
            .next("carnet create SERVICE --data ''", "to see what it may hold"));
    };
    if on_the_line {
        for name in secret_names(&object, connector_type) {
            talk.warn(&format!(
                "`{name}` looks like a secret, and is now in your shell's history; give it with --data @FILE or --data @-"
            ));
        }
    }
    Ok(Data::Object(object))
}

/// Reads a key, which stands alone in a file or comes by stdin: never on the line.
pub(crate) fn key(flag: &str, place: &Place, talk: &mut Talk) -> Result<Map<String, Value>, Failure> {
    let key = secret(flag, "the same command with --key", place, talk)?;
    let key = key.trim();
    if key.is_empty() || key.lines().count() > 1 {
        return Err(Failure::usage("A key is one line of text."));
    }
    let data = json!({"values": [{"value": key}]});
    Ok(data.as_object().cloned().unwrap_or_default())
}

/// A file that was named cannot be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::usage(format!("{} cannot be read.", path.display())).because(error);
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => failure.next("pwd", "to see from where the path is meant"),
        std::io::ErrorKind::IsADirectory => failure.next(format!("ls '{path}'"), "to see the files in it"),
        _ => failure.next(format!("ls -ld '{path}'"), "to see whether you may read it"),
    }
}

/// What stands on the line, or in the file of `@FILE`, or comes by stdin for `@-`.
pub(crate) fn text(flag: &str, folder: &Path, talk: &mut Talk) -> Result<String, Failure> {
    match flag.strip_prefix('@') {
        Some("-") => from_stdin(talk),
        Some(file) => {
            fs::read_to_string(folder.join(file)).map_err(|error| unreadable(&folder.join(file), &error))
        }
        None => Ok(flag.to_owned()),
    }
}

/// A secret from a file or stdin, never from the line; without the end of its last line.
pub(crate) fn secret(flag: &str, name: &str, place: &Place, talk: &mut Talk) -> Result<String, Failure> {
    if !flag.starts_with('@') {
        let why = "A secret is not given on the line, where the shell's history and other users see it.";
        return Err(Failure::usage(why)
            .next(format!("{name} @FILE").trim_start(), "to give it in a file")
            .next(format!("{name} @-").trim_start(), "to give it on stdin"));
    }
    let text = text(flag, &place.folder, talk)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::usage("The secret is empty.")
            .next(format!("{name} @FILE").trim_start(), "with the file that holds it"));
    }
    Ok(secret.to_owned())
}

/// The names of members that look like secrets, wherever they stand.
fn secret_names(object: &Map<String, Value>, connector_type: Option<&str>) -> Vec<String> {
    let mut names = Vec::new();
    for (name, value) in object {
        collect(name, value, &mut names);
    }
    if connector_type == Some("api-key") && object.contains_key("values") {
        names.push("values".to_owned());
    }
    names
}

/// All of stdin.
pub(crate) fn from_stdin(talk: &mut Talk) -> Result<String, Failure> {
    talk.listen().map_err(|error| {
        Failure::usage("stdin cannot be read.").because(&error).next("@FILE in its place", "to give a file")
    })
}

fn collect(name: &str, value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() && is_secret(name) => names.push(name.to_owned()),
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, names)),
        Value::Object(object) => object.iter().for_each(|(name, value)| collect(name, value, names)),
        _ => {}
    }
}

fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 7] = ["secret", "password", "passwd", "token", "apikey", "privatekey", "credential"];
    const PUBLIC: [&str; 4] = ["endpoint", "method", "url", "type"];
    let name: String = name.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    SECRET.iter().any(|word| name.contains(word)) && !PUBLIC.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for (data, kind, names) in [
            (json!({"clientId": "x", "clientSecret": "y"}), None, vec!["clientSecret"]),
            (json!({"a": {"private_key": "y"}}), None, vec!["private_key"]),
            (json!({"apiTokens": ["a"]}), None, vec!["apiTokens"]),
            (json!({"clientSecret": ""}), None, vec![]),
            (json!({"refreshTokens": true, "tokenEndpointAuthMethod": "none"}), None, vec![]),
            (json!({"serverConfig": {"token_endpoint": "https://x"}}), None, vec![]),
            (json!({"values": [{"value": "k"}]}), Some("api-key"), vec!["values"]),
        ] {
            assert_eq!(secret_names(data.as_object().unwrap(), kind), names, "{data}");
        }
    }
}
