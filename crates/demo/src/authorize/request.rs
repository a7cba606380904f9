//! An authorization request, read once.

use carnet_model::Scopes;
use url::Url;

use crate::Server;
use crate::form::Form;
use crate::opaque::Digest;
use crate::person::Person;
use crate::scope;

/// A request that can be put before a person.
pub(super) struct Asked {
    pub(super) back: Return,
    pub(super) challenge: Digest,
    pub(super) scopes: Scopes,
    /// Who is chosen beforehand.
    pub(super) chosen: Option<Person>,
    /// `prompt=none`: the client wants an answer without anybody being asked.
    pub(super) silent: bool,
}

/// The way back to the client.
pub(super) struct Return {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    url: Url,
    state: Option<String>,
}

/// A request that cannot be put before a person.
pub(super) enum Refusal {
    /// There is no safe way back (RFC 6749 §4.1.2.1): said on a page.
    Here(&'static str),
    /// Said to the client.
    Back { back: Return, error: &'static str, description: &'static str },
}

impl Asked {
    pub(super) fn read(server: &Server, query: &str) -> Result<Self, Box<Refusal>> {
        let here = |why| Err(Box::new(Refusal::Here(why)));
        if query.len() > LONGEST {
            return here("The request is too long.");
        }
        let Ok(form) = Form::parse(query) else { return here("The address is not well-formed.") };
        let back = match Return::read(server, &form) {
            Ok(back) => back,
            Err(why) => return here(why),
        };
        match Self::read_rest(&form) {
            Ok((challenge, scopes, prompt)) => {
                let hint = form.get("login_hint").and_then(Person::parse);
                // Without a hint it is Ada, unless the client wants the person to choose.
                let chosen = hint.or((!prompt.select).then_some(Person::Ada));
                Ok(Self { back, challenge, scopes, chosen, silent: prompt.none })
            }
            Err((error, description)) => Err(Box::new(Refusal::Back { back, error, description })),
        }
    }

    fn read_rest(form: &Form) -> Result<(Digest, Scopes, Prompt), (&'static str, &'static str)> {
        let invalid = |description| Err(("invalid_request", description));
        if form.repeats_any() {
            return invalid("A parameter stands more than once.");
        }
        match form.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(("unsupported_response_type", "The response_type must be code.")),
            None => return invalid("The response_type is missing."),
        }
        if form.get("response_mode").is_some_and(|mode| mode != "query") {
            return invalid("The response_mode must be query.");
        }
        // RFC 7636 §4.3: left out, the method means plain.
        if form.get("code_challenge_method") != Some("S256") {
            return invalid("PKCE is required, with code_challenge_method S256.");
        }
        let Some(challenge) = form.get("code_challenge").and_then(Digest::parse) else {
            return invalid("The code_challenge is missing or is not a SHA-256 in base64url.");
        };
        let Some(scopes) = scope::parse(form.get("scope")) else {
            return Err(("invalid_scope", "A scope is not known here; the metadata lists those that are."));
        };
        let Some(prompt) = Prompt::parse(form.get("prompt")) else {
            return invalid("The prompt must be none alone, or login, consent, select_account.");
        };
        Ok((challenge, scopes, prompt))
    }
}

impl Return {
    fn read(server: &Server, form: &Form) -> Result<Self, &'static str> {
        let once = |name| form.get(name).filter(|_| !form.repeats(name));
        let client = once("client_id").and_then(|id| server.clients.find(id));
        let client = client.ok_or("The client_id is missing, repeated or not registered here.")?;
        let redirect_uri = once("redirect_uri").filter(|uri| client.may_return_to(uri));
        let redirect = redirect_uri.and_then(|uri| Some((uri, Url::parse(uri).ok()?)));
        let (redirect_uri, url) =
            redirect.ok_or("The redirect_uri is missing, repeated or not registered for this client.")?;
        Ok(Self {
            client: client.id.clone(),
            redirect_uri: redirect_uri.to_owned(),
            url,
            state: once("state").map(str::to_owned),
        })
    }

    /// The address with an answer in it. A query that the redirect URI has stays (RFC 6749 §3.1.2).
    pub(super) fn with(&self, parameters: &[(&str, &str)], issuer: &str) -> Url {
        let mut url = self.url.clone();
        let state = self.state.as_deref().map(|state| ("state", state));
        url.query_pairs_mut().extend_pairs(parameters).extend_pairs(state).append_pair("iss", issuer);
        url
    }

    /// Where the browser goes next, for people.
    pub(super) fn place(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

/// `prompt` (OpenID Connect Core 1.0 §3.1.2.1). The page asks who and whether anyhow, as `login` and `consent` want.
struct Prompt {
    none: bool,
    select: bool,
}

impl Prompt {
    fn parse(text: Option<&str>) -> Option<Self> {
        let names: Vec<&str> = text.unwrap_or_default().split(' ').filter(|name| !name.is_empty()).collect();
        let none = names.contains(&"none");
        let known = |name: &&str| matches!(*name, "none" | "login" | "consent" | "select_account");
        let sound = names.iter().all(known) && (!none || names.len() == 1);
        sound.then(|| Self { none, select: names.contains(&"select_account") })
    }
}

const LONGEST: usize = 8 * 1024;
