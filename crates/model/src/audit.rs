//! Audit events: one recorded decision or change each.
//!
//! The columns below, with a dense sequence number given by the store, are what a leaf of the Merkle log will be
//! computed from. `detail` may hold personal data and can be erased: the leaf holds only a salted commitment to it.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::caller::{Caller, Principal};
use crate::id::{Id, kind};
use crate::time::Time;

/// One event, before it has a place in the log.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// When it was decided.
    pub at: Time,
    /// The team it belongs to; `None` for the deployment's own.
    pub team: Option<Id<kind::Team>>,
    /// Who acted.
    pub actor: Principal,
    /// What was done, a dotted name: `token.issue`, `connector.create`.
    pub action: Action,
    /// What it was done to: an identifier.
    pub target: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The HTTP request it belongs to.
    pub request: Option<Id<kind::Request>>,
    /// Particulars: scopes, environment, subject, rule. Never a secret.
    pub detail: Map<String, Value>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Success,
    /// A rule said no.
    Denied,
    /// It was allowed and could not be done.
    Failed,
}

impl Outcome {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

macro_rules! actions {
    ($($name:ident = $text:literal,)*) => {
        /// What was done. One list, so that a reader of the log knows all that can stand there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "the dotted names say it")]
        pub enum Action { $($name,)* }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The dotted name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

actions! {
    TokenIssue = "token.issue",
    TokenRevoke = "token.revoke",
    GrantRefresh = "grant.refresh",
    GrantRefreshStart = "grant.refresh.start",
    GrantNeedsConsent = "grant.needs-consent",
    GrantBrakePull = "grant.brake.pull",
    GrantBrakeRelease = "grant.brake.release",
    GrantOrphanAdopt = "grant.orphan.adopt",
    AuthorizationStart = "authorization.start",
    AuthorizationApprove = "authorization.approve",
    AuthorizationEnter = "authorization.enter-code",
    AuthorizationPark = "authorization.park",
    AuthorizationComplete = "authorization.complete",
    AuthorizationUndo = "authorization.undo",
    CompletionDeliver = "completion.deliver",
    InstallationStart = "installation.start",
    TokensImport = "connect-import-tokens",
    RegistrationStart = "registration.start",
    RegistrationEnd = "registration.complete",
    ManagedAppCreate = "managed-app.create",
    ManagedAppUpdate = "managed-app.update",
    ManagedAppDelete = "managed-app.delete",
    ConnectorCreate = "connector.create",
    ConnectorUpdate = "connector.update",
    ConnectorEject = "connector.eject",
    ConnectorServerAccept = "connector.server.accept",
    ConnectorDelete = "connector.delete",
    ConnectorCheck = "connector.check",
    ConnectorsMoved = "connector.moved",
    ConnectorRead = "connector.read",
    ConnectorKeyCreate = "connector-key.create",
    ConnectorKeyRotate = "connector-key.rotate",
    ConsentRulesPut = "connector.consent-rules.put",
    LinkPut = "link.put",
    LinkDelete = "link.delete",
    InstallationPut = "installation.put",
    InstallationDelete = "installation.delete",
    ProjectCreate = "project.create",
    ProjectUpdate = "project.update",
    ProjectDelete = "project.delete",
    ReturnOriginsPut = "project.return-origins.put",
    ProvisioningPut = "project.provisioning.put",
    HealthWebhookPut = "project.health-webhook.put",
    HealthWebhookDelete = "project.health-webhook.delete",
    HealthDeliver = "health.deliver",
    ProjectUrlsPut = "project.urls.put",
    TriggerPut = "trigger.put",
    TriggerDestinationsPut = "trigger.destinations.put",
    TriggerReceive = "trigger.receive",
    TriggerReject = "trigger.reject",
    TriggerDeliver = "trigger.deliver",
    TriggerDisable = "trigger.disable",
    TriggerReplay = "trigger.replay",
    PicturePut = "picture.put",
    EnvironmentCreate = "environment.create",
    EnvironmentDelete = "environment.delete",
    IssuerCreate = "trusted-issuer.create",
    IssuerDelete = "trusted-issuer.delete",
    IdentityIssue = "identity-token.issue",
    AccessTokenCreate = "access-token.create",
    AccessTokenRevoke = "access-token.revoke",
    SessionStart = "session.start",
    SessionProve = "session.prove",
    SessionEnd = "session.end",
    SignInReject = "sign-in.reject",
    CommandLineAllow = "command-line.allow",
    CommandLineDeny = "command-line.deny",
    CommandLineStart = "command-line.start",
    CommandLineRenew = "command-line.renew",
    CommandLineEnd = "command-line.end",
    RedirectUrisPut = "link.redirect-uris.put",
    GatewaySignIn = "gateway.sign-in",
    GatewayRenew = "gateway.renew",
    GatewayEnd = "gateway.end",
    SignInLink = "sign-in.link",
    SignInUnlink = "sign-in.unlink",
    PasskeyAdd = "passkey.add",
    PasskeyRemove = "passkey.remove",
    PassphraseSet = "passphrase.set",
    PassphraseResetCreate = "passphrase-reset.create",
    SecretsExport = "secrets.export",
    TeamCreate = "team.create",
    TeamUpdate = "team.update",
    MemberUpdate = "member.update",
    MemberRemove = "member.remove",
    InvitationCreate = "invitation.create",
    InvitationAccept = "invitation.accept",
    InvitationWithdraw = "invitation.withdraw",
    AccountDisable = "account.disable",
    AccountEnable = "account.enable",
    UserCreate = "user.create",
    SetupLinkCreate = "setup-link.create",
    SetupComplete = "setup.complete",
    KeyCreate = "key.create",
    KeyRotate = "key.rotate",
    KeyReseal = "key.reseal",
    KeyDrop = "key.drop",
    KeysShut = "keys.shut",
    KeysOpen = "keys.open",
    DeploymentRestore = "deployment.restore",
    SigningKeyRotate = "signing-key.rotate",
    AcmeAccountCreate = "acme-account.create",
    AcmeAccountUpdate = "acme-account.update",
    CertificateIssue = "certificate.issue",
    CallerReject = "caller.reject",
    ManagementReject = "management.reject",
    LimitReach = "limit.reach",
    BudgetSet = "budget.set",
    BudgetRemove = "budget.remove",
    BudgetReach = "budget.reach",
    BudgetDeliver = "budget.deliver",
}

impl AuditEvent {
    /// A successful event of `caller`; change `outcome` for another end.
    pub fn of(caller: &Caller, at: Time, action: Action, request: Option<Id<kind::Request>>) -> Self {
        Self {
            at,
            team: Some(caller.team()),
            actor: caller.principal(),
            action,
            target: None,
            outcome: Outcome::Success,
            request,
            detail: Map::new(),
        }
    }

    /// An event of Carnet itself.
    pub fn of_system(at: Time, action: Action) -> Self {
        Self {
            at,
            team: None,
            actor: Principal::System,
            action,
            target: None,
            outcome: Outcome::Success,
            request: None,
            detail: Map::new(),
        }
    }

    /// In this team.
    #[must_use]
    pub fn in_team(mut self, team: Id<kind::Team>) -> Self {
        self.team = Some(team);
        self
    }

    /// About this thing.
    #[must_use]
    pub fn on(mut self, target: impl ToString) -> Self {
        self.target = Some(target.to_string());
        self
    }

    /// Ended so.
    #[must_use]
    pub fn ended(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// With this particular.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}
