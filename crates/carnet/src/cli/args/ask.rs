//! What a token is asked with; the same flags wherever one is.

use clap::{Args, ValueEnum};

use crate::cli::create::quoted;

/// Who the token acts as, and what it may do.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AskArgs {
    /// Who the token acts as; without it, you
    #[arg(short, long, value_enum)]
    pub(crate) subject: Option<SubjectArg>,
    /// As this user of the project: for workloads
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// The installation, where the connector has several
    #[arg(long, value_name = "ID")]
    pub(crate) installation_id: Option<String>,
    /// Exactly these scopes, separated by commas or spaces
    #[arg(long)]
    pub(crate) scopes: Option<String>,
    /// Name no scopes, instead of the connector's own
    #[arg(long)]
    pub(crate) no_default_scopes: bool,
}

impl AskArgs {
    /// The flags as they were given, each after a space, fit for a shell.
    pub(crate) fn line(&self) -> String {
        let subject = self.subject.and_then(|subject| subject.to_possible_value());
        let subject = subject.map(|value| value.get_name().to_owned());
        let given = [
            ("--subject", &subject),
            ("--user", &self.user),
            ("--installation-id", &self.installation_id),
            ("--scopes", &self.scopes),
        ];
        let given = given.into_iter().filter_map(|(flag, value)| Some((flag, value.as_ref()?)));
        let line = given.fold(String::new(), |line, (flag, value)| line + " " + flag + " " + &quoted(value));
        if self.no_default_scopes { line + " --no-default-scopes" } else { line }
    }
}

/// Who a token acts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SubjectArg {
    /// The application itself
    App,
    /// You
    User,
}
