//! What the pages say, and what they ask.

use carnet_dashboard::{
    ApplicationAnswer, ApplicationRemoveAnswer, ApplicationSecretAnswer, BareAnswer, Consent, ConsentAnswer,
    Decision, JoinAnswer, Label, LoginAnswer, PasskeyAnswer, PasskeyMadeAnswer, PassphraseAnswer,
    ResetAnswer, SetupAnswer, SignInAnswer, Stage, UnlinkAnswer, Whose, WithAnswer,
};
use http::Uri;
use serde::de::DeserializeOwned;

use crate::markup::{Tag, html, tags, text};
use crate::samples;

fn page(name: &str) -> String {
    html(samples::pages(&str::to_owned).into_iter().find(|(found, _)| *found == name).unwrap().1)
}

/// What the form with this submit button would post, the empty fields filled with `typed`.
fn posted<T: DeserializeOwned>(tags: &[Tag], form: usize, button: Option<(&str, &str)>, typed: &str) -> T {
    let start = tags.iter().enumerate().filter(|(_, tag)| tag.name == "form").nth(form).unwrap().0;
    let end = tags.iter().enumerate().skip(start + 1).find(|(_, tag)| tag.name == "form");
    let fields = tags[start..end.map_or(tags.len(), |(at, _)| at)].iter().filter(|tag| tag.name == "input");
    let pairs = fields.map(|tag| {
        (tag.get("name").unwrap(), tag.get("value").filter(|value| !value.is_empty()).unwrap_or(typed))
    });
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs).extend_pairs(button);
    let uri: Uri = format!("/?{}", query.finish()).parse().unwrap();
    axum::extract::Query::try_from_uri(&uri).unwrap().0
}

#[test]
fn the_page_says_who_as_whom_where_and_for_how_long() {
    let text = text(&page("consent"));
    for said in [
        "Support Agent wants to act as you in Linear",
        "Support Agent is run by Acme, in production.",
        "It will be able to Read issues, projects and comments you can see read Create issues issues:create",
        "It will not be able to Delete anything, or manage members and settings See your Linear password",
        "Your Support Agent account “customer-48213” This is what Support Agent calls you.",
        "Cancel Continue to Linear",
        "Access lasts until it is ended. To end it, remove Support Agent in your Linear settings, or ask Acme.",
        "works for at most one hour",
        "Afterwards you go back to agent.acme.dev.",
        "connect.acme.dev",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
    assert!(!text.contains("not in production"));
}

#[test]
fn an_unknown_scope_is_called_unknown_and_nothing_is_ruled_out() {
    let text = text(&page("consent-unknown"));
    assert!(text.contains("We have no description for this permission https://www.googleapis.com/auth/"));
    assert!(!text.contains("It will not be able to"), "{text}");
    assert!(text.contains("WDJB-MJHT Only continue if you started this yourself"), "{text}");
}

#[test]
fn no_scopes_at_all_are_not_passed_off_as_no_power() {
    let text = text(&page("consent-bare"));
    assert!(text.contains("Do what Linear allows it."), "{text}");
    assert!(!text.contains("It will not be able to"), "{text}");
}

#[test]
fn what_is_new_comes_first_and_deleting_is_marked() {
    let text = text(&page("consent-more"));
    let new = text.find("New: it will also be able to Create issues").unwrap();
    let old = text.find("It can already Read issues").unwrap();
    assert!(new < old);
    assert!(text.contains("Change and delete issues can delete"), "{text}");
    assert!(
        text.contains("It will not be able to Manage members and settings See your Linear password"),
        "{text}"
    );
    assert!(text.contains("Your Acme account ops@acme.dev If this is not you, cancel."), "{text}");
}

#[test]
fn only_production_goes_without_a_notice() {
    for (name, notice) in [
        ("consent", None),
        ("consent-more", Some("This is a preview")),
        ("consent-bare", Some("This is development")),
        ("consent-unknown", Some("This is the environment “staging”, not production.")),
    ] {
        let html = page(name);
        assert_eq!(html.contains("class=\"notice warn\""), notice.is_some(), "{name}");
        assert!(notice.is_none_or(|notice| text(&html).contains(notice)), "{name}");
    }
}

#[test]
fn cancel_comes_before_continue_and_is_as_large() {
    for name in ["consent", "consent-more", "consent-unknown", "consent-bare", "paste", "paste-refused"] {
        let html = page(name);
        let two = html.split_once("<div class=\"two\">").unwrap().1.split_once("</div>").unwrap().0;
        let cancel = two.find(">Cancel</button>").unwrap();
        let go = two.find(" main\"").unwrap();
        assert!(cancel < go, "{name}");
        assert!(!two.contains("autofocus"), "{name}");
        let focusable: Vec<_> = tags(&html)
            .into_iter()
            .filter(|tag| matches!(tag.name.as_str(), "a" | "button" | "summary" | "input"))
            .filter(|tag| tag.get("type") != Some("hidden"))
            .collect();
        if name.starts_with("consent") {
            assert_eq!(focusable[0].get("value"), Some("deny"), "{name}: the first thing that Tab reaches");
        }
    }
}

#[test]
fn the_forms_post_what_the_handlers_read() {
    let consent = tags(&page("consent"));
    for (value, decision) in [("deny", Decision::Deny), ("allow", Decision::Allow)] {
        let answer: ConsentAnswer = posted(&consent, 0, Some(("decision", value)), "");
        assert_eq!(answer.decision, decision);
        assert_eq!(answer.form_token.expose(), "form-token-of-this-browser");
        assert!(answer.key.is_none());
    }
    assert!(consent.iter().filter(|tag| tag.name == "button").all(|tag| tag.get("name") == Some("decision")));

    let paste = tags(&page("paste"));
    let cancelled: ConsentAnswer = posted(&paste, 0, None, "");
    assert_eq!(cancelled.decision, Decision::Deny);
    let pasted: ConsentAnswer = posted(&paste, 1, None, "lin_api_1 &=+");
    assert_eq!(pasted.decision, Decision::Allow);
    assert_eq!(pasted.key.unwrap().expose(), "lin_api_1 &=+");

    let setup: SetupAnswer = posted(&tags(&page("setup")), 0, None, "Ölga & Co");
    assert_eq!(
        (setup.team.as_str(), setup.name.as_str(), setup.email.as_str()),
        ("Ölga & Co", "Ölga & Co", "Ölga & Co")
    );
    assert_eq!(setup.passphrase.expose(), "Ölga & Co");
    assert_eq!(setup.form_token.expose(), "form-token-of-this-browser");

    let sign_in: SignInAnswer = posted(&tags(&page("sign-in")), 0, None, "typed");
    assert_eq!((sign_in.email.as_str(), sign_in.passphrase.expose().as_str()), ("olga@acme.dev", "typed"));
    assert_eq!(sign_in.to, "/account");
    let again: SignInAnswer = posted(&tags(&page("sign-in-again-wrong")), 0, None, "typed");
    assert_eq!((again.email.as_str(), again.passphrase.expose().as_str()), ("", "typed"));
    let _: BareAnswer = posted(&tags(&page("sign-out")), 0, None, "");
    let account = tags(&page("account"));
    let _: BareAnswer = posted(&account, 0, None, "");
    let _: BareAnswer = posted(&account, 2, None, "");
    let unlink: UnlinkAnswer = posted(&account, 3, None, "");
    assert_eq!(
        (unlink.issuer.as_str(), unlink.subject.as_str()),
        ("https://accounts.acme.dev", "248289761001")
    );
    let _: WithAnswer = posted(&account, 4, None, "");
    let applications = tags(&page("applications"));
    let turned: ApplicationSecretAnswer = posted(&applications, 0, None, "typed");
    assert_eq!(turned.secret.expose(), "typed");
    let removed: ApplicationRemoveAnswer = posted(&applications, 1, None, "");
    assert_eq!(removed.force.as_deref(), Some("on"));
    let new: ApplicationAnswer = posted(&applications, 2, None, "typed");
    for text in [&new.service, &new.way, &new.params, &new.teams, &new.client] {
        assert_eq!(text, "typed");
    }
    assert_eq!((new.secret.expose().as_str(), new.more.expose().as_str()), ("typed", "typed"));
    let used: PasskeyAnswer = posted(&tags(&page("sign-in")), 1, None, "");
    assert_eq!((used.challenge.as_str(), used.to.as_str()), ("c2l4dGVlbiBieXRlcyBhdA", "/account"));
    let _: BareAnswer = posted(&account, 5, None, "");
    let made: PasskeyMadeAnswer = posted(&account, 7, None, "typed");
    assert_eq!((made.challenge.as_str(), made.name.as_str()), ("c2l4dGVlbiBieXRlcyBhdA", "typed"));
    let with: WithAnswer = posted(&tags(&page("sign-in")), 2, None, "");
    assert_eq!(with.to, "/account");
    let changed: PassphraseAnswer = posted(&account, 8, None, "typed");
    assert_eq!((changed.present.expose().as_str(), changed.passphrase.expose().as_str()), ("typed", "typed"));
    let first: PassphraseAnswer = posted(&tags(&page("account-ended")), 2, None, "typed");
    assert_eq!(first.present.expose(), "");

    let join: JoinAnswer = posted(&tags(&page("invitation")), 0, None, "typed");
    assert_eq!(
        (join.name.as_str(), join.email.as_str(), join.passphrase.expose().as_str()),
        ("typed", "typed", "typed")
    );
    let only: JoinAnswer = posted(&tags(&page("invitation-only")), 0, None, "typed");
    assert_eq!((only.name.as_str(), only.email.as_str()), ("typed", ""));
    let _: BareAnswer = posted(&tags(&page("invitation-signed-in")), 0, None, "");
    let reset: ResetAnswer = posted(&tags(&page("reset")), 0, None, "typed");
    assert_eq!(reset.passphrase.expose(), "typed");

    let login = tags(&page("login-confirm"));
    let allowed: LoginAnswer = posted(&login, 0, Some(("decision", "allow")), "");
    assert_eq!((allowed.code.as_str(), allowed.decision), ("WDJB-MJHT", Decision::Allow));
    assert_eq!(allowed.team.as_deref(), Some("team_4Kd0aTwXyZ3kLmN8bVc2D0"));
    let denied: LoginAnswer = posted(&login, 1, Some(("decision", "deny")), "");
    assert_eq!((denied.code.as_str(), denied.decision), ("WDJB-MJHT", Decision::Deny));
}

#[test]
fn an_invitation_says_who_invites_to_what_and_what_that_means() {
    for (name, said) in [
        (
            "invitation",
            &["Join Acme", "Olga Petrova (olga@acme.dev) invites you, as a member.", "in 6 days"][..],
        ),
        ("invitation-wrong", &["as an owner.", "with people and keys too", "Somebody here has an account"]),
        ("invitation-only", &["for the account of grace@acme.dev alone"]),
        ("invitation-only-wrong", &["Somebody here has an account", "Sign in and come back"]),
        ("invitation-signed-in", &["You are signed in as grace@acme.dev. Not you? Sign out", "Not now Join"]),
        ("invitation-another", &["You are signed in as grace@acme.dev, for whom it is not"]),
        ("invitation-already", &["grace@acme.dev is in this team already"]),
        ("reset", &["For the account of grace@acme.dev", "You are signed out everywhere by it"]),
    ] {
        let text = text(&page(name));
        for said in said {
            assert!(text.contains(said), "{name}: {said}: {text}");
        }
    }
}

#[test]
fn the_enter_key_in_the_key_field_never_cancels() {
    // A form's default button is the first submit button whose form owner it is (HTML §4.10.21.2).
    let tags = tags(&page("paste"));
    let buttons: Vec<_> = tags.iter().filter(|tag| tag.name == "button").map(|tag| tag.get("form")).collect();
    assert_eq!(buttons, [Some("cancel"), None]);
    let field = tags.iter().find(|tag| tag.get("id") == Some("key")).unwrap();
    assert_eq!(
        (field.get("type"), field.get("autocomplete"), field.get("value")),
        (Some("password"), Some("off"), None)
    );
}

#[test]
fn words_of_others_are_quoted_and_cut() {
    let text = text(&page("failed-refused"));
    assert!(
        text.contains("What Linear said “The workspace administrator has not approved this application.”"),
        "{text}"
    );

    let mut long = samples::consent(&str::to_owned, Stage::Production);
    long.request.whose = Whose::NamedByApp(Label::words(&"x".repeat(5000)));
    let html = html(Consent::render(&long));
    assert!(html.contains(&format!("“<bdi>{}…</bdi>”", "x".repeat(200))));
}

#[test]
fn the_access_token_stands_on_one_page_and_in_no_log() {
    for (name, page) in samples::pages(&str::to_owned) {
        assert!(!format!("{page:?}").contains("crn_"), "{name}");
        assert_eq!(html(page).matches("crn_").count(), usize::from(name == "setup-done"), "{name}");
    }
}

#[test]
fn a_code_for_another_page_is_shown_with_the_way_there_and_the_page_looks_again() {
    for (name, said, to) in [
        ("elsewhere", "The page of Linear asks for it.", "https://linear.app/device?state=1"),
        ("elsewhere-whole", "The page of Linear has it filled in.", "https://linear.app/device?state=1"),
    ] {
        let html = page(name);
        let text = text(&html);
        for said in ["Enter this code at Linear", "WDJB-MJHT", said, "Give the code to nobody"] {
            assert!(text.contains(said), "{name}: {said}: {text}");
        }
        let tags = tags(&html);
        let link = tags.iter().find(|tag| tag.name == "a").unwrap();
        assert_eq!((link.get("href"), link.get("rel")), (Some(to), Some("noreferrer")));
        let refresh = tags.iter().find(|tag| tag.get("http-equiv") == Some("refresh")).unwrap();
        assert!(refresh.get("content").unwrap().starts_with("5;url=/authorize/car_"), "{name}");
    }
}

#[test]
fn a_service_without_a_picture_has_its_initials_in_its_colour() {
    let mut page = samples::consent(&str::to_owned, Stage::Production);
    let tile =
        r##"<rect width="44" height="44" fill="#5E6AD2"/><text x="22" y="22" fill="#ffffff">L</text>"##;
    assert!(html(Consent::render(&page)).contains(tile));
    page.request.picture = Some("/pictures/scl_1/abc".to_owned());
    assert!(!html(Consent::render(&page)).contains("<rect"), "the team's own picture comes first");
    page.request.picture = None;
    page.request.monogram = None;
    assert!(!html(Consent::render(&page)).contains("<rect"));
}

#[test]
fn who_signs_in_is_told_to_which_app_and_what_it_learns() {
    let mut page = samples::consent(&str::to_owned, Stage::Production);
    page.request.whose = Whose::SigningIn;
    let text = text(&html(Consent::render(&page)));
    for said in ["You sign in to Support Agent with Linear", "your name, email address and picture"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("calls you"), "nobody has a name for the person yet: {text}");
}
