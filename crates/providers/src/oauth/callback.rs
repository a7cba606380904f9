//! What a browser brings back from an authorization endpoint (RFC 6749 §4.1.2, RFC 9207).

use carnet_model::SecretString;

use crate::driver::failure::{CallbackFault, DriverError, Vendor};
use crate::fields::is_credential;

/// The authorization code in `params`.
///
/// `issuer` is the server to which the person was sent, if its name is known; `names_itself` whether it promises to
/// say it. That is compared before anything else is believed, errors included (RFC 9207 §2.4). Where no issuer is
/// known, the redirect URI belongs to this connector alone and does the same (RFC 9700 §4.4.2).
pub(crate) fn code(
    params: &[(String, String)],
    issuer: Option<&str>,
    names_itself: bool,
) -> Result<SecretString, DriverError> {
    let named = one(params, "iss")?;
    match (issuer, named) {
        (Some(expected), Some(named)) if expected != named => return Err(CallbackFault::MixUp.into()),
        (Some(_), None) if names_itself => return Err(CallbackFault::IssuerMissing.into()),
        _ => {}
    }
    let code = one(params, "code")?;
    if let Some(error) = one(params, "error")? {
        return Err(refusal(error, one(params, "error_description")?));
    }
    let code = code.filter(|code| is_credential(code)).ok_or(CallbackFault::MissingCode)?;
    Ok(SecretString::new(code.to_owned()))
}

fn refusal(error: &str, description: Option<&str>) -> DriverError {
    match error {
        "access_denied" => DriverError::Denied,
        "temporarily_unavailable" | "server_error" => {
            DriverError::Later { retry_after: None, in_doubt: false }
        }
        _ => DriverError::Refused { vendor: Vendor::new(0, error, description, &[]) },
    }
}

/// The parameter of this name. Without a value it is as if it were not there; twice, the answer is void
/// (RFC 6749 §3.1).
fn one<'p>(params: &'p [(String, String)], name: &'static str) -> Result<Option<&'p str>, CallbackFault> {
    let mut values = params.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(CallbackFault::Repeated(name)),
        (value, None) => Ok(value.filter(|value| !value.is_empty())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://idp.example";

    fn judge(query: &str, issuer: Option<&str>, names_itself: bool) -> Result<String, DriverError> {
        let params: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        code(&params, issuer, names_itself).map(|code| code.expose().clone())
    }

    #[test]
    fn the_issuer_is_compared_before_anything_is_believed() {
        use CallbackFault::{IssuerMissing, MixUp, Repeated};
        for (query, issuer, names_itself, fault) in [
            ("code=c&iss=https://evil.example", Some(ISSUER), false, MixUp),
            ("code=c&iss=https://idp.example/", Some(ISSUER), false, MixUp),
            ("code=c&iss=https://IDP.example", Some(ISSUER), false, MixUp),
            ("error=access_denied&iss=https://evil.example", Some(ISSUER), true, MixUp),
            ("code=c", Some(ISSUER), true, IssuerMissing),
            ("code=c&iss=", Some(ISSUER), true, IssuerMissing),
            ("error=access_denied", Some(ISSUER), true, IssuerMissing),
            ("code=c&iss=https://idp.example&iss=https://evil.example", Some(ISSUER), true, Repeated("iss")),
            ("code=c&code=d&iss=https://idp.example", Some(ISSUER), true, Repeated("code")),
            ("error=a&error=b", None, false, Repeated("error")),
        ] {
            let got = judge(query, issuer, names_itself);
            assert!(matches!(&got, Err(DriverError::Callback(f)) if *f == fault), "{query}: {got:?}");
        }
    }

    #[test]
    fn a_code_is_taken_when_the_server_is_the_right_one() {
        for (query, issuer, names_itself) in [
            ("code=c&iss=https://idp.example", Some(ISSUER), true),
            ("iss=https%3A%2F%2Fidp.example&code=c&error=", Some(ISSUER), false),
            ("code=c", Some(ISSUER), false),
            ("code=c", None, false),
            ("code=c&iss=https://whoever.example", None, false),
        ] {
            assert_eq!(judge(query, issuer, names_itself).unwrap(), "c", "{query}");
        }
    }

    #[test]
    fn an_error_of_the_server_is_told_apart_from_the_persons_no() {
        assert!(matches!(judge("error=access_denied&code=c", None, false), Err(DriverError::Denied)));
        assert!(matches!(
            judge("error=server_error", None, false),
            Err(DriverError::Later { in_doubt: false, .. })
        ));
        let refused = judge("error=invalid_scope&error_description=%3Cscript%3E%0D%0Ax", None, false);
        let Err(DriverError::Refused { vendor }) = refused else { panic!("{refused:?}") };
        assert_eq!((vendor.status, vendor.error.as_str()), (0, "invalid_scope"));
        assert_eq!(vendor.description.as_deref(), Some("<script>x"));
    }

    #[test]
    fn an_answer_without_a_sound_code_is_void() {
        for query in ["", "state=s", "code=", "code=%00", "code=%C3%A9"] {
            let got = judge(query, None, false);
            assert!(
                matches!(got, Err(DriverError::Callback(CallbackFault::MissingCode))),
                "{query}: {got:?}"
            );
        }
    }
}
