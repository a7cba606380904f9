//! What GitHub says that a token of an installation reaches.
//!
//! A token is handed out only if every permission it has was asked for, but for reading metadata, and every repository
//! too; read here once more, by another reader.

use carnet_providers::fuzzing;
use serde_json::Value;

/// Pieces of answers.
pub const WORDS: &[&str] = &[
    "\"permissions\":",
    "\"contents\":\"read\"",
    "\"contents\":\"write\"",
    "\"contents\":\"admin\"",
    "\"metadata\":\"read\"",
    "\"metadata\":\"write\"",
    "\"actions\":\"read\"",
    "\"repository_selection\":\"selected\"",
    "\"repository_selection\":\"all\"",
    "\"repositories\":[",
    "{\"name\":\"api\"}",
    "{\"name\":\"API\"}",
    "{\"name\":\"web\"}",
    "null",
    ",",
    "{",
    "}",
    "]",
];

/// Judges the input as the answer to a request for `contents:read` at the repository `api`; whether it is taken.
pub fn run(data: &[u8]) -> bool {
    if !fuzzing::github_reach(data) {
        return false;
    }
    let answer: Value = serde_json::from_slice(data).expect("only JSON is taken");
    for (name, level) in answer["permissions"].as_object().expect("it says what the token may do") {
        assert!(matches!(name.as_str(), "contents" | "metadata") && level == "read", "{answer}");
    }
    assert_eq!(answer["permissions"]["contents"], "read");
    assert_eq!(answer["repository_selection"], "selected");
    let all = answer["repositories"].as_array().expect("it says where");
    assert!(!all.is_empty());
    for one in all {
        assert!(one["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("api")), "{answer}");
    }
    true
}
