use proptest::prelude::*;

use super::*;

fn template(text: &str) -> Result<Template, String> {
    Template::try_from(text.to_owned())
}

fn field(key: &str, kind: &str, more: &str) -> Field {
    let text = format!("key = {key:?}\nlabel = 'L'\nexample = 'x'\nkind = {kind:?}\n{more}");
    toml::from_str(&text).unwrap()
}

fn fields() -> Vec<Field> {
    vec![
        field("label", "label", ""),
        field("labels", "labels", ""),
        field("host", "host", "within = ['*.okta.com', '*.oktapreview.com']"),
        field("part", "segment", ""),
        field("region", "choice", "choices = ['eu', 'us']"),
    ]
}

fn patterns(text: &str) -> Result<Vec<String>, String> {
    let reached = template(text).unwrap().reach(&fields())?;
    Ok(reached.iter().map(ToString::to_string).collect())
}

#[test]
fn a_template_is_the_https_address_of_a_named_host() {
    for text in [
        "https://api.x.com",
        "https://api.x.com/a/{part}/b?x=1",
        "https://{label}.x.com/",
        "https://{host}/oauth2/{part}",
        "https://{label}-dsn.x.net/1",
        "https://api.{region}.x.com",
    ] {
        assert!(template(text).is_ok(), "{text}");
    }
    for text in [
        "http://api.x.com",
        "//api.x.com",
        "https://",
        "https:///x",
        "https://localhost/x",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://u@api.x.com/",
        "https://u:p@api.x.com/",
        "https://{label}@api.x.com/",
        "https://api.x.com:{label}/",
        "https://api.x.com:8443/",
        "https://api.x.com/#f",
        "https://api.x.com/?a={part}",
        "https://api.x.com/{",
        "https://api.x.com/}",
        "https://api.x.com/{{part}}",
        "https://api.x.com/{Part}",
        "https://api.x.com/{}",
        "https://API.x.com/",
        "https://api.x.com\\@evil.example/",
        "https://api.x.com//evil.example",
        "https://ex\u{e4}mple.com/",
        " https://api.x.com/",
    ] {
        assert!(template(text).is_err(), "{text}");
    }
}

#[test]
fn what_can_be_reached_is_seen_before_anything_is_filled_in() {
    for (text, reached) in [
        ("https://api.x.com/{part}", vec!["api.x.com"]),
        ("https://{label}.x.com", vec!["*.x.com"]),
        ("https://{labels}.x.com", vec!["*.x.com"]),
        ("https://{label}-dsn.x.net", vec!["*.x.net"]),
        ("https://a-{label}.b.x.com", vec!["*.b.x.com"]),
        ("https://{host}/x", vec!["*.okta.com", "*.oktapreview.com"]),
        ("https://api.{region}.x.com", vec!["api.eu.x.com", "api.us.x.com"]),
        ("https://{label}.{region}.x.com", vec!["*.eu.x.com", "*.us.x.com"]),
    ] {
        assert_eq!(patterns(text).unwrap(), reached, "{text}");
    }
    for text in [
        "https://{label}.com",
        "https://x.{label}",
        "https://api.x.{label}/",
        "https://{host}.x.com",
        "https://{part}.x.com",
        "https://api.{labels}.x.com",
        "https://api.x.com/{host}",
        "https://api.x.com/{unknown}",
    ] {
        assert!(template(text).and_then(|template| template.reach(&fields())).is_err(), "{text}");
    }
}

#[test]
fn what_a_person_fills_in_stays_where_it_belongs() {
    let fields = fields();
    let sound = |key: &str, value: &str| {
        fields.iter().find(|field| field.key.as_str() == key).unwrap().check(value).is_ok()
    };
    for (key, value) in [
        ("label", "acme"),
        ("label", "acme-2"),
        ("labels", "ab12345.eu-west-1"),
        ("host", "acme.okta.com"),
        ("part", "default"),
        ("part", "aus1-x_y.z~"),
        ("region", "eu"),
    ] {
        assert!(sound(key, value), "{key} {value}");
    }
    for (key, value) in [
        ("label", ""),
        ("label", "a.b"),
        ("label", "-a"),
        ("label", "a/b"),
        ("label", "a@evil.example"),
        ("label", "evil.example/"),
        ("label", "evil.example#"),
        ("label", "a:443"),
        ("label", "a b"),
        ("label", "ä"),
        ("label", "a\u{0}"),
        ("label", "%2e"),
        ("label", "xn--80ak6aa92e"),
        ("labels", "a..b"),
        ("labels", ".a"),
        ("labels", "a."),
        ("host", "okta.com"),
        ("host", "acme.okta.com.evil.example"),
        ("host", "evilokta.com"),
        ("host", "https://acme.okta.com"),
        ("host", "acme.okta.com:8443"),
        ("host", "acme.okta.com/x"),
        ("host", "u@acme.okta.com"),
        ("part", ".."),
        ("part", "."),
        ("part", "a/b"),
        ("part", "a?b"),
        ("part", "a#b"),
        ("part", "a%2f"),
        ("region", "ap"),
        ("region", ""),
    ] {
        assert!(!sound(key, value), "{key} {value:?}");
    }
    let values = BTreeMap::from([("label", "Acme".to_owned()), ("part", "a".to_owned())]);
    let url = template("https://{label}.x.com/t/{part}").unwrap().fill(&values).unwrap();
    assert_eq!(url.as_str(), "https://acme.x.com/t/a");
    assert!(template("https://{host}/").unwrap().fill(&values).is_err());
}

#[test]
fn a_value_that_no_field_looked_at_still_leads_nowhere_else() {
    let template = template("https://{label}.x.com/t").unwrap();
    for value in
        ["evil.example/", "evil.example#", "u@evil.example?", "a:1", "evil.example\\", "a b", "127.0.0.1/"]
    {
        let values = BTreeMap::from([("label", value.to_owned())]);
        assert!(template.fill(&values).is_err(), "{value}");
    }
}

proptest! {
    #[test]
    fn whatever_is_filled_in_leads_to_a_host_of_the_file(value in r"[a-zA-Z0-9._~/?#@:%\\ \-\[\]]{0,24}|\PC{0,12}") {
        let fields = fields();
        for (text, key) in [
            ("https://{label}.x.com/t", "label"),
            ("https://{labels}.x.com/t", "labels"),
            ("https://{host}/t", "host"),
            ("https://api.x.com/{part}/t", "part"),
        ] {
            let template = template(text).unwrap();
            let reached = template.reach(&fields).unwrap();
            let field = fields.iter().find(|field| field.key.as_str() == key).unwrap();
            let filled = template.fill(&BTreeMap::from([(key, value.clone())]));
            if field.check(&value).is_ok() {
                let url = filled.unwrap();
                prop_assert!(reached.iter().any(|known| known.matches(url.host_str().unwrap())), "{url}");
                prop_assert!(url.path().ends_with("/t") && url.query().is_none() && url.port().is_none(), "{url}");
            } else if let (Ok(url), true) = (filled, key.starts_with("label")) {
                prop_assert!(url.host_str().unwrap().ends_with(".x.com"), "{url}");
            }
        }
    }
}

#[test]
fn a_host_is_led_to_or_not_by_what_is_filled_in() {
    let values = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    for (template, filled, host, leads) in [
        ("https://{host}/oauth/token", &[("host", "Git.acme.example")][..], "git.acme.example", true),
        ("https://{host}/oauth/token", &[("host", "git.acme.example")], "gitlab.com", false),
        ("https://{sub}.{region}.x.example/t", &[("region", "eu")], "acme.eu.x.example", true),
        ("https://{sub}.{region}.x.example/t", &[("region", "eu")], "acme.us.x.example", false),
        ("https://{sub}.x.example/t", &[], "acme.x.example", true),
        ("https://{sub}.x.example/t", &[], "x.example", false),
        ("https://api.x.example/t", &[], "api.x.example", true),
        ("https://api.x.example/t", &[], "api.x.example.evil.example", false),
    ] {
        let template = Template::try_from(template.to_owned()).unwrap();
        let url = Url::parse(&format!("https://{host}/")).unwrap();
        assert_eq!(template.can_lead_to(&url, &values(filled)), leads, "{} {host}", template.as_str());
    }
}
