//! How the listener is spoken to: in the clear, or by TLS with a certificate from files or from an authority.

use std::sync::Arc;

use carnet_engine::Acme;
use url::Url;

use super::{ConfigFile, acme, wrong};
use crate::cli::failure::Failure;
use crate::tls::CertificateFiles;

/// How the listener is spoken to.
pub(crate) enum Door {
    /// In the clear: on this machine, or behind a proxy that terminates TLS.
    Plain,
    /// By TLS, with a certificate from files.
    Files(Arc<CertificateFiles>),
    /// By TLS, with a certificate that an authority is asked for.
    Acme(Acme),
}

impl Door {
    /// The authority, if one is asked.
    pub(crate) fn acme(&self) -> Option<Acme> {
        match self {
            Self::Acme(acme) => Some(acme.clone()),
            Self::Plain | Self::Files(_) => None,
        }
    }

    /// What the file and the flags say about it.
    pub(super) fn of(file: &ConfigFile, url: &Url) -> Result<Self, Failure> {
        match (&file.tls, &file.acme) {
            (None, None) => Ok(Self::Plain),
            (Some(_), Some(_)) => Err(file.written.told(
                "acme",
                wrong("The certificate comes from the files of [tls], or from the authority of [acme]: not from both."),
            )),
            (Some(_), None) if url.scheme() != "https" => {
                Err(file.written.told("tls", wrong("With [tls] the public address is https.")))
            }
            (Some(tls), None) => CertificateFiles::open(tls, url)
                .map(Self::Files)
                .map_err(|(member, failure)| file.written.told(member, failure)),
            (None, Some(acme)) => acme::read(file, acme, url).map(Self::Acme),
        }
    }
}
