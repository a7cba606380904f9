//! What the browser brings back: from the right server, from another, from somebody who made it up.

use serde_json::json;

use super::Cases;
use crate::bench::{Bench, outcome};
use crate::server::Reply;

pub(super) async fn cases() -> Cases {
    let mut cases = Cases::default();
    let bench = Bench::new();
    bench.server.on("/token", Reply::json(200, json!({"access_token": "at"})));
    let promised = json!({"serverConfig": {"authorization_response_iss_parameter_supported": true}});
    let unknown = json!({"serverConfig": {"issuer": null}});
    let right = &url::form_urlencoded::byte_serialize(bench.server.origin.as_bytes()).collect::<String>();
    let wrong = "https%3A%2F%2Fevil.example";
    let (promised, silent, unknown) =
        (bench.oauth(promised).await, bench.oauth(json!({})).await, bench.oauth(unknown).await);
    // The query; then what comes of it if the server promises to name itself, if it does not, if nobody knows its name.
    for (name, query, wants) in [
        ("a code", "code=c".to_owned(), ["callback IssuerMissing", "ok", "ok"]),
        (
            "fapi2-security-profile-final-client-test-happy-path",
            format!("code=c&iss={right}"),
            ["ok", "ok", "ok"],
        ),
        (
            "fapi2-security-profile-final-client-test-invalid-authorization-response-iss",
            format!("code=c&iss={wrong}"),
            ["callback MixUp", "callback MixUp", "ok"],
        ),
        (
            "fapi2-security-profile-final-client-test-remove-authorization-response-iss",
            "code=c&iss=".to_owned(),
            ["callback IssuerMissing", "ok", "ok"],
        ),
        ("a slash more", format!("code=c&iss={right}%2F"), ["callback MixUp", "callback MixUp", "ok"]),
        (
            "other case",
            format!("code=c&iss={}", right.to_uppercase()),
            ["callback MixUp", "callback MixUp", "ok"],
        ),
        ("a space before", format!("code=c&iss=+{right}"), ["callback MixUp", "callback MixUp", "ok"]),
        ("a NUL behind", format!("code=c&iss={right}%00"), ["callback MixUp", "callback MixUp", "ok"]),
        ("two issuers", format!("code=c&iss={right}&iss={wrong}"), ["callback Repeated(\"iss\")"; 3]),
        (
            "the same issuer twice",
            format!("code=c&iss={right}&iss={right}"),
            ["callback Repeated(\"iss\")"; 3],
        ),
        ("two codes", format!("code=c&code=d&iss={right}"), ["callback Repeated(\"code\")"; 3]),
        ("the same code twice", format!("code=c&code=c&iss={right}"), ["callback Repeated(\"code\")"; 3]),
        ("two errors", format!("error=a&error=b&iss={right}"), ["callback Repeated(\"error\")"; 3]),
        ("no code", format!("iss={right}"), ["callback MissingCode"; 3]),
        ("an empty code", format!("code=&iss={right}"), ["callback MissingCode"; 3]),
        ("a code with a NUL", format!("code=a%00b&iss={right}"), ["callback MissingCode"; 3]),
        ("a code with a line break", format!("code=a%0D%0Ab&iss={right}"), ["callback MissingCode"; 3]),
        ("a code beyond ASCII", format!("code=%C3%A9&iss={right}"), ["callback MissingCode"; 3]),
        ("a code that is no UTF-8", format!("code=%FF%FE&iss={right}"), ["callback MissingCode"; 3]),
        (
            "a code of twenty kilobytes",
            format!("code={}&iss={right}", "c".repeat(20_000)),
            ["callback MissingCode"; 3],
        ),
        ("Code with a capital", format!("Code=c&iss={right}"), ["callback MissingCode"; 3]),
        ("code[] as PHP has it", format!("code[]=c&iss={right}"), ["callback MissingCode"; 3]),
        (
            "a token instead",
            format!("access_token=at&token_type=bearer&iss={right}"),
            ["callback MissingCode"; 3],
        ),
        ("an id_token instead", format!("id_token=a.b.c&iss={right}"), ["callback MissingCode"; 3]),
        ("a signed response instead", format!("response=a.b.c&iss={right}"), ["callback MissingCode"; 3]),
        ("a code and a token", format!("code=c&access_token=at&iss={right}"), ["ok"; 3]),
        ("a code and no error", format!("code=c&error=&iss={right}"), ["ok"; 3]),
        ("a code and things unknown", format!("code=c&session_state=x&hd=y&iss={right}"), ["ok"; 3]),
        ("no consent", format!("error=access_denied&iss={right}"), ["denied"; 3]),
        ("no consent and a code", format!("error=access_denied&code=c&iss={right}"), ["denied"; 3]),
        (
            "no consent of another server",
            format!("error=access_denied&iss={wrong}"),
            ["callback MixUp", "callback MixUp", "denied"],
        ),
        (
            "no consent of nobody",
            "error=access_denied".to_owned(),
            ["callback IssuerMissing", "denied", "denied"],
        ),
        ("login_required", format!("error=login_required&iss={right}"), ["refused login_required"; 3]),
        (
            "interaction_required",
            format!("error=interaction_required&iss={right}"),
            ["refused interaction_required"; 3],
        ),
        ("consent_required", format!("error=consent_required&iss={right}"), ["refused consent_required"; 3]),
        ("invalid_scope", format!("error=invalid_scope&iss={right}"), ["refused invalid_scope"; 3]),
        (
            "unauthorized_client",
            format!("error=unauthorized_client&iss={right}"),
            ["refused unauthorized_client"; 3],
        ),
        (
            "unsupported_response_type",
            format!("error=unsupported_response_type&iss={right}"),
            ["refused unsupported_response_type"; 3],
        ),
        ("server_error", format!("error=server_error&iss={right}"), ["later"; 3]),
        ("temporarily_unavailable", format!("error=temporarily_unavailable&iss={right}"), ["later"; 3]),
        (
            "nothing",
            String::new(),
            ["callback IssuerMissing", "callback MissingCode", "callback MissingCode"],
        ),
        (
            "noise",
            "%%%=&&=;?#\u{0}".to_owned(),
            ["callback IssuerMissing", "callback MissingCode", "callback MissingCode"],
        ),
    ] {
        for ((made, whose), want) in
            [(&promised, "promised"), (&silent, "silent"), (&unknown, "unknown")].iter().zip(wants)
        {
            let (_, kept) = made.begin(|_| ()).await.unwrap();
            bench.server.seen();
            let got = outcome(&made.finish(&query, &kept).await);
            cases.add(format!("{name} ({whose})"), &got, want);
            // Whatever is refused is refused before the code goes anywhere.
            let sent = bench.server.seen().len();
            assert_eq!(sent, usize::from(got == "ok"), "{name} ({whose}) sent {sent} requests");
        }
    }
    cases
}
