//! `projects trust`: accepts the identities of another issuer (a CI service, a cluster, a cloud) as a project's.

use carnet_sdk::{NewTrustedIssuer, TrustRule};
use serde_json::{Map, Value};

use super::access::environment;
use super::args::TrustArgs;
use super::context::Context;
use super::failure::Failure;

/// Trusts an issuer's tokens that carry exactly the given claims.
pub(crate) async fn trust(cx: &mut Context<'_>, args: TrustArgs) -> Result<(), Failure> {
    let claims = claims(&args.claim)?;
    let client = cx.client()?;
    let project = cx.project(&client, args.project.as_deref()).await?;
    let environment = environment(&client, &project, &args.environment).await?;
    let audiences = if args.audience.is_empty() {
        let team = client.team(&project.account_id.to_string()).await?;
        vec![format!("{}/{}", client.url().as_str().trim_end_matches('/'), team.slug)]
    } else {
        args.audience
    };
    let new = NewTrustedIssuer {
        issuer: args.issuer,
        jwks_uri: args.jwks_uri,
        audiences,
        rules: vec![TrustRule { project: project.id, environment, claims, subjects: args.subject }],
    };
    let trusted = client.create_trusted_issuer(&new).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&trusted);
    }
    cx.talk.success(&format!(
        "{} is trusted for {} in {}: {}",
        trusted.issuer, project.name, args.environment, trusted.id
    ));
    cx.talk.say(&format!("  Its tokens must name the audience {}", new.audiences.join(" or ")));
    Ok(())
}

/// `name=value` pairs. A value may hold further `=`.
fn claims(pairs: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut claims = Map::new();
    for pair in pairs {
        let example = "--claim repository_id=1234";
        let Some((name, value)) =
            pair.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty())
        else {
            return Err(
                Failure::usage(format!("--claim {pair} is not NAME=VALUE.")).next(example, "for example")
            );
        };
        if claims.insert(name.to_owned(), value.into()).is_some() {
            return Err(Failure::usage(format!("--claim {name} is given twice, and both must hold."))
                .next(example, "once for each claim"));
        }
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_pairs_and_none_is_lost() {
        let read = |pairs: &[&str]| claims(&pairs.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(read(&["a=1", "b=x=y"]).unwrap().get("b"), Some(&Value::from("x=y")));
        for pairs in [&["a"][..], &["=1"], &["a="], &["a=1", "a=2"]] {
            assert!(read(pairs).is_err(), "{pairs:?}");
        }
    }
}
