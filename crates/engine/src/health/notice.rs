//! What a project is told, and of what.
//!
//! `POST` of `{"type","connector":{"id","uid"},"environment","at","cause","message","grant"?,"installation"?,"endsAt"?,
//! "mend"?:{"url"}}`. No secret is in it but the link in `mend`, which opens a page where a person decides; it gives
//! nothing by itself. Until it was taken it is kept sealed beside the rest.
//!
//! Who is told: of a user's grant, the project it was given to; of what an installation left, of the installation itself
//! and of a client that the provider refuses, every project that may ask the connector. A person's own grants, at a
//! command line, are nobody's but the person's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::grant::{Cause, Grant};
use carnet_model::{Environment, Id, SecretString, Subject, Time, kind};
use carnet_providers::Standing;
use carnet_store::health::{self, Notice};
use carnet_store::installations::Installation;
use carnet_store::{Step, Write};
use serde_json::{Map, Value, json};
use url::form_urlencoded::byte_serialize;

use crate::broker::Broker;
use crate::cache::sha256;
use crate::directory::Entry;

/// Why a grant that works will not for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What it is renewed with ends, or its only token does.
    Expiry(Time),
    /// Its provider forgets it then for not being used, and renewing it keeps failing.
    Idle(Time),
}

/// A notice before it is known to which project it goes.
struct Told {
    r#type: &'static str,
    target: [u8; 16],
    what: &'static str,
    since: i64,
    cause: &'static str,
    message: String,
    about: Map<String, Value>,
    mend: Mend,
}

/// How it is mended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mend {
    /// The user consents again.
    Consent,
    /// An administrator at the provider installs again.
    Install,
    /// Somebody changes the connector, or the client at the provider.
    ByHand,
}

impl Broker {
    /// What must be written together with the end of a grant.
    pub(crate) fn tell_broken(&self, entry: &Entry, grant: &Grant, cause: Cause, now: Time) -> Vec<Step> {
        let told = Told {
            r#type: "grant.broken",
            target: *grant.id.bytes(),
            what: "broken",
            since: now.millis(),
            cause: cause.as_str(),
            message: format!("Reauthorization required: {}.", cause.sentence()),
            about: about(grant),
            mend: mend_of(grant),
        };
        self.tell_of_grant(entry, grant, &told, now)
    }

    /// That a grant which works will not for long.
    pub(crate) fn tell_ending(&self, entry: &Entry, grant: &Grant, ending: Ending, now: Time) -> Vec<Step> {
        let (what, since, cause, end, message) = match ending {
            Ending::Expiry(end) => ("ending", end.millis(), "expires", end, "the provider has set it an end"),
            Ending::Idle(end) => (
                "idle",
                grant.updated_at.millis(),
                "idle",
                end,
                "the provider forgets it for not being used, and it could not be renewed so far",
            ),
        };
        let mut about = about(grant);
        about.insert("endsAt".to_owned(), end.millis().into());
        let told = Told {
            r#type: "grant.ending",
            target: *grant.id.bytes(),
            what,
            since,
            cause,
            message: format!("Reauthorization will be required: {message}."),
            about,
            mend: mend_of(grant),
        };
        self.tell_of_grant(entry, grant, &told, now)
    }

    /// That an installation is not in use any more, if that is what its provider says.
    pub(crate) fn tell_installation(
        &self,
        entry: &Entry,
        installation: &Installation,
        standing: Standing,
        now: Time,
    ) -> Vec<Step> {
        let (cause, message, mend) = match standing {
            Standing::Suspended => (
                "suspended",
                "The installation was suspended at the provider; an administrator there can end that.",
                Mend::ByHand,
            ),
            Standing::Gone => {
                ("uninstalled", "The application was uninstalled at the provider.", Mend::Install)
            }
            Standing::Holds | Standing::Unsaid => return Vec::new(),
        };
        let mut shown = Map::from_iter([("id".to_owned(), installation.id.to_string().into())]);
        for (name, text) in [("externalId", &installation.external_id), ("name", &installation.name)] {
            if let Some(text) = text {
                shown.insert(name.to_owned(), text.clone().into());
            }
        }
        let told = Told {
            r#type: "installation.broken",
            target: *installation.id.bytes(),
            what: cause,
            // Renewed when it is installed again: what breaks after that is another break.
            since: installation.updated_at.millis(),
            cause,
            message: message.to_owned(),
            about: Map::from_iter([("installation".to_owned(), Value::Object(shown))]),
            mend,
        };
        self.tell_linked(entry, &told, now)
    }

    /// That the provider refuses the connector's own credentials, and with them every refresh.
    pub(crate) fn tell_rejected(&self, entry: &Entry, now: Time) -> Vec<Step> {
        let connector = &entry.row.connector;
        let told = Told {
            r#type: "connector.rejected",
            target: *connector.id.bytes(),
            what: "rejected",
            since: connector.version,
            cause: "client_rejected",
            message: "The provider refuses the connector's own credentials. No grant is lost, and none can be renewed."
                .to_owned(),
            about: Map::new(),
            mend: Mend::ByHand,
        };
        self.tell_linked(entry, &told, now)
    }

    /// That the secret ends which the provider gave the connector's client, and no other is had.
    pub(crate) fn tell_secret_ending(&self, entry: &Entry, end: Time, now: Time) -> Vec<Step> {
        let connector = &entry.row.connector;
        let told = Told {
            r#type: "connector.ending",
            target: *connector.id.bytes(),
            what: "ending",
            since: end.millis(),
            cause: "secret_expires",
            message: format!(
                "The client secret that the provider registered has an end, and no other could be had so far. No grant \
                 is lost, and none can be renewed after that. To try it now, and to see why: carnet check {} --accept",
                connector.uid
            ),
            about: Map::from_iter([("endsAt".to_owned(), end.millis().into())]),
            mend: Mend::ByHand,
        };
        self.tell_linked(entry, &told, now)
    }

    /// Writes down what is told of something that is not being written anyway, in a task of its own.
    pub(crate) fn tell_later(&self, steps: Vec<Step>) {
        if steps.is_empty() {
            return;
        }
        let broker = self.clone();
        self.track(async move {
            if let Err(error) = broker.inner.db.write(Write::new().steps(steps)).await {
                tracing::warn!(%error, "what broke at a provider could not be noted for a webhook");
            }
        });
    }

    fn tell_of_grant(&self, entry: &Entry, grant: &Grant, told: &Told, now: Time) -> Vec<Step> {
        match grant.place.project {
            Some(project) => vec![self.note(entry, told, project, grant.place.environment, now)],
            None if told.mend == Mend::Install => self.tell_linked(entry, told, now),
            None => Vec::new(),
        }
    }

    fn tell_linked(&self, entry: &Entry, told: &Told, now: Time) -> Vec<Step> {
        let mut links: Vec<_> = entry.links.iter().collect();
        links.sort_unstable_by_key(|(project, _)| **project);
        let first = |environments: &[Environment]| environments.first().copied();
        links
            .into_iter()
            .filter_map(|(project, environments)| {
                Some(self.note(entry, told, *project, first(environments)?, now))
            })
            .collect()
    }

    fn note(
        &self,
        entry: &Entry,
        told: &Told,
        project: Id<kind::Project>,
        environment: Environment,
        now: Time,
    ) -> Step {
        let connector = &entry.row.connector;
        let base = self.inner.settings.base();
        let uid: String = byte_serialize(connector.uid.as_str().as_bytes()).collect();
        // A link without the application's part in it would end at a page that nobody can go on from.
        let by_link = !entry.consent_rules.require_completion;
        let (link, digest) = if told.mend == Mend::Consent && by_link {
            let secret = URL_SAFE_NO_PAD.encode(self.inner.env.bytes::<37>());
            let digest = sha256(secret.as_bytes());
            (Some(SecretString::new(format!("{base}/mend/{secret}"))), Some(digest))
        } else {
            (None, None)
        };
        let mut body = json!({
            "type": told.r#type,
            "connector": {"id": connector.id, "uid": connector.uid},
            "environment": environment,
            "at": now,
            "cause": told.cause,
            "message": told.message,
        });
        if let Some(body) = body.as_object_mut() {
            body.extend(told.about.clone());
            // Where an administrator begins: no secret, and the same for everybody.
            if told.mend == Mend::Install {
                let url = format!("{base}/api/v1/connect/install/{uid}?teamId={}", connector.team);
                body.insert("mend".to_owned(), json!({"url": url}));
            }
        }
        let mut notice = Notice {
            id: self.inner.env.id(),
            team: connector.team,
            project,
            environment,
            connector: connector.id,
            target: told.target,
            what: told.what.to_owned(),
            since: told.since,
            mend_digest: digest,
            mend: None,
            url: String::new(),
            body: body.to_string(),
            attempts: 0,
            created_at: now,
        };
        if let Some(link) = link {
            match self.inner.seal_mend(&notice, &link) {
                Ok(sealed) => notice.mend = Some(sealed),
                // Told all the same, by the application's own way to consent.
                Err(error) => {
                    tracing::warn!(%error, "a link that mends could not be sealed, and is left out");
                    notice.mend_digest = None;
                }
            }
        }
        health::tell(&notice)
    }
}

fn about(grant: &Grant) -> Map<String, Value> {
    let mut shown = json!({"id": grant.id, "subject": Subject::wire_of_key(&grant.place.subject)});
    if let (Some(installation), Some(shown)) = (grant.place.installation, shown.as_object_mut()) {
        shown.insert("installationId".to_owned(), installation.to_string().into());
    }
    Map::from_iter([("grant".to_owned(), shown)])
}

/// A user's grant is mended by the user, what an installation left by another installation.
fn mend_of(grant: &Grant) -> Mend {
    if grant.place.subject == "app" { Mend::Install } else { Mend::Consent }
}
