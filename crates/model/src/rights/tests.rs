use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Who may what, written down once more from the other side: by role, and every right once for each. Where this and the
/// table in the code differ, one of them is wrong.
const BY_ROLE: &str = "
viewer may
    team.read member.read invitation.accept
    trigger.read connector.read grant.read project.read trusted-issuer.read audit.read usage.read
    token.revoke-own
    access-token.read access-token.create access-token.revoke
viewer may not
    team.update team.create member.invite member.update member.remove member.reset-passphrase
    account.read account.disable managed-app.read managed-app.update
    connector.create connector.update connector.delete connector.check connector-key.rotate
    consent-rules.update trigger.update trigger.replay link.update installation.update grant.import provisioning.update
    token.app token.own token.revoke-all
    project.create project.delete environment.update return-origins.update health-webhook.update project-urls.update identity.issue
    trusted-issuer.update
    access-token.read-all access-token.revoke-all
    key.read key.rotate key.verify secrets.export budget.update
member may
    team.read member.read invitation.accept
    connector.read connector.check grant.read trigger.read trigger.update trigger.replay link.update
    token.app token.own token.revoke-own token.revoke-all
    project.read project.create project.delete environment.update return-origins.update health-webhook.update project-urls.update identity.issue
    trusted-issuer.read audit.read usage.read
    access-token.read access-token.create access-token.revoke
member may unless strict
    connector.create connector.update connector.delete connector-key.rotate
    consent-rules.update installation.update grant.import provisioning.update
member may not
    team.update team.create member.invite member.update member.remove member.reset-passphrase
    account.read account.disable managed-app.read managed-app.update
    trusted-issuer.update
    access-token.read-all access-token.revoke-all
    key.read key.rotate key.verify secrets.export budget.update
connector-manager may
    team.read member.read invitation.accept
    connector.read connector.check grant.read trigger.read trigger.update trigger.replay link.update
    connector.create connector.update connector.delete connector-key.rotate
    consent-rules.update installation.update grant.import provisioning.update
    token.app token.own token.revoke-own token.revoke-all
    project.read project.create project.delete environment.update return-origins.update health-webhook.update project-urls.update identity.issue
    trusted-issuer.read audit.read usage.read
    access-token.read access-token.create access-token.revoke
connector-manager may not
    team.update team.create member.invite member.update member.remove member.reset-passphrase
    account.read account.disable managed-app.read managed-app.update
    trusted-issuer.update
    access-token.read-all access-token.revoke-all
    key.read key.rotate key.verify secrets.export budget.update
owner may
    team.read team.update team.create
    member.read member.invite member.update member.remove member.reset-passphrase
    invitation.accept account.read account.disable managed-app.read managed-app.update
    connector.read connector.create connector.update connector.delete connector.check connector-key.rotate
    consent-rules.update trigger.read trigger.update trigger.replay link.update installation.update grant.read grant.import provisioning.update
    token.app token.own token.revoke-own token.revoke-all
    project.read project.create project.delete environment.update return-origins.update health-webhook.update project-urls.update identity.issue
    trusted-issuer.read trusted-issuer.update
    access-token.read access-token.create access-token.revoke access-token.read-all access-token.revoke-all
    audit.read key.read key.rotate key.verify secrets.export usage.read budget.update
";

/// What does no more than look.
const LOOKS: &str = "trigger.read team.read member.read account.read managed-app.read connector.read grant.read project.read trusted-issuer.read \
    access-token.read access-token.read-all audit.read usage.read key.read";

/// What is about one project.
const OF_A_PROJECT: &str = "team.read connector.read token.app token.own token.revoke-own project.read environment.update \
    return-origins.update health-webhook.update project-urls.update identity.issue access-token.read access-token.create access-token.revoke";

/// What is not to be done from a session that somebody left open.
const FRESH: &str = "team.update team.create member.invite member.update member.remove \
    member.reset-passphrase invitation.accept account.disable managed-app.update connector.delete connector-key.rotate project.delete trusted-issuer.update access-token.create \
    key.rotate secrets.export connector.update trigger.update health-webhook.update project-urls.update budget.update";

/// What no access token carries by accident, and no command line that somebody signed in long ago.
const DANGEROUS: &str = "team.update team.create member.invite member.update member.remove \
    member.reset-passphrase invitation.accept account.disable managed-app.update connector-key.rotate trusted-issuer.update access-token.create \
    key.rotate secrets.export";

const ROLES: [Role; 4] = [Role::Owner, Role::Member, Role::ConnectorManager, Role::Viewer];

fn rights(names: &str) -> BTreeSet<Right> {
    names.split_whitespace().map(|name| Right::parse(name).unwrap_or_else(|| panic!("{name}"))).collect()
}

fn by_role() -> BTreeMap<(&'static str, Right), Held> {
    let mut found = BTreeMap::new();
    let mut under = ("", Held::No);
    for line in BY_ROLE.lines().filter(|line| !line.is_empty()) {
        match line.split_once(" may") {
            Some((role, rest)) => {
                under = (
                    role,
                    match rest {
                        "" => Held::Yes,
                        " not" => Held::No,
                        " unless strict" => Held::Unstrict,
                        other => panic!("{other}"),
                    },
                );
            }
            None => {
                for right in rights(line) {
                    assert!(
                        found.insert((under.0, right), under.1).is_none(),
                        "{right:?} twice for {}",
                        under.0
                    );
                }
            }
        }
    }
    found
}

fn member(role: Role, strict: bool, access: Access) -> Member {
    Member {
        team: Id::from_bytes([1; 16]),
        user: Id::from_bytes([3; 16]),
        role,
        strict,
        access,
        login: crate::caller::Login::AccessToken(Id::from_bytes([4; 16])),
    }
}

#[test]
fn the_table_says_what_is_written_down_by_role() {
    let expected = by_role();
    assert_eq!(expected.len(), ROLES.len() * Right::ALL.len(), "every right once for every role");
    for ((role, right), held) in expected {
        let role = Role::parse(role).unwrap();
        assert_eq!(right.of(role), held, "{} of {}", right.as_str(), role.as_str());
        for strict in [false, true] {
            let allowed = match held {
                Held::Yes => true,
                Held::No => false,
                Held::Unstrict => !strict,
            };
            let told = decide(&member(role, strict, Access::FULL), right);
            assert_eq!(told.is_ok(), allowed, "{} of {}, strict: {strict}", right.as_str(), role.as_str());
        }
    }
}

#[test]
fn what_looks_what_is_of_a_project_and_what_needs_a_fresh_sign_in_is_written_down_too() {
    let all = |of: fn(Right) -> bool| {
        Right::ALL.iter().copied().filter(|right| of(*right)).collect::<BTreeSet<_>>()
    };
    assert_eq!(all(Right::looks), rights(LOOKS));
    assert_eq!(all(Right::reaches_one_project), rights(OF_A_PROJECT));
    assert_eq!(all(Right::needs_fresh_sign_in), rights(FRESH));
    assert_eq!(all(Right::is_dangerous), rights(DANGEROUS));
}

#[test]
fn no_access_token_carries_more_than_it_says_or_its_person_has() {
    let project = Some(Id::from_bytes([2; 16]));
    let only = |names: &str| Breadth::Only(rights(names));
    for (access, carried) in [
        (Access { breadth: Breadth::Read, project: None }, LOOKS),
        (Access { breadth: Breadth::Full, project }, OF_A_PROJECT),
        (
            Access { breadth: Breadth::Read, project },
            "team.read connector.read project.read access-token.read",
        ),
        (Access { breadth: only("audit.read key.rotate"), project: None }, "audit.read key.rotate"),
        (Access { breadth: only("audit.read project.read"), project }, "project.read"),
    ] {
        let carried = rights(carried);
        for role in ROLES {
            for right in Right::ALL.iter().copied() {
                let told = decide(&member(role, false, access.clone()), right);
                let allowed = carried.contains(&right) && right.held_by(role, false);
                assert_eq!(told.is_ok(), allowed, "{} of {} with {access:?}", right.as_str(), role.as_str());
            }
        }
    }
}

#[test]
fn what_is_dangerous_is_carried_only_by_what_was_made_for_it_and_asks_a_command_line_for_a_fresh_sign_in() {
    let dangerous = rights(DANGEROUS);
    let (id, at) = (Id::from_bytes([4; 16]), crate::time::Time::from_secs(1_000_000));
    let token = Login::AccessToken(id);
    let line = Login::CommandLine { token: id, signed_in_at: at };
    let session = Login::Session { id: Id::from_bytes([5; 16]), proved_at: at };
    for right in Right::ALL.iter().copied() {
        let of =
            |breadth| decide(&member(Role::Owner, false, Access { breadth, project: None }), right).is_ok();
        let is_dangerous = dangerous.contains(&right);
        assert_eq!((of(Breadth::Full), of(Breadth::Usual)), (true, !is_dangerous), "{}", right.as_str());
        assert!(of(Breadth::Only([right].into())), "by name: {}", right.as_str());
        assert!([&token, &line, &session].iter().all(|login| right.takes(login, true)), "{}", right.as_str());
        assert!(right.takes(&token, false), "{}", right.as_str());
        assert_eq!(right.takes(&line, false), !is_dangerous, "{}", right.as_str());
        assert_eq!(right.takes(&session, false), !right.needs_fresh_sign_in(), "{}", right.as_str());
    }
}

#[test]
fn one_access_is_within_another_only_if_it_can_do_nothing_more() {
    let (one, two) = (Some(Id::from_bytes([1; 16])), Some(Id::from_bytes([2; 16])));
    let access = |text: &str, project| Access { breadth: Breadth::parse(text).unwrap(), project };
    for (inner, outer, within) in [
        (access("full", None), access("full", None), true),
        (access("read", None), access("full", None), true),
        (access("usual", None), access("full", None), true),
        (access("read", None), access("usual", None), true),
        (access("full", None), access("usual", None), false),
        (access("usual", None), access("read", None), false),
        (access("key.rotate", None), access("usual", None), false),
        (access("connector.update", None), access("usual", None), true),
        (access("full", None), access("read", None), false),
        (access("full", one), access("full", None), true),
        (access("full", None), access("full", one), false),
        (access("read", one), access("full", one), true),
        (access("read", one), access("read", two), false),
        (access("audit.read", None), access("read", None), true),
        (access("audit.read token.app", None), access("read", None), false),
        (access("token.app", None), access("token.app audit.read", None), true),
    ] {
        assert_eq!(inner.is_within(&outer), within, "{inner:?} in {outer:?}");
    }
}

#[test]
fn names_are_distinct_and_read_back() {
    let names: BTreeSet<&str> = Right::ALL.iter().map(|right| right.as_str()).collect();
    assert_eq!(names.len(), Right::ALL.len());
    for text in ["full", "usual", "read", "audit.read", "audit.read token.app"] {
        let breadth = Breadth::parse(text).unwrap();
        assert_eq!(Breadth::parse(&breadth.to_text()), Some(breadth));
    }
    for text in ["", " ", "write", "audit.read nonsense", "audit.read  key.read", "FULL"] {
        assert_eq!(Breadth::parse(text), None, "{text:?}");
    }
    for role in ROLES {
        assert_eq!(Role::parse(role.as_str()), Some(role));
    }
}

/// `docs/people.md` has a table of all rights. It is compared, cell by cell.
#[test]
fn the_page_for_people_says_the_same() {
    let page = include_str!("../../../../docs/people.md");
    let said: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| `") && line.matches('|').count() == 8).collect();
    let cell = |held| match held {
        Held::Yes => "yes",
        Held::No => "",
        Held::Unstrict => "unless strict",
    };
    let marks = |right: Right| {
        let marks = [
            (right.looks(), "looks"),
            (right.reaches_one_project(), "project"),
            (right.needs_fresh_sign_in() && !right.is_dangerous(), "fresh"),
            (right.is_dangerous(), "dangerous"),
        ];
        marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect::<Vec<_>>().join(", ")
    };
    let expected: Vec<String> = Right::ALL
        .iter()
        .map(|right| {
            let roles = ROLES.map(|role| cell(right.of(role)));
            let cells =
                [right.what().trim_end_matches('.'), roles[0], roles[1], roles[2], roles[3], &marks(*right)];
            let cells = cells.map(|cell| if cell.is_empty() { String::new() } else { format!(" {cell}") });
            format!("| `{}` |{} |", right.as_str(), cells.join(" |"))
        })
        .collect();
    assert_eq!(said, expected, "the table should be:\n{}", expected.join("\n"));
}
