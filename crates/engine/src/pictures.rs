//! Pictures for connectors: taken from members, kept by SHA-1, shown on pages.
//!
//! Only what is a PNG or a JPEG from beginning to end is taken, whatever it is called. It is sent as exactly that type and is never
//! looked at here. A picture that no connector shows goes after a day.

mod whole;

use std::time::Duration;

use aws_lc_rs::digest;
use carnet_model::audit::{Action, AuditEvent};
use carnet_model::caller::Caller;
use carnet_model::rights::Right;
use carnet_model::{Code, Fault, Id, Time, kind};
use carnet_store::pictures::{self, Picture};
use carnet_store::{Write, connectors};
use serde_json::Value;

use crate::broker::Broker;
use crate::consent::hex;
use crate::faults;
use whole::media_type;

/// Whose pages show a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownOn {
    /// Ours alone.
    OurPages,
    /// Those of a provider too, which was told its address: of a client that Carnet registered or describes itself
    /// (`logo_uri`, RFC 7591 §2).
    ProvidersPages,
}

impl Broker {
    /// Keeps a picture under its SHA-1, which is answered. `digest` is what the client says that is, in hexadecimal.
    pub async fn keep_picture(
        &self,
        caller: &Caller,
        bytes: &[u8],
        digest: Option<&str>,
        request: Id<kind::Request>,
    ) -> Result<String, Fault> {
        let member = self.may(caller, Right::ConnectorUpdate)?;
        let inner = &self.inner;
        let sha1 = sha1(bytes);
        if digest.is_some_and(|said| !said.trim().eq_ignore_ascii_case(&sha1)) {
            let why = "The body is not the one whose SHA-1 x-now-digest (or x-vercel-digest) names.";
            return Err(Fault::new(Code::InvalidRequest, why).with("field", "x-now-digest"));
        }
        let media_type = media_type(bytes).ok_or_else(|| {
            Fault::new(
                Code::InvalidRequest,
                "The body is neither a PNG nor a JPEG picture, or not the whole of one.",
            )
        })?;
        let now = inner.env.now();
        let waiting = pictures::unused(&inner.db, member.team).await.map_err(faults::store)?;
        if waiting >= MOST_UNUSED {
            return Err(Fault::new(
                Code::Conflict,
                format!(
                    "{MOST_UNUSED} pictures of this team are shown by no connector. They go after a day."
                ),
            )
            .next("carnet list --all-projects", "to see the connectors, each of which can show one"));
        }
        let picture = Picture { media_type: media_type.to_owned(), bytes: bytes.to_vec() };
        let event = AuditEvent::of(caller, now, Action::PicturePut, Some(request))
            .with("sha1", sha1.clone())
            .with("bytes", bytes.len());
        let write = Write::new()
            .step(pictures::drop_unused(member.team, Time::from_millis(now.millis() - UNUSED_LIFE)))
            .step(pictures::put(member.team, &sha1, &picture, now))
            .event(&inner.env, &event);
        inner.db.write(write).await.map_err(faults::store)?;
        Ok(sha1)
    }

    /// The picture that a connector shows, and where. Pages for people have it, so there is no caller; it is found only
    /// by the connector's identifier and its own digest together.
    pub async fn picture(&self, connector: &str, sha1: &str) -> Result<(Picture, ShownOn), Fault> {
        let unknown = || Fault::new(Code::NotFound, "There is no such picture.");
        let Ok(id) = Id::parse(connector) else { return Err(unknown()) };
        if sha1.len() != 40 || !sha1.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let db = &self.inner.db;
        let row = connectors::by_icon(db, id, sha1).await.map_err(faults::store)?.ok_or_else(unknown)?;
        let found = pictures::find(db, row.connector.team, sha1).await.map_err(faults::store)?;
        let shown = match row.connector.data.get(REGISTRATION) {
            Some(Value::Object(_)) => ShownOn::ProvidersPages,
            _ => ShownOn::OurPages,
        };
        found.map(|picture| (picture, shown)).ok_or_else(unknown)
    }
}

/// A name that the official clients chose. Whoever makes two pictures of one name replaces nobody's: the first stays.
fn sha1(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref())
}

/// The member of a connector's data that says that Carnet registered its client, or describes it in a document.
const REGISTRATION: &str = "clientRegistration";
/// Pictures that nobody shows yet are few: an upload is followed by the connector.
const MOST_UNUSED: i64 = 50;
const UNUSED_LIFE: i64 = DAY.as_secs().cast_signed() * 1000;
const DAY: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_called_by_its_sha1() {
        assert_eq!(sha1(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }
}
