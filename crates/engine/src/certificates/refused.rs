//! Why an authority gives no certificate, in our words, by the type of its problem document (RFC 8555 §6.7).
//!
//! What it says itself is data: it goes into the log and the audit log, cut and cleaned, and into no message.

use instant_acme::Problem;

/// The cause in a sentence. `name` is the one that it is about, where that is known.
pub(super) fn cause(problem: &Problem, name: Option<&str>) -> String {
    let kind = kind(problem);
    let name = name.unwrap_or("one of the names");
    match kind.as_str() {
        "connection" => format!("the authority could not connect to port 443 of {name}"),
        "dns" => format!("the authority finds no address for {name}"),
        "unauthorized" | "incorrectResponse" | "tls" => {
            format!("at port 443 of {name} the authority met somebody else than this server")
        }
        "caa" => format!("a CAA record of {name} forbids this authority"),
        "rateLimited" => "the authority takes no more requests for now: its rate limit is reached".to_owned(),
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            format!("the authority gives no certificate for {name}")
        }
        "userActionRequired" => "the authority wants its new terms accepted".to_owned(),
        "invalidContact" | "unsupportedContact" => {
            "the authority does not take the contact address".to_owned()
        }
        "externalAccountRequired" => {
            "the authority wants an account that was registered there, which is not supported".to_owned()
        }
        "serverInternal" => "the authority failed".to_owned(),
        other => format!("the authority refused ({other})"),
    }
}

/// The last part of the type, as far as it is a word.
pub(super) fn kind(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    let word: String = kind
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(40)
        .collect();
    if word.is_empty() { "without a reason".to_owned() } else { word }
}

/// What the authority said, cut and cleaned.
pub(super) fn said(problem: &Problem) -> Option<String> {
    let whole = problem.to_string();
    let text: String = whole.chars().filter(|c| !c.is_control()).take(500).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, detail: &str) -> Problem {
        serde_json::from_value(serde_json::json!({"type": kind, "detail": detail})).unwrap()
    }

    #[test]
    fn what_an_authority_says_is_in_no_sentence_of_ours() {
        for kind in ["urn:ietf:params:acme:error:dns", "urn:ietf:params:acme:error:<b>odd</b>", "", "x"] {
            let problem = problem(kind, "a secret\r\nof the authority");
            let sentence = cause(&problem, Some("a.example"));
            assert!(!sentence.contains("secret") && !sentence.contains('<'), "{sentence}");
            let said = said(&problem).unwrap();
            assert!(said.contains("a secret") && !said.contains('\n'), "{said}");
        }
        let dns = problem("urn:ietf:params:acme:error:dns", "NXDOMAIN");
        assert_eq!(cause(&dns, Some("a.example")), "the authority finds no address for a.example");
    }
}
