//! What is asked for beside what was given before, so that who is asked for more keeps what there is.
//!
//! A provider gives what it is asked for, and the new grant takes the place of the old one with its refresh token. So the
//! person is asked for what a grant that still works has too, and the page tells the one from the other. A scope that the
//! connector does not have any more is not asked for again, unless a caller named it; nor is what the person left out.

use std::sync::Arc;

use carnet_model::Scopes;
use carnet_model::grant::GrantState;
use carnet_store::consents::Consent;
use carnet_store::grants::{self, GrantRow};

use super::ending::ConsentEnd;
use super::page::{place, wanted_scopes};
use super::request::Remembered;
use crate::broker::Broker;
use crate::directory::Entry;
use crate::issue::{ambient, is_another_name, spent};
use crate::sealing::Facts;

impl Broker {
    /// The request as the person is asked it, and which scopes the person has given before.
    pub(super) async fn beside_held(
        &self,
        consent: &Consent,
        entry: &Arc<Entry>,
        remembered: &Remembered,
    ) -> Result<(Remembered, Scopes), ConsentEnd> {
        // Where no scopes are named the provider gives its own, and would not if some were.
        let Some(asked) = wanted_scopes(remembered, entry).filter(|_| !remembered.installs) else {
            return Ok((remembered.clone(), Scopes::empty()));
        };
        let held = match grants::at(&self.inner.db, &place(consent)).await? {
            Some(row) if row.grant.state == GrantState::Active => self.held(entry, &row),
            _ => Scopes::empty(),
        };
        let all = asked.union(&held);
        if all == asked {
            return Ok((remembered.clone(), held));
        }
        let names = Some(all.iter().map(str::to_owned).collect());
        let more = Remembered { scopes: names, ..remembered.clone() };
        // What a provider cannot be asked for at once is asked for one after the other, as it was before.
        let is_sound = all.len() <= Scopes::MAX && entry.driver().asks_together(&all);
        if is_sound && self.way(entry, &more).is_ok() {
            Ok((more, held))
        } else {
            Ok((remembered.clone(), Scopes::empty()))
        }
    }

    fn held(&self, entry: &Entry, row: &GrantRow) -> Scopes {
        // What does not open, and what has ended, is replaced.
        let secret = self.inner.open_grant(&row.grant, &row.held).ok();
        let living = secret.filter(|secret| !spent(row, secret, self.inner.env.now()));
        let abilities = entry.abilities.user.as_ref();
        let (Some(secret), Some(abilities)) = (living, abilities) else { return Scopes::empty() };
        let held = kept(row.grant.scopes.as_ref(), &secret.facts, &abilities.scopes);
        if abilities.bounded && !abilities.scopes.is_empty() { held.both(&abilities.scopes) } else { held }
    }
}

/// What of a grant is asked for again, by the names by which it was asked for. `own` is what the connector asks for now.
fn kept(granted: Option<&Scopes>, facts: &Facts, own: &Scopes) -> Scopes {
    // Nothing is known of what was asked for an imported grant, and nothing in particular where none were named.
    let Some(asked) = &facts.asked else { return granted.cloned().unwrap_or_default() };
    let is_given = |name: &&str| match granted {
        None => true,
        Some(granted) => granted.contains(name) || granted.iter().any(|given| is_another_name(given, name)),
    };
    // These shape the ceremony, and need not come back by name.
    let shaping = asked.both(&ambient());
    let given = Scopes::parse(asked.iter().filter(is_given)).unwrap_or_default().union(&shaping);
    given.both(&own.union(&facts.named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_grant_has_is_asked_for_again_as_far_as_it_is_still_meant() {
        let scopes = |text: &str| Scopes::parse_joined(text).unwrap();
        for (granted, asked, named, own, want) in [
            // The server says nothing, or all of it.
            (None, Some("a b"), "", "a b", "a b"),
            (Some("a b"), Some("a b"), "", "a b", "a b"),
            // Left out by the person; given beyond what was asked.
            (Some("a"), Some("a b"), "", "a b", "a"),
            (Some("a admin"), Some("a"), "", "a admin", "a"),
            // Another name for the same, and none at all.
            (Some("https://api.example/a"), Some("a"), "", "a", "a"),
            (Some("a"), Some("a offline_access"), "", "a offline_access", "a offline_access"),
            // The connector has it no more; a caller had named it.
            (Some("a b"), Some("a b"), "", "a", "a"),
            (Some("a b"), Some("a b"), "b", "a", "a b"),
            (Some("a b"), Some("a b"), "b c", "", "b"),
            // Imported, or never asked for in particular.
            (Some("a b"), None, "", "a", "a b"),
            (None, None, "", "a", ""),
        ] {
            let facts = Facts { asked: asked.map(scopes), named: scopes(named), ..Facts::default() };
            let got = kept(granted.map(scopes).as_ref(), &facts, &scopes(own));
            assert_eq!(
                got,
                scopes(want),
                "granted {granted:?}, asked {asked:?}, named {named:?}, own {own:?}"
            );
        }
    }
}
