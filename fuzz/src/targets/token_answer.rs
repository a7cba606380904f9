//! What token endpoints answer.
//!
//! The first line of the input is the status and the content type, the rest the body. Nothing that is an error, or
//! half an answer, becomes a token; and what became one could stand in a header.

use carnet_providers::fuzzing::{self, Answer};

use super::first_line;

/// Pieces of answers.
pub const WORDS: &[&str] = &[
    "200 application/json\n",
    "400 application/json\n",
    "200 application/x-www-form-urlencoded\n",
    "\"access_token\":\"",
    "access_token=",
    "\"token_type\":\"Bearer\"",
    "\"token_type\":\"mac\"",
    "\"expires_in\":",
    "\"expires_in\":\"",
    "\"refresh_token\":\"",
    "\"scope\":\"",
    "\"error\":\"invalid_grant\"",
    "\"error\":null",
    "\"id_token\":\"",
    "&error=x",
    "\\u0000",
    "\\n",
    "%0a",
    "null",
];

/// Reads the input as an answer; whether it holds a token.
pub fn run(data: &[u8]) -> bool {
    let (head, body) = first_line(data);
    let head = String::from_utf8_lossy(head);
    let (status, content_type) = head.split_once(' ').unwrap_or((&head, ""));
    let Ok(status @ 100..=999) = status.parse::<u16>() else { return false };
    let content_type = Some(content_type).filter(|text| !text.is_empty());
    match fuzzing::token_answer(status, content_type, body) {
        Answer::Issued { tokens, expires_in, printed } => {
            assert!((200..300).contains(&status), "{status}");
            assert!(!tokens.is_empty());
            for token in &tokens {
                assert!(
                    !token.is_empty() && token.bytes().all(|byte| (0x20..0x7f).contains(&byte)),
                    "{token:?}"
                );
                assert!(token.len() < 8 || !printed.contains(token.as_str()), "printed: {printed}");
            }
            assert!(expires_in.is_none_or(|seconds| seconds <= 1_000_000_000_000_000_000));
            if let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(body) {
                let error = members.get("error").filter(|error| !error.is_null());
                assert!(
                    error.is_none() || content_type.is_some_and(|text| text.contains("form")),
                    "{error:?}"
                );
            }
            true
        }
        Answer::Refused(error) => {
            assert!(!error.is_empty());
            false
        }
        Answer::Nothing => false,
    }
}
