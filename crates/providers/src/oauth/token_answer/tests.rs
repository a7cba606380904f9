use proptest::prelude::*;
use serde_json::json;

use super::*;

const JSON: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=utf-8");
const HTML: Option<&str> = Some("text/html");

/// What was understood, in a line.
fn told(status: u16, content_type: Option<&str>, body: &str) -> String {
    match read(StatusCode::from_u16(status).unwrap(), content_type, body.as_bytes()) {
        Spoken::Nothing(_) => "nothing".to_owned(),
        Spoken::Refusal(refusal) => {
            let more = [refusal.description, refusal.suberror].into_iter().flatten().collect::<Vec<_>>();
            format!("error {} {}", refusal.error, more.join(" ")).trim_end().to_owned()
        }
        Spoken::Issued(issued) => {
            let mut out = format!("token {}", issued.access.expose());
            for (name, value) in [
                ("life", issued.expires_in.map(|n| n.to_string())),
                ("refresh", issued.refresh.map(|t| t.expose().clone())),
                ("refresh-life", issued.refresh_expires_in.map(|n| n.to_string())),
                ("scopes", issued.scopes.map(|s| format!("[{s}]"))),
                ("id", issued.id_token.map(|t| t.expose().clone())),
                ("flaw", issued.flaw.map(str::to_owned)),
            ] {
                out.extend(value.map(|value| format!(" {name}={value}")));
            }
            out
        }
    }
}

#[test]
fn answers_that_are_good_enough_are_read() {
    for (body, want) in [
        (r#"{"access_token":"a","token_type":"Bearer","expires_in":3600}"#, "token a life=3600"),
        (r#"{"access_token":"a","token_type":"bearer"}"#, "token a"),
        (r#"{"access_token":"a","token_type":"BEARER"}"#, "token a"),
        (r#"{"access_token":"a","token_type":"N_A"}"#, "token a"),
        (r#"{"access_token":"a"}"#, "token a"),
        (
            r#"{"access_token":"a","token_type":null,"expires_in":null,"refresh_token":null,"scope":null}"#,
            "token a",
        ),
        (r#"{"access_token":"a","error":null}"#, "token a"),
        (r#"{"access_token":"a","expires_in":"3600"}"#, "token a life=3600"),
        (r#"{"access_token":"a","expires_in":"0"}"#, "token a"),
        (r#"{"access_token":"a","expires_in":0}"#, "token a"),
        (r#"{"access_token":"a","expires_in":""}"#, "token a"),
        (r#"{"access_token":"a","expires_in":3600.0}"#, "token a life=3600"),
        (r#"{"access_token":"a","expires_in":3.6e3}"#, "token a life=3600"),
        (r#"{"access_token":"a","expires_in":3599.5,"refresh_token":"r"}"#, "token a life=3599 refresh=r"),
        (r#"{"access_token":"a","expires_in":3599.999}"#, "token a life=3599"),
        (r#"{"access_token":"a","expires_in":0.5}"#, "token a"),
        (r#"{"access_token":"a","errors":[{"message":"odd"}]}"#, "token a"),
        ("\u{feff}{\"access_token\":\"a\"}", "token a"),
        (r#"{"access_token":"a","expires_in":"3599.5"}"#, "token a life=3599"),
        (r#"{"access_token":"a","refresh_token":"r"}"#, "token a refresh=r"),
        (r#"{"access_token":"a","refresh_token":""}"#, "token a"),
        (
            r#"{"access_token":"a","refresh_token":"r","refresh_token_expires_in":9}"#,
            "token a refresh=r refresh-life=9",
        ),
        (
            r#"{"access_token":"a","refresh_token":"r","refresh_expires_in":9}"#,
            "token a refresh=r refresh-life=9",
        ),
        (r#"{"access_token":"a","refresh_token":"r","refresh_expires_in":0}"#, "token a refresh=r"),
        (r#"{"access_token":"a","refresh_token":"r","refresh_token_expires_in":0}"#, "token a refresh=r"),
        (r#"{"access_token":"a","scope":"b a  b"}"#, "token a scopes=[a b]"),
        (r#"{"access_token":"a","scope":"b,a"}"#, "token a scopes=[a b]"),
        (r#"{"access_token":"a","scope":["b","a"]}"#, "token a scopes=[a b]"),
        (r#"{"access_token":"a","scope":""}"#, "token a scopes=[]"),
        (r#"{"access_token":"a","id_token":"x.y.z"}"#, "token a id=x.y.z"),
        (r#"{"access_token":"a","unknown":{"deep":[1,{"x":null}]},"ok":true}"#, "token a"),
        ("\n\t {\"access_token\":\"a\"} \r\n", "token a"),
        (r#"{"access_token":"\u0061 ~"}"#, "token a ~"),
    ] {
        assert_eq!(told(200, JSON, body), want, "{body}");
        assert_eq!(told(201, None, body), want, "{body}");
        assert_eq!(told(200, HTML, body), want, "the content type of JSON is not believed: {body}");
        assert_eq!(told(400, JSON, body), "nothing", "a token with a refusing status: {body}");
    }
    let longest = "a".repeat(16 * 1024);
    assert_eq!(told(200, JSON, &format!(r#"{{"access_token":"{longest}"}}"#)), format!("token {longest}"));
}

#[test]
fn anything_else_is_nothing() {
    let too_long = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(16 * 1024 + 1));
    let deep = format!(r#"{{"access_token":"a","x":{}{}}}"#, "[".repeat(20), "]".repeat(20));
    for body in [
        "",
        " ",
        "null",
        "true",
        "17",
        "\"access_token\"",
        "[]",
        r#"[{"access_token":"a"}]"#,
        "{}",
        "{",
        r#"{"access_token":"a""#,
        r#"{"access_token":"a",}"#,
        r#"{"access_token":"a"}{"access_token":"b"}"#,
        r#"{"access_token":"a","access_token":"b"}"#,
        r#"{"access_token":"a","scope":"x","scope":"y"}"#,
        "<!doctype html><title>Sign in</title>",
        "access_token=a&token_type=bearer",
        r#"{"access_token":""}"#,
        r#"{"access_token":null}"#,
        r#"{"access_token":7}"#,
        r#"{"access_token":["a"]}"#,
        r#"{"access_token":{"value":"a"}}"#,
        r#"{"Access_Token":"a"}"#,
        r#"{"access_token":"a\r\nX-Evil: 1"}"#,
        r#"{"access_token":"a\u0000"}"#,
        r#"{"access_token":"a\u007f"}"#,
        r#"{"access_token":"é"}"#,
        r#"{"access_token":"a","token_type":"mac"}"#,
        r#"{"access_token":"a","token_type":"DPoP"}"#,
        r#"{"access_token":"a","token_type":"Bearer "}"#,
        r#"{"access_token":"a","token_type":7}"#,
        "\u{feff}\u{feff}{\"access_token\":\"a\"}",
        r#"{"errors":[{"extensions":{"code":"OTHER"}}]}"#,
        r#"{"errors":{"extensions":{"code":"RATELIMITED"}}}"#,
        r#"{"access_token":"a","expires_in":1e400}"#,
        r#"{"access_token":"a","scope":["a",7]}"#,
        r#"{"access_token":"a","scope":"a\"b"}"#,
        r#"{"access_token":"a","scope":7}"#,
        r#"{"access_token":"a","id_token":{"sub":"x"}}"#,
        r#"{"access_token":"a","id_token":"x\ty"}"#,
        r#"{"access_token":"a","error":"invalid_grant"}"#,
        r#"{"access_token":"a","error":""}"#,
        r#"{"error":""}"#,
        r#"{"error":7}"#,
        r#"{"error":{"code":"invalid_grant"}}"#,
        r#"{"error":["invalid_grant"]}"#,
        r#"{"ok":true}"#,
        &too_long,
        &deep,
    ] {
        assert_eq!(told(200, JSON, body), "nothing", "{body}");
    }
    assert!(matches!(read(StatusCode::OK, JSON, b"{\"access_token\":\"\xff\"}"), Spoken::Nothing(_)));
    assert!(matches!(read(StatusCode::OK, JSON, &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), Spoken::Nothing(_)));
}

/// Each beside a new refresh token, which is what an answer must not lose.
#[test]
fn nothing_optional_costs_the_refresh_token_beside_it() {
    for life in [
        "-1",
        "-0.5",
        "1e300",
        "1e30",
        "18446744073709551615",
        "\"\"",
        "\"-1\"",
        "\"1e3\"",
        "\"1h\"",
        "\" 3600\"",
        "\"3600.\"",
        "\".5\"",
        "\"3600.x\"",
        "\"9999999999999999999\"",
        "\"99999999999999999999999\"",
        "null",
        "true",
        "{}",
        "[3600]",
    ] {
        for name in ["expires_in", "refresh_token_expires_in", "refresh_expires_in"] {
            let body = format!(r#"{{"access_token":"a","refresh_token":"r","{name}":{life}}}"#);
            assert_eq!(told(200, JSON, &body), "token a refresh=r", "{body}");
        }
    }
    let body =
        r#"{"access_token":"a","refresh_token":"r","refresh_token_expires_in":null,"refresh_expires_in":9}"#;
    assert_eq!(told(200, JSON, body), "token a refresh=r refresh-life=9");
    let long = format!("\"{}\"", "r".repeat(16 * 1024 + 1));
    for refresh in ["7", "false", "null", "\"\"", "\"r\\n\"", "{}", "[\"r\"]", long.as_str()] {
        let body = format!(r#"{{"access_token":"a","expires_in":60,"refresh_token":{refresh}}}"#);
        assert_eq!(told(200, JSON, &body), "token a life=60", "{body}");
    }
    let no_access = "its access_token is missing or empty";
    let no_token = "its access_token is not text that can be a token";
    for (said, flaw) in [
        (r#""access_token":"a","scope":7"#, "its scope cannot be read"),
        (r#""access_token":"a","scope":["a",7]"#, "its scope cannot be read"),
        (r#""access_token":"a","scope":"a\"b""#, "its scope cannot be read"),
        (r#""access_token":"a","token_type":"mac""#, "its token_type is not Bearer"),
        (r#""access_token":"a","token_type":7"#, "its token_type is not Bearer"),
        (r#""access_token":"a","id_token":{"sub":"x"}"#, "its id_token cannot be read"),
        (r#""access_token":"a","issued_token_type":7"#, "its issued_token_type cannot be read"),
        (r#""access_token":"a","authorization_details":{}"#, "its authorization_details cannot be read"),
        (r#""access_token":7"#, no_token),
        (r#""access_token":"""#, no_access),
        (r#""access_token":null,"scope":7"#, no_access),
        (r#""access_token":"a\n""#, no_token),
        (r#""ok":true"#, no_access),
    ] {
        let token = if flaw.starts_with("its access_token") { "" } else { "a" };
        let body = format!(r#"{{{said},"refresh_token":"r"}}"#);
        assert_eq!(told(200, JSON, &body), format!("token {token} refresh=r flaw={flaw}"), "{body}");
        // Without a refresh token it is nothing, and says why.
        let bare = format!("{{{said}}}");
        let read = read(StatusCode::OK, JSON, bare.as_bytes());
        assert!(matches!(read, Spoken::Nothing(why) if why == flaw), "{bare}: {read:?}");
        assert_eq!(told(400, JSON, &body), "nothing", "with a refusing status: {body}");
    }
}

#[test]
fn a_token_that_is_said_again_is_shown_nowhere_and_costs_no_refresh_token() {
    let token = "0123456789abcdef";
    for (said, repeats) in [
        (json!({"scope": format!("read x{token}")}), true),
        (json!({"scope": token}), true),
        (json!({"scope": "read x89abcdef"}), true),
        (json!({"issued_token_type": format!("urn:{token}")}), true),
        (json!({"authorization_details": [{"type": "a"}, {"t": [token]}]}), true),
        (json!({"scope": "read", "authorization_details": [{"type": "a"}], "note": token}), false),
        // Too short to be a secret, and likely to be a word.
        (json!({"scope": "read ab"}), false),
    ] {
        let mut body = json!({"access_token": token, "refresh_token": "89abcdef", "id_token": "ab"});
        body.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        let Spoken::Issued(issued) = read(StatusCode::OK, JSON, body.to_string().as_bytes()) else {
            panic!("{body}")
        };
        assert_eq!(issued.repeats, repeats, "{body}");
        assert_eq!((issued.access.expose().as_str(), issued.refresh.is_some()), (token, true), "{body}");
        if repeats {
            assert_eq!((&issued.scopes, &issued.kind, &issued.details), (&None, &None, &None), "{body}");
        }
        assert!(!format!("{issued:?}").contains("89abcdef"), "{body}");
    }
}

#[test]
fn an_error_is_read_with_whatever_status_it_comes() {
    for status in [200, 400, 401, 403, 429, 500, 503] {
        for (body, want) in [
            (r#"{"error":"invalid_grant"}"#, "error invalid_grant"),
            (r#"{"error":"invalid_grant","error_description":"gone"}"#, "error invalid_grant gone"),
            (
                r#"{"error":"invalid_grant","suberror":"consent_required"}"#,
                "error invalid_grant consent_required",
            ),
            (r#"{"error":"invalid_grant","error_description":7,"error_codes":[1]}"#, "error invalid_grant"),
            (r#"{"ok":false,"error":"bad_refresh_token"}"#, "error bad_refresh_token"),
            (r#"{"errors":[{"message":"x","extensions":{"code":"RATELIMITED"}}]}"#, "error RATELIMITED"),
        ] {
            assert_eq!(told(status, JSON, body), want, "{status} {body}");
        }
        assert_eq!(
            told(status, FORM, "error=bad_verification_code&error_uri=x"),
            "error bad_verification_code"
        );
    }
}

#[test]
fn a_form_is_read_only_where_the_content_type_says_so() {
    let form = "access_token=a%2Bb&expires_in=28800&refresh_token=r&scope=read%2Cwrite&token_type=bearer";
    assert_eq!(told(200, FORM, form), "token a+b life=28800 refresh=r scopes=[read write]");
    assert_eq!(told(200, JSON, form), "nothing");
    assert_eq!(told(200, Some("text/plain"), form), "nothing");
    assert_eq!(told(200, FORM, "access_token=a&access_token=b"), "nothing");
    assert_eq!(told(200, FORM, r#"{"access_token":"a"}"#), "nothing");
    assert_eq!(told(200, FORM, "access_token=a&scope="), "token a scopes=[]");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_fail(status in 100_u16..600, kind in 0_usize..3, body: Vec<u8>) {
        let content_type = [JSON, FORM, None].get(kind).copied().flatten();
        let _ = read(StatusCode::from_u16(status).unwrap(), content_type, &body);
    }

    #[test]
    fn no_json_makes_the_reader_fail_or_invent_a_token(
        members in prop::collection::vec(
            (
                prop::sample::select(vec!["access_token", "token_type", "expires_in", "refresh_token", "scope", "error"]),
                prop::sample::select(vec!["\"a\"", "\"\"", "null", "7", "-1", "1e9", "[]", "{}", "\"Bearer\"", "\"\\u0000\"", "true"]),
            ),
            0..8,
        ),
        cut in 0_usize..200,
    ) {
        let mut body = format!(
            "{{{}}}",
            members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",")
        );
        let spoken = read(StatusCode::OK, JSON, body.as_bytes());
        if let Spoken::Issued(issued) = spoken {
            let token = format!("\"{}\"", issued.access.expose());
            prop_assert!(issued.flaw.is_none() || issued.refresh.is_some());
            prop_assert!(issued.flaw.is_some() || members.iter().any(|(name, value)| *name == "access_token" && *value == token));
            prop_assert!(members.iter().all(|(name, value)| *name != "error" || *value == "null"));
        }
        if cut > 0 && cut < body.len() {
            body.truncate(cut);
            prop_assert!(matches!(read(StatusCode::OK, JSON, body.as_bytes()), Spoken::Nothing(_)));
        }
    }
}
