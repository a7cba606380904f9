//! The place a secret is sealed for.

use carnet_model::{Environment, Id, kind};

/// Everything that decides where a sealed value belongs and who may receive it. Bound into the envelope: change one
/// part and it no longer opens. There is no default, so that a table cannot forget a part by accident.
#[derive(Clone, Copy, Debug)]
pub struct Aad<'a> {
    /// The deployment.
    pub deployment: Id<kind::Deployment>,
    /// The team; none for what belongs to the deployment itself.
    pub team: Option<Id<kind::Team>>,
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The key of the row.
    pub row: &'a [u8],
    /// The project, if the row names one.
    pub project: Option<Id<kind::Project>>,
    /// The environment, if the row names one.
    pub environment: Option<Environment>,
    /// The connector, if the row names one.
    pub connector: Option<Id<kind::Connector>>,
    /// The subject, if the row names one.
    pub subject: Option<&'a str>,
    /// The version of the row, so that an older value does not open in a newer row.
    pub version: u64,
}

impl Aad<'_> {
    /// The additional data of the cipher: `header`, then every part behind its length. `None` if a part is too long
    /// for a length of 32 bits.
    pub(super) fn bind(&self, header: &[u8]) -> Option<Vec<u8>> {
        let custom;
        let environment: Option<&str> = match self.environment {
            None => None,
            Some(Environment::Production) => Some("production"),
            Some(Environment::Preview) => Some("preview"),
            Some(Environment::Development) => Some("development"),
            Some(Environment::Custom(id)) => {
                custom = id.to_string();
                Some(&custom)
            }
        };
        let parts = [
            Some(LABEL),
            Some(self.deployment.bytes().as_slice()),
            self.team.as_ref().map(|id| id.bytes().as_slice()),
            Some(self.table.as_bytes()),
            Some(self.column.as_bytes()),
            Some(self.row),
            self.project.as_ref().map(|id| id.bytes().as_slice()),
            environment.map(str::as_bytes),
            self.connector.as_ref().map(|id| id.bytes().as_slice()),
            self.subject.map(str::as_bytes),
        ];
        let len: usize = parts.iter().map(|part| 4 + part.map_or(0, <[u8]>::len)).sum();
        let mut out = Vec::with_capacity(header.len() + len + 8);
        out.extend_from_slice(header);
        for part in parts {
            let Some(part) = part else {
                out.extend_from_slice(&ABSENT.to_be_bytes());
                continue;
            };
            let len = u32::try_from(part.len()).ok().filter(|len| *len != ABSENT)?;
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(part);
        }
        out.extend_from_slice(&self.version.to_be_bytes());
        Some(out)
    }
}

const LABEL: &[u8] = b"cb-aad/1";
/// Stands for the length of a part that is not there, which is not the same as an empty part.
const ABSENT: u32 = u32::MAX;
