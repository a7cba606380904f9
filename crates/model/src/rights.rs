//! What a person may do in a team: every right, and the one table that says which role has which.
//!
//! [`decide`] is the only function that looks at a role. It decides three things in order: whether the role has the
//! right in this team, whether the access token that was used carries it, and whether it reaches beyond the project
//! that the token is limited to. Every verb asks it, for tokens through [`crate::access::decide`]. A workload is nobody
//! here: what it may do is decided in `access` alone.
//!
//! A right is a promise for ever, as an error code is: access tokens name them. A new one is a line of the table, its
//! line in the tests' own table, and its row in `docs/people.md`; tests compare the three.

use std::collections::BTreeSet;

use crate::access::Denied;
use crate::caller::{Login, Member, Role};
use crate::id::{Id, kind};

/// Whether a role has a right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// Only while the team does not keep connectors to their managers (`strictConnectors`).
    Unstrict,
}

/// What using a right does: a read-only access token may look and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Looks,
    Changes,
}

/// What a right is about: an access token limited to one project has none that is about the whole team.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Project,
    Team,
}

/// What must be proved besides the role. Nobody is there to ask where a program comes with an access token, so what such
/// a token may do of this kind is decided when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignIn {
    Any,
    /// A browser's session must be fresh.
    Fresh,
    /// That, and so must be the sign-in of a command line; and of access tokens only those have it that were made for it.
    Dangerous,
}

/// A row of the table.
struct Row {
    name: &'static str,
    what: &'static str,
    owner: Held,
    member: Held,
    connector_manager: Held,
    viewer: Held,
    effect: Effect,
    reach: Reach,
    sign_in: SignIn,
}

macro_rules! rights {
    ($(
        $(#[doc = $doc:literal])+
        $right:ident = $name:literal
            [$owner:ident $member:ident $manager:ident $viewer:ident] $effect:ident $reach:ident $sign_in:ident;
    )*) => {
        /// One thing that a person may do in a team.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Right { $($(#[doc = $doc])+ $right,)* }

        impl Right {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$right),*];

            const fn row(self) -> &'static Row {
                match self {
                    $(Self::$right => &Row {
                        name: $name,
                        what: concat!($($doc),+),
                        owner: Held::$owner,
                        member: Held::$member,
                        connector_manager: Held::$manager,
                        viewer: Held::$viewer,
                        effect: Effect::$effect,
                        reach: Reach::$reach,
                        sign_in: SignIn::$sign_in,
                    },)*
                }
            }
        }
    };
}

rights! {
    //                            Owner Member ConnectorManager Viewer
    /// See the team and its settings.
    TeamRead = "team.read" [Yes Yes Yes Yes] Looks Project Any;
    /// Rename the team, change its settings.
    TeamUpdate = "team.update" [Yes No No No] Changes Team Dangerous;
    /// Make another team, as an owner of the deployment's first one.
    TeamCreate = "team.create" [Yes No No No] Changes Team Dangerous;
    /// See who is in the team, and who is invited.
    MemberRead = "member.read" [Yes Yes Yes Yes] Looks Team Any;
    /// Invite people, and withdraw invitations.
    MemberInvite = "member.invite" [Yes No No No] Changes Team Dangerous;
    /// Change the role of a member.
    MemberUpdate = "member.update" [Yes No No No] Changes Team Dangerous;
    /// Remove a member.
    MemberRemove = "member.remove" [Yes No No No] Changes Team Dangerous;
    /// Make a link by which a member of this team alone chooses another passphrase.
    MemberResetPassphrase = "member.reset-passphrase" [Yes No No No] Changes Team Dangerous;
    /// Accept an invitation to another team.
    InvitationAccept = "invitation.accept" [Yes Yes Yes Yes] Changes Team Dangerous;
    /// See all accounts, as an owner of the deployment's first team.
    AccountRead = "account.read" [Yes No No No] Looks Team Any;
    /// Disable an account, as an owner of the deployment's first team.
    AccountDisable = "account.disable" [Yes No No No] Changes Team Dangerous;
    /// See the applications that connectors of all teams are made from, as an owner of the deployment's first team.
    ManagedAppRead = "managed-app.read" [Yes No No No] Looks Team Any;
    /// Register, change and remove such applications, as an owner of the deployment's first team.
    ManagedAppUpdate = "managed-app.update" [Yes No No No] Changes Team Dangerous;

    /// See connectors, their links, installations, rules and public keys, and how services are connected.
    ConnectorRead = "connector.read" [Yes Yes Yes Yes] Looks Project Any;
    /// Register a connector.
    ConnectorCreate = "connector.create" [Yes Unstrict Yes No] Changes Team Any;
    /// Change a connector, and take what its server says now.
    ConnectorUpdate = "connector.update" [Yes Unstrict Yes No] Changes Team Fresh;
    /// Remove a connector with everything kept for it.
    ConnectorDelete = "connector.delete" [Yes Unstrict Yes No] Changes Team Fresh;
    /// Ask a connector's server what it says about itself, and its provider what still holds.
    ConnectorCheck = "connector.check" [Yes Yes Yes No] Changes Team Any;
    /// Make a new signing key for a connector.
    ConnectorKeyRotate = "connector-key.rotate" [Yes Unstrict Yes No] Changes Team Dangerous;
    /// Say how consent is asked for at a connector.
    ConsentRulesUpdate = "consent-rules.update" [Yes Unstrict Yes No] Changes Team Any;
    /// Say to whom a connector's events are forwarded.
    TriggerUpdate = "trigger.update" [Yes Yes Yes No] Changes Team Fresh;
    /// See what was forwarded to whom, attempt by attempt, without what was in it.
    TriggerRead = "trigger.read" [Yes Yes Yes Yes] Looks Team Any;
    /// Have an event forwarded once more.
    TriggerReplay = "trigger.replay" [Yes Yes Yes No] Changes Team Any;
    /// Attach a connector to a project, and detach it.
    LinkUpdate = "link.update" [Yes Yes Yes No] Changes Team Any;
    /// Install a connector at a tenant of its provider, record and remove installations.
    InstallationUpdate = "installation.update" [Yes Unstrict Yes No] Changes Team Any;
    /// See who has consented.
    GrantRead = "grant.read" [Yes Yes Yes Yes] Looks Team Any;
    /// Keep tokens that users gave somewhere else.
    GrantImport = "grant.import" [Yes Unstrict Yes No] Changes Team Any;

    /// Ask for a token of the application.
    TokenApp = "token.app" [Yes Yes Yes No] Changes Project Any;
    /// Ask for a token as oneself, and consent to it.
    TokenOwn = "token.own" [Yes Yes Yes No] Changes Project Any;
    /// Take back what one has consented to oneself.
    TokenRevokeOwn = "token.revoke-own" [Yes Yes Yes Yes] Changes Project Any;
    /// Take back what the application and everybody was given.
    TokenRevokeAll = "token.revoke-all" [Yes Yes Yes No] Changes Team Any;

    /// See projects and their environments.
    ProjectRead = "project.read" [Yes Yes Yes Yes] Looks Project Any;
    /// Make a project.
    ProjectCreate = "project.create" [Yes Yes Yes No] Changes Team Any;
    /// Remove a project, its links and the grants given to it.
    ProjectDelete = "project.delete" [Yes Yes Yes No] Changes Team Fresh;
    /// Make and remove custom environments.
    EnvironmentUpdate = "environment.update" [Yes Yes Yes No] Changes Project Any;
    /// Say to which origins a project's people are sent back.
    ReturnOriginsUpdate = "return-origins.update" [Yes Yes Yes No] Changes Project Any;
    /// Say where a project is told that what it was granted breaks.
    HealthWebhookUpdate = "health-webhook.update" [Yes Yes Yes No] Changes Project Fresh;
    /// Say where a project's environments are reached.
    ProjectUrlsUpdate = "project-urls.update" [Yes Yes Yes No] Changes Project Fresh;
    /// Say in which environments a project's workloads make connectors for themselves.
    ProvisioningUpdate = "provisioning.update" [Yes Unstrict Yes No] Changes Team Any;
    /// Be given an identity of a project for development.
    IdentityIssue = "identity.issue" [Yes Yes Yes No] Changes Project Any;
    /// See whose identity tokens are accepted.
    IssuerRead = "trusted-issuer.read" [Yes Yes Yes Yes] Looks Team Any;
    /// Trust an issuer or no longer, and try what would come of it.
    IssuerUpdate = "trusted-issuer.update" [Yes No No No] Changes Team Dangerous;

    /// See one's own account and access tokens.
    AccessTokenRead = "access-token.read" [Yes Yes Yes Yes] Looks Project Any;
    /// Make an access token for oneself, with no more rights than what it is made with.
    AccessTokenCreate = "access-token.create" [Yes Yes Yes Yes] Changes Project Dangerous;
    /// End one's own access tokens.
    AccessTokenRevoke = "access-token.revoke" [Yes Yes Yes Yes] Changes Project Any;
    /// See the access tokens of everybody in the team.
    AccessTokenReadAll = "access-token.read-all" [Yes No No No] Looks Team Any;
    /// End access tokens of others in the team.
    AccessTokenRevokeAll = "access-token.revoke-all" [Yes No No No] Changes Team Any;

    /// Read the audit log.
    AuditRead = "audit.read" [Yes Yes Yes Yes] Looks Team Any;
    /// See how many token requests the team has had, and its budget.
    UsageRead = "usage.read" [Yes Yes Yes Yes] Looks Team Any;
    /// Set a budget, at which somebody is told, and forget it.
    BudgetUpdate = "budget.update" [Yes No No No] Changes Team Fresh;
    /// Have the secrets of the team exported, encrypted to the operator's recovery key.
    SecretsExport = "secrets.export" [Yes No No No] Changes Team Dangerous;
    /// See how keys stand.
    KeyRead = "key.read" [Yes No No No] Looks Team Any;
    /// Make a new version of a key.
    KeyRotate = "key.rotate" [Yes No No No] Changes Team Dangerous;
    /// Open everything that is sealed, and count.
    KeyVerify = "key.verify" [Yes No No No] Changes Team Any;
}

impl Right {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// What it lets a person do, in a sentence.
    pub fn what(self) -> &'static str {
        self.row().what.trim_start()
    }

    /// Reads the stable name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|right| right.as_str() == text)
    }

    /// Whether it only looks: a read-only access token has it then.
    pub fn looks(self) -> bool {
        self.row().effect == Effect::Looks
    }

    /// Whether it can be used about one project: an access token that is limited to one has it then.
    pub fn reaches_one_project(self) -> bool {
        self.row().reach == Reach::Project
    }

    /// Whether a person in a browser must have signed in within the last minutes to use it.
    pub fn needs_fresh_sign_in(self) -> bool {
        self.row().sign_in != SignIn::Any
    }

    /// Whether it changes who can act here, as whom, or what opens secrets. A command line must have been signed in within
    /// the last minutes to use it, and an access token carries it only if it was made with everything, or with this by name.
    pub fn is_dangerous(self) -> bool {
        self.row().sign_in == SignIn::Dangerous
    }

    /// Whether a proof of who it is, however old, is enough to use it; `fresh` says whether this one is of the last minutes.
    pub fn takes(self, login: &Login, fresh: bool) -> bool {
        let asked = match login {
            Login::Session { .. } => self.needs_fresh_sign_in(),
            Login::CommandLine { .. } => self.is_dangerous(),
            // Whether the token carries it was decided when it was made.
            Login::AccessToken(_) => false,
        };
        fresh || !asked
    }

    /// Whether a role has it.
    pub fn of(self, role: Role) -> Held {
        let row = self.row();
        match role {
            Role::Owner => row.owner,
            Role::Member => row.member,
            Role::ConnectorManager => row.connector_manager,
            Role::Viewer => row.viewer,
        }
    }

    /// Whether a role has it in a team that is strict about connectors, or is not.
    pub fn held_by(self, role: Role, strict: bool) -> bool {
        match self.of(role) {
            Held::Yes => true,
            Held::No => false,
            Held::Unstrict => !strict,
        }
    }
}

/// How much of its person's rights an access token carries. Never more than the person has: that is decided anew with
/// every use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Which rights.
    pub breadth: Breadth,
    /// The project that it is limited to.
    pub project: Option<Id<kind::Project>>,
}

/// Which rights of its person an access token carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// All of them.
    Full,
    /// All but those that are dangerous.
    Usual,
    /// Those that only look.
    Read,
    /// These.
    Only(BTreeSet<Right>),
}

impl Access {
    /// Everything that the person may.
    pub const FULL: Self = Self { breadth: Breadth::Full, project: None };

    /// Whether it carries a right.
    pub fn carries(&self, right: Right) -> bool {
        self.breadth.has(right) && (self.project.is_none() || right.reaches_one_project())
    }

    /// Whether everything that this can do, `other` can too.
    pub fn is_within(&self, other: &Self) -> bool {
        let same_project = other.project.is_none() || other.project == self.project;
        same_project && Right::ALL.iter().all(|right| !self.carries(*right) || other.carries(*right))
    }
}

impl Breadth {
    fn has(&self, right: Right) -> bool {
        match self {
            Self::Full => true,
            Self::Usual => !right.is_dangerous(),
            Self::Read => right.looks(),
            Self::Only(rights) => rights.contains(&right),
        }
    }

    /// The stored text: `full`, `usual`, `read`, or the names of rights with spaces between.
    pub fn to_text(&self) -> String {
        match self {
            Self::Full => "full".to_owned(),
            Self::Usual => "usual".to_owned(),
            Self::Read => "read".to_owned(),
            Self::Only(rights) => rights.iter().map(|right| right.as_str()).collect::<Vec<_>>().join(" "),
        }
    }

    /// Reads the stored text. A list without rights is none.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "full" => Some(Self::Full),
            "usual" => Some(Self::Usual),
            "read" => Some(Self::Read),
            "" => None,
            names => names.split(' ').map(Right::parse).collect::<Option<_>>().map(Self::Only),
        }
    }
}

/// Decides whether a member may use a right, and names the rule that denies.
pub fn decide(member: &Member, right: Right) -> Result<(), Denied> {
    if !right.held_by(member.role, member.strict) {
        return Err(match right.of(member.role) {
            Held::Unstrict => Denied::ConnectorsAreStrict(right),
            Held::Yes | Held::No => Denied::RoleTooLow(member.role, right),
        });
    }
    if !member.access.breadth.has(right) {
        return Err(Denied::TokenTooNarrow(right));
    }
    if !member.access.carries(right) {
        return Err(Denied::TokenOfOneProject(right));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
