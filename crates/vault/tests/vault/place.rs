//! Places to seal for, owned, and dice that fall as told.

use std::sync::Arc;
use std::sync::Mutex;

use carnet_model::{Env, Environment, Id, Random, SystemClock};
use carnet_vault::Aad;
use proptest::prelude::*;

/// An [`Aad`] that owns its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) deployment: [u8; 16],
    pub(crate) team: Option<[u8; 16]>,
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) row: Vec<u8>,
    pub(crate) project: Option<[u8; 16]>,
    pub(crate) environment: Option<Environment>,
    pub(crate) connector: Option<[u8; 16]>,
    pub(crate) subject: Option<String>,
    pub(crate) version: u64,
}

impl Place {
    /// One with every part.
    pub(crate) fn full() -> Self {
        Self {
            deployment: [1; 16],
            team: Some([2; 16]),
            table: "grants".to_owned(),
            column: "refresh_token".to_owned(),
            row: vec![3; 16],
            project: Some([4; 16]),
            environment: Some(Environment::Production),
            connector: Some([5; 16]),
            subject: Some("user:alice".to_owned()),
            version: 7,
        }
    }

    pub(crate) fn aad(&self) -> Aad<'_> {
        Aad {
            deployment: Id::from_bytes(self.deployment),
            team: self.team.map(Id::from_bytes),
            table: &self.table,
            column: &self.column,
            row: &self.row,
            project: self.project.map(Id::from_bytes),
            environment: self.environment,
            connector: self.connector.map(Id::from_bytes),
            subject: self.subject.as_deref(),
            version: self.version,
        }
    }
}

/// Any place.
pub(crate) fn any_place() -> impl Strategy<Value = Place> {
    let environment = prop_oneof![
        Just(Environment::Production),
        Just(Environment::Preview),
        Just(Environment::Development),
        any::<[u8; 16]>().prop_map(|id| Environment::Custom(Id::from_bytes(id))),
    ];
    let names = ("[a-z_]{0,20}", "[a-z_]{0,20}", any::<Vec<u8>>());
    let owners = (any::<[u8; 16]>(), any::<Option<[u8; 16]>>(), any::<Option<[u8; 16]>>());
    let rest = (proptest::option::of(environment), any::<Option<[u8; 16]>>(), any::<Option<String>>());
    (names, owners, rest, any::<u64>()).prop_map(
        |((table, column, row), (deployment, team, project), (environment, connector, subject), version)| {
            Place { deployment, team, table, column, row, project, environment, connector, subject, version }
        },
    )
}

/// An [`Env`] whose random source gives these bytes, over and over.
pub(crate) fn dice(bytes: Vec<u8>) -> Env {
    struct Told(Mutex<std::iter::Cycle<std::vec::IntoIter<u8>>>);
    impl Random for Told {
        fn fill(&self, out: &mut [u8]) {
            let mut told = self.0.lock().unwrap();
            out.fill_with(|| told.next().unwrap());
        }
    }
    Env::new(Arc::new(SystemClock), Arc::new(Told(Mutex::new(bytes.into_iter().cycle()))))
}
