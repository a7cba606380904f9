//! One tenant at the provider at which the application is installed.

/// An installation, in the provider's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// The provider's own name for the installation; unique in the connector.
    pub external_id: Option<String>,
    /// The provider's account.
    pub tenant_id: Option<String>,
    /// What the account is called.
    pub name: Option<String>,
}
