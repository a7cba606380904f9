//! Addresses with places to fill in: `https://{subdomain}.zendesk.com/oauth/tokens`.
//!
//! What a person fills in can name an account, a region or a tenant, and nothing else: it cannot add a port, a user, a
//! query or a path, and it cannot leave the hosts that the file names, which is seen for the template before anybody has
//! filled anything in, and once more for every address that comes of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use url::{Host, Url};

use crate::entry::{Field, FieldKind};
use crate::host::{HostPattern, is_name};

/// An https address with places to fill in, or without.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    text: String,
    authority: Vec<Part>,
    rest: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

impl Template {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the places.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.authority.iter().chain(&self.rest).filter_map(|part| match part {
            Part::Field(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Every host that filling in `fields` can lead to.
    pub(crate) fn reach(&self, fields: &[Field]) -> Result<Vec<HostPattern>, String> {
        let find = |name: &str| {
            let found = fields.iter().find(|field| field.key.as_str() == name);
            found.ok_or_else(|| format!("{{{name}}} is no field of this method"))
        };
        for part in &self.rest {
            if let Part::Field(name) = part
                && matches!(find(name)?.kind, FieldKind::Host | FieldKind::Labels)
            {
                return Err(format!("{{{name}}} is a host, and cannot stand in the path"));
            }
        }
        // What follows the last place that is not a choice among given words.
        let mut ways = vec![String::new()];
        for (at, part) in self.authority.iter().enumerate() {
            match part {
                Part::Text(text) => {
                    for way in &mut ways {
                        way.push_str(text);
                    }
                }
                Part::Field(name) => {
                    let field = find(name)?;
                    match field.kind {
                        FieldKind::Host if self.authority.len() == 1 => return Ok(field.within.clone()),
                        FieldKind::Host => {
                            return Err(format!(
                                "{{{name}}} is a whole host, and has to stand alone in its place"
                            ));
                        }
                        FieldKind::Labels if at > 0 => {
                            return Err(format!("{{{name}}} can only stand at the beginning of a host"));
                        }
                        FieldKind::Label | FieldKind::Labels => {
                            for way in &mut ways {
                                way.push(OPEN);
                            }
                        }
                        FieldKind::Segment => {
                            return Err(format!(
                                "{{{name}}} is part of a path, and cannot stand in the host"
                            ));
                        }
                        FieldKind::Choice => {
                            let longer = |way: &String| {
                                let way = way.clone();
                                field.choices.iter().map(move |choice| format!("{way}{choice}"))
                            };
                            ways = ways.iter().flat_map(longer).collect();
                        }
                    }
                }
            }
        }
        ways.iter().map(|way| reach(way)).collect()
    }

    /// Whether filling in can lead to the host of this address, where these places hold this and the others anything.
    pub(crate) fn can_lead_to(&self, url: &Url, values: &BTreeMap<String, String>) -> bool {
        url.host_str().is_some_and(|host| leads_to(&self.authority, host, values))
    }

    /// The address that comes of `values`, each of which was found sound by its field.
    pub(crate) fn fill(&self, values: &BTreeMap<&str, String>) -> Result<Url, String> {
        let join = |parts: &[Part]| {
            parts.iter().try_fold(String::new(), |mut out, part| {
                out.push_str(match part {
                    Part::Text(text) => text,
                    Part::Field(name) => {
                        values.get(name.as_str()).ok_or_else(|| format!("{name} is missing"))?
                    }
                });
                Ok::<_, String>(out)
            })
        };
        let host = join(&self.authority)?.to_ascii_lowercase();
        let text = format!("https://{host}{}", join(&self.rest)?);
        let unfit = || format!("{text} is no address of a service");
        let url = Url::parse(&text).map_err(|_| unfit())?;
        // A browser's reading of an address is not ours: what came out must be what was put together.
        let same = is_plain(&url) && is_name(&host) && url.host_str() == Some(host.as_str());
        if same { Ok(url) } else { Err(unfit()) }
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("{text:?} {why}"));
        let Some(rest) = text.strip_prefix("https://") else { return bad("must begin with https://") };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (Some(authority), Some(rest)) = (parts(authority), parts(rest)) else {
            return bad("has braces that are no place to fill in, such as {subdomain}");
        };
        let mut asked = false;
        for part in &rest {
            match part {
                Part::Text(text) => asked |= text.contains(['?', '#']),
                Part::Field(_) if asked => return bad("must have no place to fill in behind its path"),
                Part::Field(_) => {}
            }
        }
        let filled = |parts: &[Part]| {
            let part = |part: &Part| match part {
                Part::Text(text) => text.clone(),
                Part::Field(_) => "x".to_owned(),
            };
            parts.iter().map(part).collect::<String>()
        };
        let whole = |parts: &[Part]| matches!(parts, [Part::Field(_)]);
        let host = if whole(&authority) { "x.example".to_owned() } else { filled(&authority) };
        let sound = Url::parse(&format!("https://{host}{}", filled(&rest)))
            .is_ok_and(|url| is_plain(&url) && is_name(&host) && url.host_str() == Some(host.as_str()));
        if !sound {
            return bad(
                "must be the https address of a named host in lower case, without user, port and fragment",
            );
        }
        Ok(Self { text, authority, rest })
    }
}

fn is_plain(url: &Url) -> bool {
    url.scheme() == "https"
        && matches!(url.host(), Some(Host::Domain(_)))
        && url.username().is_empty()
        && url.password().is_none()
        && url.port().is_none()
        && url.fragment().is_none()
        && !url.path().contains("//")
}

fn leads_to(parts: &[Part], text: &str, values: &BTreeMap<String, String>) -> bool {
    let Some((first, rest)) = parts.split_first() else { return text.is_empty() };
    let follows = |value: &str| text.strip_prefix(value).is_some_and(|text| leads_to(rest, text, values));
    match first {
        Part::Text(text) => follows(text),
        Part::Field(name) => match values.get(name) {
            Some(value) => follows(&value.to_ascii_lowercase()),
            None => {
                (1..=text.len()).any(|end| text.get(end..).is_some_and(|text| leads_to(rest, text, values)))
            }
        },
    }
}

/// The hosts of a name in which [`OPEN`] stands for any label.
fn reach(way: &str) -> Result<HostPattern, String> {
    let Some(last) = way.rfind(OPEN) else { return HostPattern::try_from(way.to_owned()) };
    let after = way.get(last + OPEN.len_utf8()..).unwrap_or_default();
    let below = after.find('.').and_then(|dot| after.get(dot + 1..)).unwrap_or_default();
    if is_name(below) {
        Ok(HostPattern::Below(format!(".{below}")))
    } else {
        Err("a place in a host must stand before a domain of its own, such as {subdomain}.zendesk.com"
            .to_owned())
    }
}

fn parts(text: &str) -> Option<Vec<Part>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        let (name, after) = after.strip_prefix('{')?.split_once('}')?;
        if before.contains('}') || !is_field(name) {
            return None;
        }
        if !before.is_empty() {
            out.push(Part::Text(before.to_owned()));
        }
        out.push(Part::Field(name.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        out.push(Part::Text(rest.to_owned()));
    }
    Some(out)
}

fn is_field(name: &str) -> bool {
    crate::text::FieldName::try_from(name.to_owned()).is_ok()
}

/// Stands in no host name.
const OPEN: char = '\u{0}';

#[cfg(test)]
mod tests;
