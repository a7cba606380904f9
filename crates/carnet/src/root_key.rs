//! Which root-key providers the configuration names, and making them ready.
//!
//! One of five: a key file, a passphrase, AWS KMS, Google Cloud KMS, the transit engine of Vault or OpenBao. While one
//! takes over from another, `next_root_key` names the second.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use carnet_engine::{Location, Root as EngineRoot};
use carnet_kms::{
    AwsCredentials, AwsKms, AwsKmsConfig, ConfigError, GcpCredentials, GcpKms, GcpKmsConfig, Transit,
    TransitAuth, TransitConfig,
};
use carnet_model::{Env, SecretString};
use carnet_vault::{
    FileKey, FileKeyError, Location as KeyPlace, PassphraseError, PassphraseKey, read_secret_file,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::cli::failure::{Exit, Failure};
use crate::config::variable;
use crate::secret_file;

/// A provider as the configuration file names it. The same members stand at the top of the file for the present one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RootKeySource {
    /// A file with 32 random bytes.
    pub(crate) master_key_file: Option<PathBuf>,
    /// A file whose first line is a passphrase.
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A key of AWS KMS.
    pub(crate) aws_kms: Option<AwsKmsSource>,
    /// A key of Google Cloud KMS.
    pub(crate) gcp_kms: Option<GcpKmsSource>,
    /// A key of the transit engine of Vault or OpenBao.
    pub(crate) vault_transit: Option<TransitSource>,
}

/// A key of AWS KMS.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AwsKmsSource {
    key: String,
    region: String,
    endpoint: Option<String>,
    /// `environment`, `web-identity`, `container` or `instance`; what the variables say if left out.
    credentials: Option<String>,
}

/// A key of Google Cloud KMS.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GcpKmsSource {
    key: String,
    endpoint: Option<String>,
    /// The key of a service account; the metadata server if left out.
    credentials_file: Option<PathBuf>,
}

/// A key of a transit engine.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransitSource {
    address: String,
    key: String,
    mount: Option<String>,
    namespace: Option<String>,
    token_file: Option<PathBuf>,
    auth_mount: Option<String>,
    role: Option<String>,
    jwt_file: Option<PathBuf>,
}

/// A provider that was found sound as far as text can tell.
pub(crate) enum Root {
    /// A key file; `make` if it may be made.
    File { path: PathBuf, make: bool },
    /// The file in which a passphrase stands.
    Passphrase(PathBuf),
    /// AWS KMS.
    Aws(AwsKmsConfig),
    /// Google Cloud KMS.
    Gcp(GcpKmsConfig),
    /// The transit engine.
    Transit(TransitConfig),
}

impl RootKeySource {
    /// The one provider that is named; none if nothing is. `roots` are further certificate authorities.
    pub(crate) fn read(&self, make: bool, roots: Option<&[u8]>) -> Result<Option<Root>, Failure> {
        let mut named = Vec::new();
        if let Some(path) = &self.passphrase_file {
            // What is wrong with it is told before anything is opened; where it may lie, the place of the data decides.
            drop(passphrase_in(path, KeyPlace::Anywhere)?);
            named.push(Root::Passphrase(path.clone()));
        }
        if let Some(path) = &self.master_key_file {
            named.push(Root::File { path: path.clone(), make });
        }
        if let Some(source) = &self.aws_kms {
            named.push(Root::Aws(source.read(roots)?));
        }
        if let Some(source) = &self.gcp_kms {
            named.push(Root::Gcp(source.read(roots)?));
        }
        if let Some(source) = &self.vault_transit {
            named.push(Root::Transit(source.read(roots)?));
        }
        if named.len() > 1 {
            return Err(wrong(
                "Give one of master_key_file, passphrase_file, aws_kms, gcp_kms and vault_transit. A second provider, \
                 while it takes over, stands in next_root_key.",
            ));
        }
        Ok(named.pop())
    }
}

impl AwsKmsSource {
    fn read(&self, roots: Option<&[u8]>) -> Result<AwsKmsConfig, Failure> {
        let text = |name: &str| variable(name);
        let fixed = text("AWS_ACCESS_KEY_ID").zip(text("AWS_SECRET_ACCESS_KEY"));
        let container = text("AWS_CONTAINER_CREDENTIALS_FULL_URI").or_else(|| {
            text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("http://169.254.170.2{path}"))
        });
        let web_identity = text("AWS_ROLE_ARN").zip(text("AWS_WEB_IDENTITY_TOKEN_FILE"));
        // The order of AWS's own tools.
        let how = self.credentials.as_deref().unwrap_or(match (&fixed, &web_identity, &container) {
            (Some(_), ..) => "environment",
            (None, Some(_), _) => "web-identity",
            (None, None, Some(_)) => "container",
            (None, None, None) => "instance",
        });
        let credentials = match (how, fixed, container) {
            ("web-identity", ..) => {
                let (role, token_file) = web_identity.ok_or_else(|| {
                    wrong("aws_kms: AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set.")
                })?;
                let endpoint = text("AWS_ENDPOINT_URL_STS");
                AwsCredentials::WebIdentity {
                    role,
                    token_file: token_file.into(),
                    session_name: text("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "carnet".to_owned()),
                    endpoint: endpoint.map(|at| self::url("AWS_ENDPOINT_URL_STS", &at)).transpose()?,
                }
            }
            ("environment", Some((key_id, secret)), _) => AwsCredentials::Fixed {
                key_id,
                secret: Arc::new(secret.into()),
                session_token: text("AWS_SESSION_TOKEN").map(|token| Arc::new(token.into())),
            },
            ("environment", None, _) => {
                return Err(wrong("aws_kms: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set."));
            }
            ("container", _, Some(url)) => AwsCredentials::Container {
                url: self::url("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)?,
                token_file: text("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(PathBuf::from),
            },
            ("container", _, None) => {
                return Err(wrong("aws_kms: AWS_CONTAINER_CREDENTIALS_FULL_URI is not set."));
            }
            ("instance", ..) => AwsCredentials::instance().map_err(|error| refused(&error))?,
            (other, ..) => {
                return Err(wrong(format!(
                    "aws_kms.credentials is environment, web-identity, container or instance, not {other:?}."
                )));
            }
        };
        Ok(AwsKmsConfig {
            key: self.key.clone(),
            region: self.region.clone(),
            endpoint: self.endpoint.as_deref().map(|text| url("aws_kms.endpoint", text)).transpose()?,
            credentials,
            roots_pem: roots.map(<[u8]>::to_vec),
        })
    }
}

impl GcpKmsSource {
    fn read(&self, roots: Option<&[u8]>) -> Result<GcpKmsConfig, Failure> {
        let credentials = match &self.credentials_file {
            Some(path) => GcpCredentials::KeyFile(path.clone()),
            None => GcpCredentials::metadata().map_err(|error| refused(&error))?,
        };
        Ok(GcpKmsConfig {
            key: self.key.clone(),
            endpoint: self.endpoint.as_deref().map(|text| url("gcp_kms.endpoint", text)).transpose()?,
            credentials,
            roots_pem: roots.map(<[u8]>::to_vec),
        })
    }
}

impl TransitSource {
    fn read(&self, roots: Option<&[u8]>) -> Result<TransitConfig, Failure> {
        let auth = match (&self.token_file, &self.role, &self.jwt_file) {
            (Some(path), None, None) => TransitAuth::TokenFile(path.clone()),
            (None, Some(role), Some(jwt_file)) => TransitAuth::Login {
                mount: self.auth_mount.clone().unwrap_or_else(|| "kubernetes".to_owned()),
                role: role.clone(),
                jwt_file: jwt_file.clone(),
            },
            _ => return Err(wrong("vault_transit: give token_file, or role and jwt_file.")),
        };
        Ok(TransitConfig {
            address: url("vault_transit.address", &self.address)?,
            mount: self.mount.clone().unwrap_or_else(|| "transit".to_owned()),
            key: self.key.clone(),
            namespace: self.namespace.clone(),
            auth,
            roots_pem: roots.map(<[u8]>::to_vec),
        })
    }
}

/// Makes the providers ready: the present one, and the next if there is one. What cannot be used is `told` with the member
/// of the configuration that names it.
pub(crate) fn open(
    present: Root,
    next: Option<Root>,
    location: &Location,
    env: &Env,
    told: impl Fn(&'static str, Failure) -> Failure,
) -> anyhow::Result<EngineRoot> {
    let place = match location {
        Location::Folder(data) => KeyPlace::OutsideOf(data),
        Location::Memory | Location::Shared(_) | Location::Postgres(_) => KeyPlace::Anywhere,
    };
    let of_next = |next| ready(next, place, env).map_err(|failure| told("next_root_key", failure));
    // What is there is opened before anything is made.
    let (opened, to_be_made) = match next {
        Some(next) if next.is_to_be_made() => (None, Some(next)),
        Some(next) => (Some(of_next(next)?), None),
        None => (None, None),
    };
    let member = present.member();
    let present = ready(present, place, env).map_err(|failure| told(member, failure))?;
    let next = match (opened, to_be_made) {
        (Some(next), _) => next,
        (None, Some(next)) => of_next(next)?,
        (None, None) => return Ok(present),
    };
    Ok(EngineRoot::Turning { present: Box::new(present), next: Box::new(next) })
}

/// The same where none is made: for data that is there already.
pub(crate) fn open_existing(
    present: Root,
    next: Option<Root>,
    location: &Location,
    env: &Env,
) -> anyhow::Result<EngineRoot> {
    let kept = |root| match root {
        Root::File { path, .. } => Root::File { path, make: false },
        other => other,
    };
    if let Some(path) = of_development(&present, location) {
        return Ok(EngineRoot::Key(Box::new(FileKey::open(&path, KeyPlace::Anywhere)?)));
    }
    if let Root::File { path, .. } = &present
        && path.try_exists().is_ok_and(|there| !there)
    {
        let why = format!(
            "There is no key file at {}, and what was kept opens with its own alone.",
            path.display()
        );
        return Err(wrong(why)
            .next("export CARNET_MASTER_KEY_FILE=PATH", "with the key file of the deployment that it is of")
            .into());
    }
    // A next provider that was never made ready opens nothing.
    let next = next.map(kept).filter(|next| !matches!(next, Root::File { path, .. } if !path.exists()));
    open(kept(present), next, location, env, |_, failure| failure)
}

/// The key that `carnet dev` keeps in its own folder, if this is one and nobody names another: what lies there is worth no
/// more than the folder.
fn of_development(present: &Root, location: &Location) -> Option<PathBuf> {
    let (Root::File { path, .. }, Location::Folder(data)) = (present, location) else { return None };
    let mut usual = data.clone().into_os_string();
    usual.push(".key");
    let own = data.join("master.key");
    let is_one = path.as_os_str() == usual && !path.exists() && data.join("dev.json").exists();
    (is_one && own.exists()).then_some(own)
}

impl Root {
    fn is_to_be_made(&self) -> bool {
        matches!(self, Self::File { path, make: true } if !path.exists())
    }

    /// The member of the configuration that names it.
    const fn member(&self) -> &'static str {
        match self {
            Self::File { .. } => "master_key_file",
            Self::Passphrase(_) => "passphrase_file",
            Self::Aws(_) => "aws_kms",
            Self::Gcp(_) => "gcp_kms",
            Self::Transit(_) => "vault_transit",
        }
    }
}

fn ready(root: Root, place: KeyPlace<'_>, env: &Env) -> Result<EngineRoot, Failure> {
    let refused = |error| refused(&error);
    Ok(match root {
        Root::Passphrase(path) => EngineRoot::Passphrase(passphrase_in(&path, place)?),
        Root::File { path, make } if make && !path.exists() => {
            let key = FileKey::create(env, &path, place).map_err(|error| unfit(&error))?;
            tracing::warn!(path = %path.display(), "made a master key; without it the data cannot be read: keep a copy apart from the data");
            EngineRoot::Key(Box::new(key))
        }
        Root::File { path, .. } => {
            EngineRoot::Key(Box::new(FileKey::open(&path, place).map_err(|error| unfit(&error))?))
        }
        Root::Aws(config) => EngineRoot::Key(Box::new(AwsKms::new(config, env.clone()).map_err(refused)?)),
        Root::Gcp(config) => EngineRoot::Key(Box::new(GcpKms::new(config, env.clone()).map_err(refused)?)),
        Root::Transit(config) => {
            EngineRoot::Key(Box::new(Transit::new(config, env.clone()).map_err(refused)?))
        }
    })
}

/// Why a key file cannot be used, with the command that mends it where there is one.
fn unfit(error: &FileKeyError) -> Failure {
    match error {
        FileKeyError::File(error) => secret_file::unfit("key file ", error),
        _ => wrong(format!("{error}.")),
    }
}

fn passphrase_in(path: &Path, place: KeyPlace<'_>) -> Result<SecretString, Failure> {
    let text = read_secret_file(path, place)
        .map_err(|error| secret_file::unfit("Cannot read passphrase_file: ", &error))?;
    let line = SecretString::new(text.expose().lines().next().unwrap_or_default().to_owned());
    if line.expose().chars().count() < PassphraseKey::MIN_CHARS {
        return Err(wrong(format!("{}: {}.", path.display(), PassphraseError::TooShort)));
    }
    Ok(line)
}

fn url(field: &str, text: &str) -> Result<Url, Failure> {
    Url::parse(text).map_err(|error| wrong(format!("{field}: {text:?} is no address: {error}.")))
}

fn refused(error: &ConfigError) -> Failure {
    wrong(format!("{error}."))
}

fn wrong(sentence: impl Into<String>) -> Failure {
    Failure { exit: Exit::Usage, ..Failure::new("invalid_configuration", sentence) }
}
