//! `projects trust`: accepts the identities of another issuer (a CI service, a cluster, a cloud) as a project's.
//!
//! The server judges: it knows the platforms, refuses a rule that would trust strangers, and says which rule would be safe.
//! With an example token its claims are shown beside the rule, one by one, and without claims on the line the rule is made
//! from the token. The token itself is never shown.

mod example;
mod shown;

use carnet_model::{Id, kind};
use carnet_sdk::{Client, NewTrustedIssuer, TrustCheck, TrustRule};
use serde_json::{Map, Value, json};

use super::access::environment;
use super::args::{NewTrustArgs, TrustArgs, TrustVerb, TrustedRemoveArgs};
use super::context::Context;
use super::data;
use super::failure::Failure;
use super::hit::Would;
use super::table::{sheet, table};
use example::{not_as_the_example, refusal, tried, unsafe_rule};

/// What was asked.
pub(crate) async fn run(cx: &mut Context<'_>, args: TrustArgs) -> Result<(), Failure> {
    match args.verb {
        None => trust(cx, args.new).await,
        Some(TrustVerb::List) => list(cx).await,
        Some(TrustVerb::Show(args)) => show(cx, &args.issuer).await,
        Some(TrustVerb::Remove(args)) => remove(cx, args).await,
        Some(TrustVerb::Families) => families(cx).await,
    }
}

/// Trusts an issuer's tokens that carry exactly the given claims.
async fn trust(cx: &mut Context<'_>, args: NewTrustArgs) -> Result<(), Failure> {
    let claims = claims(&args.claim)?;
    let Some(place) = &args.environment else {
        return Err(Failure::usage("--environment is missing: where do these workloads run?")
            .next("--environment production", "for example"));
    };
    if args.family.is_none() && args.issuer.is_none() && args.token_file.is_none() {
        return Err(Failure::usage(
            "Whose identities? Name the --family, the --issuer, or give a --token-file.",
        )
        .next("carnet projects trust families", "to see the platforms that are known"));
    }
    if claims.is_empty() && args.token_file.is_none() && !args.dry_run {
        return Err(Failure::usage("Which workload? Name its claims with --claim, or give a --token-file.")
            .next("carnet projects trust families", "to see which claims a rule must have"));
    }
    let token = args.token_file.as_deref().map(|path| read(cx, path)).transpose()?;
    let jwks = match args.jwks_file.as_deref().map(|path| read(cx, path)).transpose()? {
        None => None,
        Some(text) => Some(serde_json::from_str(&text).map_err(|_| {
            Failure::usage("The file of --jwks-file is not a JSON Web Key Set.")
                .next("kubectl get --raw /openid/v1/jwks", "prints that of a cluster")
        })?),
    };
    let client = cx.client()?;
    let project = cx.project(&client, args.project.as_deref()).await?;
    let environment = environment(&client, &project, place).await?;
    let audiences = if args.audience.is_empty() {
        let team = client.team(&project.account_id.to_string()).await?;
        vec![format!("{}/{}", client.url().as_str().trim_end_matches('/'), team.slug)]
    } else {
        args.audience.clone()
    };
    let mut new = NewTrustedIssuer {
        issuer: args.issuer.clone(),
        family: args.family.clone(),
        account: args.account.clone(),
        jwks_uri: args.jwks_uri.clone(),
        jwks,
        audiences,
        algorithms: args.algorithm.clone(),
        types: args.typ.iter().map(|typ| if typ == "none" { String::new() } else { typ.clone() }).collect(),
        max_life_seconds: args.max_life,
        max_age_seconds: args.max_age,
        rules: vec![TrustRule { project: project.id, environment, claims, subjects: args.subject.clone() }],
    };
    if args.dry_run || token.is_some() {
        let checked = check(cx, &client, &mut new, token.as_deref()).await?;
        if args.dry_run {
            return tried(cx, &checked);
        }
        // What is known to be refused is not what was meant; keys that cannot be had today say nothing of the token.
        let refused = checked.token.as_ref().and_then(refusal);
        match refused {
            Some(why) if args.yes => return Err(not_as_the_example(&checked, &why)),
            Some(_) => cx
                .talk
                .insist(false, "The example token would not be accepted. Trust the issuer all the same?")?,
            None => cx.talk.insist(args.yes, "Trust every token that matches like this?")?,
        }
    }
    let trusted = client.create_trusted_issuer(&new).await.map_err(|error| unsafe_rule(error.into()))?;
    if cx.talk.wants_json() {
        return cx.talk.document(&trusted);
    }
    cx.talk
        .success(&format!("{} is trusted for {} in {place}: {}", trusted.issuer, project.name, trusted.id));
    cx.talk.say(&format!("  Its tokens must name the audience {}", new.audiences.join(" or ")));
    Ok(())
}

/// Holds the token against the rule; a rule without claims is made from the token first.
async fn check(
    cx: &mut Context<'_>,
    client: &Client,
    new: &mut NewTrustedIssuer,
    token: Option<&str>,
) -> Result<TrustCheck, Failure> {
    let mut checked = client.check_trusted_issuer(new, token).await?;
    let empty = new.rules.iter().all(|rule| rule.claims.is_empty());
    let made = checked.safe_rules.first().cloned().flatten();
    if let (true, Some(_), Some(made), Some(rule)) = (empty, token, made, new.rules.first_mut()) {
        rule.claims = made;
        checked = client.check_trusted_issuer(new, token).await?;
    }
    if let (None, None, Some(issuer)) =
        (&new.issuer, &new.family, checked.trusted_issuer.get("issuer").and_then(Value::as_str))
    {
        new.issuer = Some(issuer.to_owned());
    }
    if !cx.talk.wants_json() {
        shown::check(cx, &checked)?;
    }
    if checked.weaknesses.is_empty() {
        return Ok(checked);
    }
    if cx.talk.wants_json() && token.is_none() {
        // The document of a dry run says it all; what follows is for whoever meant to trust.
        return Ok(checked);
    }
    let why = checked.weaknesses.join("; ");
    let mut failure = Failure::new("invalid_request", format!("The trusted issuer cannot be used: {why}."));
    failure.extra.insert("weaknesses".to_owned(), json!(checked.weaknesses));
    failure.extra.insert("safeRules".to_owned(), json!(checked.safe_rules));
    Err(unsafe_rule(failure))
}

/// Those of the team.
async fn list(cx: &mut Context<'_>) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let issuers = client.trusted_issuers().await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "trustedIssuers": issuers }));
    }
    if issuers.is_empty() {
        cx.talk.say(
            "No issuer is trusted. Trust one: carnet projects trust PROJECT --family NAME --claim NAME=VALUE",
        );
        return Ok(());
    }
    let rows: Vec<_> = issuers
        .iter()
        .map(|issuer| {
            let family = issuer.rest.get("family").and_then(Value::as_str).unwrap_or_default();
            let rules = issuer.rest.get("rules").and_then(Value::as_array).map_or(0, Vec::len);
            vec![issuer.id.to_string(), family.to_owned(), issuer.issuer.clone(), rules.to_string()]
        })
        .collect();
    for line in table(&["ID", "Platform", "Issuer", "Rules"], &rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

/// One, with its rules.
async fn show(cx: &mut Context<'_>, id: &str) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let issuer = client.trusted_issuer(parse(id)?).await.map_err(see_list)?;
    if cx.talk.wants_json() {
        return cx.talk.document(&issuer);
    }
    let member = |name: &str| issuer.rest.get(name).map(shown::value).unwrap_or_default();
    let keys = match (issuer.rest.get("jwks"), issuer.rest.get("jwksUri").and_then(Value::as_str)) {
        (Some(_), _) => "pinned".to_owned(),
        (None, Some(uri)) => uri.to_owned(),
        (None, None) => "by discovery".to_owned(),
    };
    let rows = [
        ("ID", issuer.id.to_string()),
        ("Platform", member("family")),
        ("Issuer", issuer.issuer.clone()),
        ("Audiences", member("audiences")),
        ("Keys", keys),
        ("Algorithms", member("algorithms")),
        ("Longest life", format!("{} s", member("maxLifeSeconds"))),
        ("Greatest age", format!("{} s", member("maxAgeSeconds"))),
    ];
    for line in sheet(&rows) {
        cx.talk.answer(&line)?;
    }
    let rules = issuer.rest.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    for (number, rule) in rules.iter().enumerate() {
        let text = |name: &str| rule.get(name).map(shown::value).unwrap_or_default();
        cx.talk.answer("")?;
        cx.talk.answer(&super::talk::plain(&format!(
            "Rule {}: {} in {}, for {}",
            number + 1,
            text("project"),
            text("environment"),
            text("subjects")
        )))?;
        let claims = rule.get("claims").and_then(Value::as_object).cloned().unwrap_or_default();
        let rows: Vec<_> =
            claims.iter().map(|(name, wanted)| (name.as_str(), shown::value(wanted))).collect();
        for line in sheet(&rows) {
            cx.talk.answer(&format!("  {line}"))?;
        }
    }
    Ok(())
}

/// Trusts one no longer.
async fn remove(cx: &mut Context<'_>, args: TrustedRemoveArgs) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let issuer = client.trusted_issuer(parse(&args.issuer)?).await.map_err(see_list)?;
    if args.dry_run {
        let rules = issuer.rest.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
        let text =
            |rule: &Value, name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut would = Would::new(format!("trust {} no longer", issuer.issuer))
            .fact("id", issuer.id.to_string())
            .fact("issuer", issuer.issuer.as_str());
        for rule in &rules {
            let id = text(rule, "project");
            let name = client.project(&id).await.map_or_else(|_| id.clone(), |project| project.name);
            would = would.project(&id, &name, vec![text(rule, "environment")]);
        }
        return would.tell(cx);
    }
    let question = format!("Trust {} no longer? Its workloads are refused at once.", issuer.issuer);
    cx.talk.insist(args.yes, &question)?;
    client.delete_trusted_issuer(issuer.id).await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "id": issuer.id, "issuer": issuer.issuer, "removed": true }));
    }
    cx.talk.success(&format!("{} is trusted no longer", issuer.issuer));
    Ok(())
}

/// The platforms that are known.
async fn families(cx: &mut Context<'_>) -> Result<(), Failure> {
    let client = cx.settings.client_without_project()?;
    let families = client.identity_families().await?;
    if cx.talk.wants_json() {
        return cx.talk.document(&json!({ "families": families }));
    }
    let rows: Vec<_> = families
        .iter()
        .map(|family| {
            let mut claims = family.claims.clone();
            let groups: Vec<String> = family.one_of.iter().map(|group| group.join(" with ")).collect();
            if !groups.is_empty() {
                claims.push(format!("and {}", groups.join(" or ")));
            }
            let issuer = family.issuer.clone().unwrap_or_else(|| "--issuer".to_owned());
            vec![family.family.clone(), issuer, claims.join(" ")]
        })
        .collect();
    for line in table(&["Family", "Issuer", "Claims that a rule must have"], &rows) {
        cx.talk.answer(&line)?;
    }
    Ok(())
}

/// What is not there is seen in the list.
fn see_list(error: carnet_sdk::Error) -> Failure {
    let failure = Failure::from(error);
    match failure.code.as_str() {
        "not_found" => Failure { next: Vec::new(), ..failure }
            .next("carnet projects trust list", "to see those there are"),
        _ => failure,
    }
}

fn parse(id: &str) -> Result<Id<kind::TrustedIssuer>, Failure> {
    Id::parse(id).map_err(|_| {
        Failure::usage(format!("{id} is not the identifier of a trusted issuer."))
            .next("carnet projects trust list", "to see those there are")
    })
}

/// A file, or stdin.
fn read(cx: &mut Context<'_>, path: &str) -> Result<String, Failure> {
    let text = match path {
        "-" => data::from_stdin(cx.talk)?,
        file => data::text(&format!("@{file}"), &cx.place.folder, cx.talk)?,
    };
    Ok(text.trim().to_owned())
}

/// `name=value` pairs. A value may hold further `=`. `name:=json` is for what is not text. A SPIFFE ID that ends in `/*`
/// stands for those exactly one segment below.
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
        let below = value.strip_suffix("/*").filter(|id| id.starts_with("spiffe://"));
        let (name, value) = match (name.strip_suffix(':'), below) {
            (Some(name), _) if !name.is_empty() => {
                let value = serde_json::from_str(value).map_err(|_| {
                    Failure::usage(format!("--claim {pair}: what follows := is not JSON."))
                        .next("--claim email_verified:=true", "for example")
                })?;
                (name, value)
            }
            (_, Some(parent)) => (name, json!({ "oneBelow": parent })),
            _ => (name, value.into()),
        };
        if claims.insert(name.to_owned(), value).is_some() {
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
        assert_eq!(read(&["a:=true"]).unwrap().get("a"), Some(&Value::from(true)));
        assert_eq!(read(&["a:=[1,\"x\"]"]).unwrap().get("a"), Some(&json!([1, "x"])));
        assert_eq!(
            read(&["sub=spiffe://a/b/*"]).unwrap().get("sub"),
            Some(&json!({"oneBelow": "spiffe://a/b"}))
        );
        assert_eq!(read(&["a=x/*"]).unwrap().get("a"), Some(&Value::from("x/*")), "for the server to refuse");
        for pairs in [&["a"][..], &["=1"], &["a="], &["a=1", "a=2"], &["a:=tru"], &["a=1", "a:=2"]] {
            assert!(read(pairs).is_err(), "{pairs:?}");
        }
    }
}
