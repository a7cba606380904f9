//! The code by which a client names a create, so that trying it again makes no second connector.
//!
//! The official CLI draws a verifier, sends `request_code` = base64url(SHA-256(verifier)) with the create, repeats the
//! create up to three times when it hears nothing, and asks with the verifier what came of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use carnet_model::caller::Caller;
use carnet_model::{Code, ConnectorRef, Fault, Id, Time, Uid, kind};
use carnet_store::{Step, connectors, creations};

use super::{ConnectorView, view};
use crate::broker::Broker;
use crate::cache::sha256;
use crate::faults;

impl Broker {
    /// The connector that was made under this code, if one was. It must be the one that is asked for now.
    pub(super) async fn made_before(
        &self,
        team: Id<kind::Team>,
        code: Option<&str>,
        uid: &Uid,
    ) -> Result<Option<ConnectorView>, Fault> {
        let Some(code) = code else { return Ok(None) };
        if code.is_empty() || code.len() > LONGEST || !code.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "request_code has 1 to 128 printable ASCII characters.";
            return Err(Fault::new(Code::InvalidRequest, why).with("field", "request_code"));
        }
        let db = &self.inner.db;
        let Some(id) = creations::find(db, team, code).await.map_err(faults::store)? else { return Ok(None) };
        let found = connectors::find(db, team, &ConnectorRef::Id(id)).await.map_err(faults::store)?;
        match found {
            Some(row) if row.connector.uid == *uid => Ok(Some(view(row.connector))),
            Some(row) => Err(Fault::new(
                Code::Conflict,
                format!(
                    "This request_code made {}; another connector needs another code.",
                    row.connector.uid
                ),
            )
            .with("field", "request_code")),
            None => Ok(None),
        }
    }

    /// The connector that was made under the code of this verifier.
    pub(crate) async fn made_by_verifier(
        &self,
        caller: &Caller,
        verifier: &str,
    ) -> Result<Option<Id<kind::Connector>>, Fault> {
        let code = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
        creations::find(&self.inner.db, caller.team(), &code).await.map_err(faults::store)
    }
}

/// Nobody tries a create again after so long.
pub(super) fn forget_old(team: Id<kind::Team>, now: Time) -> Step {
    creations::forget(team, Time::from_millis(now.millis() - KEPT))
}

const LONGEST: usize = 128;
/// A week, in milliseconds.
const KEPT: i64 = 7 * 24 * 3_600_000;
