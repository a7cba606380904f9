//! `[acme]`: the authority that gives the server its certificate.

use carnet_engine::Acme;
use rustls::pki_types::DnsName;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{ConfigFile, wrong};
use crate::cli::args::ServeArgs;
use crate::cli::failure::Failure;

/// The authority that gives the server its certificate, and for which names.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AcmeTable {
    /// The names; the host of `url` is one of them.
    pub(crate) domains: Vec<String>,
    /// Whether the operator has read the authority's terms and accepts them.
    pub(crate) terms_accepted: bool,
    /// Addresses that the authority may write to.
    pub(crate) contact: Vec<String>,
    /// The address of its directory; Let's Encrypt's.
    pub(crate) directory: Option<String>,
}

/// Flags before the file.
pub(super) fn overrule(file: &mut ConfigFile, args: &ServeArgs) {
    let asked = !args.acme.is_empty()
        || args.acme_accept_terms
        || !args.acme_contact.is_empty()
        || args.acme_directory.is_some();
    if !asked {
        return;
    }
    let table = file.acme.get_or_insert_default();
    if !args.acme.is_empty() {
        table.domains.clone_from(&args.acme);
        file.written.overrule("acme.domains");
    }
    table.terms_accepted |= args.acme_accept_terms;
    if !args.acme_contact.is_empty() {
        table.contact.clone_from(&args.acme_contact);
        file.written.overrule("acme.contact");
    }
    if let Some(directory) = &args.acme_directory {
        table.directory = Some(directory.clone());
        file.written.overrule("acme.directory");
    }
}

/// The same, found sound.
pub(super) fn read(file: &ConfigFile, table: &AcmeTable, url: &Url) -> Result<Acme, Failure> {
    let directory = file.at("acme.directory", directory(table.directory.as_deref()))?;
    let domains = file.at("acme.domains", domains(&table.domains))?;
    let host = url.host_str().unwrap_or_default();
    if url.scheme() != "https" || !domains.iter().any(|name| name == host) {
        let failure = wrong(format!(
            "The certificate would be for {}, and the public address is {url}: clients would refuse it.",
            domains.join(", ")
        ));
        return Err(file
            .written
            .told("acme.domains", failure)
            .next(format!("--acme {host}"), "to name its host"));
    }
    let contact = table.contact.iter().map(|text| contact(text)).collect::<Result<_, _>>();
    let contact = file.at("acme.contact", contact)?;
    if !table.terms_accepted {
        let failure = wrong(format!(
            "The authority at {} gives certificates to those who accept its terms, and nobody has said so.",
            directory.host_str().unwrap_or_default()
        ));
        let failure = file.written.told("acme", failure);
        return Err(failure
            .next(
                "--acme-accept-terms",
                "if you have read them and accept them: its directory names their address",
            )
            .next("terms_accepted = true", "in [acme], for the same"));
    }
    Ok(Acme { directory, domains, contact })
}

fn directory(text: Option<&str>) -> Result<Url, Failure> {
    let text = text.unwrap_or(LETS_ENCRYPT);
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https" && url.host_str().is_some());
    url.ok_or_else(|| {
        wrong(format!("The authority's directory {text:?} is no https address."))
            .next(LETS_ENCRYPT, "for Let's Encrypt")
    })
}

fn domains(texts: &[String]) -> Result<Vec<String>, Failure> {
    let mut domains = Vec::new();
    for text in texts {
        let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
        if name.starts_with("*.") {
            return Err(wrong(format!(
                "{text:?} is for many names, which are proved by DNS alone: name those that are needed, or keep the \
                 certificate in files ([tls])."
            )));
        }
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        if is_address || DnsName::try_from(name.as_str()).is_err() {
            return Err(wrong(format!("{text:?} is no host name that a certificate is given for.")));
        }
        if !domains.contains(&name) {
            domains.push(name);
        }
    }
    match domains.len() {
        0 => Err(wrong("The names for the certificate are missing.")
            .next("--acme connect.example.com", "with yours; several with commas between them")),
        1..=MOST => Ok(domains),
        many => Err(wrong(format!("{many} names are too many for one certificate: {MOST} at most."))),
    }
}

fn contact(text: &str) -> Result<String, Failure> {
    let text = text.strip_prefix("mailto:").unwrap_or(text);
    let sound = |c: char| c.is_ascii_graphic() && !matches!(c, ',' | '?' | '<' | '>' | '"');
    let parts = text.split_once('@').filter(|(name, host)| !name.is_empty() && host.contains('.'));
    if parts.is_some() && text.chars().all(sound) {
        return Ok(text.to_owned());
    }
    Err(wrong(format!("{text:?} is no mail address that an authority could write to.")))
}

/// letsencrypt.org/docs/acme-protocol-updates, 2025-06.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// What Let's Encrypt and most others take.
const MOST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_certificates_have_them() {
        let read = |names: &[&str]| domains(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&["B.example.", " a.example", "b.example"]).unwrap(), ["b.example", "a.example"]);
        for wrong in
            [&[][..], &["*.example.com"], &["192.0.2.1"], &["::1"], &["a b"], &["https://a.example"], &[""]]
        {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        let many: Vec<String> = (0..101).map(|n| format!("n{n}.example")).collect();
        assert!(domains(&many).is_err());
    }

    #[test]
    fn a_contact_is_a_mail_address() {
        assert_eq!(contact("mailto:ops@a.example").unwrap(), "ops@a.example");
        for wrong in ["ops", "@a.example", "ops@a", "a@b.c,d@e.f", "o ps@a.example", "ops@a.example?cc=x@y.z"]
        {
            assert!(contact(wrong).is_err(), "{wrong}");
        }
    }
}
