//! Trusting the same tokens twice.
//!
//! Two entries of a team that recognise the same token leave nobody to say which of them is meant. One that would stand
//! beside such another is refused, by name, with what puts it in its place.

use carnet_identity::TrustedIssuer;
use carnet_model::{Code, Fault};
use carnet_store::issuers;

use super::trusted_issuer;
use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// Refuses an entry whose tokens another entry of the team recognises already.
    pub(super) async fn is_no_twin(&self, issuer: &TrustedIssuer) -> Result<(), Fault> {
        let rows = issuers::by_issuer(&self.inner.db, &issuer.issuer).await.map_err(faults::store)?;
        for row in rows.iter().filter(|row| row.team == issuer.team) {
            // One that cannot be read recognises nobody.
            let Ok(known) = trusted_issuer(row) else { continue };
            let Some((ours, theirs)) = issuer.overlaps(&known) else { continue };
            let id = row.id;
            return Err(Fault::new(
                Code::Conflict,
                format!(
                    "The trusted issuer {id} recognises the tokens of rule {ours} already, by its rule {theirs}. To \
                     change for what they stand or who may be asked for, put this one in its place."
                ),
            )
            .with("trustedIssuer", id.to_string())
            .next(format!("carnet projects trust show {id}"), "to see its rules")
            .next(format!("carnet projects trust remove {id}"), "and then the same command again, to replace it"));
        }
        Ok(())
    }
}
