use proptest::prelude::*;

use super::*;
use crate::address;
use crate::policy::Policy;

fn production() -> Rules {
    rules(Policy { ports: vec![8443], ..Policy::default() })
}

fn development() -> Rules {
    rules(Policy { loopback: true, ..Policy::default() })
}

fn rules(policy: Policy) -> Rules {
    Rules::new(policy).unwrap_or_else(|error| panic!("{error}"))
}

fn verdict(rules: &Rules, text: &str) -> Result<Url, UrlRefused> {
    rules.judge(text, Purpose::ProviderApi)
}

#[test]
fn good_urls_pass_and_stay_as_they_are() {
    let long_label = format!("https://{}.example/", "a".repeat(63));
    let long_name = format!("https://{}.example/", ["abcdefg"; 30].join("."));
    let good = [
        "https://slack.com/api/oauth.v2.access",
        "https://github.com/login/oauth/access_token",
        "https://api.github.com/app/installations/1234/access_tokens",
        "https://accounts.google.com/.well-known/openid-configuration",
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v3/certs",
        "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        "https://login.microsoftonline.com/3ee7ed4b-1f2c-4d3a-9d0e-1b2c3d4e5f60/discovery/v2.0/keys",
        "https://auth.atlassian.com/oauth/token",
        "https://api.linear.app/oauth/token",
        "https://api.notion.com/v1/oauth/token",
        "https://login.salesforce.com/services/oauth2/token",
        "https://mycompany--uat.sandbox.my.salesforce.com/services/oauth2/token",
        "https://ab12345.eu-central-1.snowflakecomputing.com/oauth/token-request",
        "https://dev-123456.okta.com/oauth2/default/.well-known/oauth-authorization-server",
        "https://tenant.eu.auth0.com/oauth/token",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEfGhI/.well-known/jwks.json",
        "https://token.actions.githubusercontent.com/.well-known/jwks",
        "https://gitlab.com/oauth/token",
        "https://bitbucket.org/site/oauth2/access_token",
        "https://discord.com/api/v10/oauth2/token",
        "https://api.figma.com/v1/oauth/token",
        "https://api.dropboxapi.com/oauth2/token",
        "https://api.hubapi.com/oauth/v1/token",
        "https://connect.stripe.com/oauth/token",
        "https://zoom.us/oauth/token",
        "https://identity.xero.com/connect/token",
        "https://www.reddit.com/api/v1/access_token",
        "https://api.x.com/2/oauth2/token",
        "https://eu.i.posthog.com/capture/",
        "https://example.com",
        "https://example.com/",
        "https://example.com?",
        "https://example.com?a=b&c=d%20e",
        "https://example.com/a/b/c?next=https://other.example/@x:y",
        "https://example.com/a@b/c:d",
        "https://example.com/%E2%82%AC?q=%3Cx%3E",
        "https://example.com/path;v=1/~user/(x)/*,'!$&+=",
        "https://example.com/?q={a}|b^c`",
        "https://example.com:443/",
        "https://example.com:8443/hook",
        "HTTPS://example.com/",
        "https://EXAMPLE.com/",
        "https://sub_domain.example.com/",
        "https://xn--bcher-kva.example/",
        "https://a-b--c.example/",
        "https://1password.com/",
        "https://127.0.0.1.example.com/",
        "https://localhost.example.com/",
        "https://notlocalhost/",
        "https://idp/",
        "https://1.1.1.1/",
        "https://8.8.8.8:8443/dns",
        "https://[2606:4700:4700::1111]/",
        "https://[2606:4700:4700::1111]:8443/",
        "https://[2A00:1450:4001:81B::200E]/",
        &long_label,
        &long_name,
    ];
    assert!(good.len() >= 50);
    let rules = production();
    for text in good {
        match verdict(&rules, text) {
            Ok(url) => assert_eq!(url, Url::parse(text).unwrap()),
            Err(refused) => panic!("{text}: {refused}"),
        }
    }
}

#[test]
fn a_bad_url_is_refused_for_its_reason() {
    use UrlRefused as Why;
    let rules = production();
    let too_long = format!("https://example.com/{}", "a".repeat(MAX_URL));
    let long_label = format!("https://{}.example/", "a".repeat(64));
    let long_name = format!("https://{}.example/", ["abcdefg"; 31].join("."));
    for (text, why) in [
        (&*too_long, Why::TooLong),
        (" https://example.com/", Why::Characters),
        ("https://example.com/\r\nX: y", Why::Characters),
        ("https://exam\tple.com/", Why::Characters),
        ("https://example.com/a b", Why::Characters),
        ("https://example.com\\@10.0.0.1/", Why::Characters),
        ("https://bücher.example/", Why::Characters),
        ("https://example.com/é", Why::Characters),
        ("https://example.com/\u{0}", Why::Characters),
        ("https://example.com/#a", Why::Fragment),
        ("https://example.com#@10.0.0.1/", Why::Fragment),
        ("", Why::Unreadable),
        ("example.com", Why::Unreadable),
        ("//example.com/", Why::Unreadable),
        ("https:example.com", Why::Unreadable),
        ("https:/example.com", Why::Unreadable),
        ("https:///example.com/", Why::Host),
        ("https://", Why::Host),
        ("https://?a", Why::Host),
        ("http://example.com/", Why::Scheme),
        ("ftp://example.com/", Why::Scheme),
        ("file:///etc/passwd", Why::Scheme),
        ("gopher://example.com/", Why::Scheme),
        ("data://text", Why::Scheme),
        ("javascript://example.com/", Why::Scheme),
        ("https://user@example.com/", Why::UserInfo),
        ("https://user:pass@example.com/", Why::UserInfo),
        ("https://@example.com/", Why::UserInfo),
        ("https://:@example.com/", Why::UserInfo),
        ("https://example.com:443@10.0.0.1/", Why::UserInfo),
        ("https://example.com:80/", Why::Port(80)),
        ("https://example.com:0/", Why::Port(0)),
        ("https://example.com:22/", Why::Port(22)),
        ("https://example.com:8080/", Why::Port(8080)),
        ("https://example.com:65535/", Why::Port(65535)),
        ("https://example.com:65536/", Why::Unreadable),
        ("https://example.com:/", Why::Unreadable),
        ("https://example.com:0443/", Why::Unreadable),
        ("https://example.com:+443/", Why::Unreadable),
        ("https://example.com:44a/", Why::Unreadable),
        ("https://example.com:443:443/", Why::Unreadable),
        ("https://example.com./", Why::Host),
        ("https://./", Why::Host),
        ("https://example..com/", Why::Host),
        ("https://-example.com/", Why::Host),
        ("https://exa$mple.com/", Why::Host),
        ("https://exam,ple.com/", Why::Host),
        (&long_label, Why::Host),
        (&long_name, Why::Host),
        ("https://%65xample.com/", Why::HostSpelling),
        ("https://10.0.0.1/", Why::Address),
        ("https://[::1]/", Why::Address),
        ("https://[fd00::1]/", Why::Address),
        ("https://localhost/", Why::Address),
        ("https://LocalHost/", Why::Address),
        ("https://a.b.localhost/", Why::Address),
        ("https://127.1/", Why::HostSpelling),
        ("https://8.8.2056/", Why::HostSpelling),
        ("https://0x08080808/", Why::HostSpelling),
        ("https://010.8.8.8/", Why::HostSpelling),
        ("https://8.8.8.8./", Why::HostSpelling),
        ("https://1.2.3.256/", Why::Unreadable),
        ("https://[2606:4700:4700:0::1111]/", Why::HostSpelling),
        ("https://[2606:4700:4700::1111%25eth0]/", Why::HostSpelling),
        ("https://[fe80::1%eth0]/", Why::HostSpelling),
        ("https://[::1", Why::Unreadable),
        ("https://2606:4700:4700::1111/", Why::Unreadable),
    ] {
        assert_eq!(verdict(&rules, text), Err(why), "{text}");
    }
}

#[test]
fn plain_http_is_for_this_machine_in_development() {
    let rules = development();
    for text in [
        "http://127.0.0.1:9411/x",
        "http://127.8.9.10/",
        "http://[::1]:9411/",
        "http://localhost:9411/",
        "http://demo.localhost:9411/",
        "https://localhost:9411/",
        "https://127.0.0.1:1/",
        "https://example.com/",
    ] {
        assert!(verdict(&rules, text).is_ok(), "{text}");
    }
    for (text, why) in [
        ("http://example.com/", UrlRefused::Scheme),
        ("http://example.com:9411/", UrlRefused::Scheme),
        ("https://example.com:9411/", UrlRefused::Port(9411)),
        ("http://notlocalhost/", UrlRefused::Scheme),
        ("http://1.1.1.1/", UrlRefused::Scheme),
        ("http://10.0.0.1/", UrlRefused::Address),
        ("http://[::ffff:7f00:1]/", UrlRefused::Address),
        ("http://0.0.0.0/", UrlRefused::Address),
        ("http://127.1/", UrlRefused::HostSpelling),
        ("http://localhost:0/", UrlRefused::Port(0)),
        ("http://localhost./", UrlRefused::Host),
        ("ftp://localhost/", UrlRefused::Scheme),
    ] {
        assert_eq!(verdict(&rules, text), Err(why), "{text}");
    }
}

#[test]
fn an_allowance_opens_a_literal_address_for_its_purpose() {
    let allow = vec![crate::policy::Allowance {
        purpose: Some(Purpose::Forward),
        network: "10.2.0.0/16".parse().unwrap(),
    }];
    let rules = rules(Policy { allow, ..Policy::default() });
    assert!(rules.judge("https://10.2.3.4/hook", Purpose::Forward).is_ok());
    for (text, purpose, why) in [
        ("https://10.2.3.4/hook", Purpose::Completion, UrlRefused::Address),
        ("https://10.3.3.4/hook", Purpose::Forward, UrlRefused::Address),
        ("http://10.2.3.4/hook", Purpose::Forward, UrlRefused::Scheme),
        ("https://10.2.3.4:80/hook", Purpose::Forward, UrlRefused::Port(80)),
    ] {
        assert_eq!(rules.judge(text, purpose), Err(why), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_passes_is_https_to_a_name_or_a_public_address(
        text in "(https?|HTTPS|ftp)(://|:/|:|://[a-z]{0,3}@)[0-9a-fx.:%\\[\\]@A-Z]{1,24}(:[0-9]{0,5})?([/?#\\\\].{0,8})?"
    ) {
        if let Ok(url) = verdict(&production(), &text) {
            prop_assert_eq!(url.scheme(), "https");
            prop_assert!(matches!(url.port_or_known_default(), Some(443 | 8443)));
            prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
            match url.host() {
                Some(Host::Domain(name)) => prop_assert!(!is_localhost(name) && name.parse::<IpAddr>().is_err()),
                Some(Host::Ipv4(v4)) => prop_assert!(address::is_public(v4.into())),
                Some(Host::Ipv6(v6)) => prop_assert!(address::is_public(v6.into())),
                None => prop_assert!(false, "no host"),
            }
        }
    }

    #[test]
    fn a_literal_address_passes_exactly_if_it_is_public(v4: u32, v6: u128, wild: bool) {
        // half of the v6 addresses inside 2000::/3, or almost none would be public
        let v6 = if wild { v6 } else { v6 >> 3 | 1 << 125 };
        for (host, address) in [
            (std::net::Ipv4Addr::from_bits(v4).to_string(), IpAddr::V4(v4.into())),
            (format!("[{}]", std::net::Ipv6Addr::from_bits(v6)), IpAddr::V6(v6.into())),
        ] {
            let passed = verdict(&production(), &format!("https://{host}/")).is_ok();
            prop_assert_eq!(passed, address::is_public(address), "{}", host);
        }
    }
}
