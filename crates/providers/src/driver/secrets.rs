//! The secret members of a connector's `data`, apart from the public ones.

use std::collections::BTreeMap;

use carnet_model::{SecretBytes, SecretString};
use serde_json::{Map, Value};

/// The secrets of a connector. Each is named by the place in `data` where it stood, as a JSON pointer (RFC 6901):
/// `/clientSecret`, `/values/0/value`.
#[derive(Debug, Default)]
pub struct ConnectorSecrets(BTreeMap<String, SecretString>);

/// Bytes that are not stored secrets.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the stored secrets of a connector are not a JSON object of texts")]
pub struct InvalidSecrets;

impl ConnectorSecrets {
    /// The secret that stood at `pointer`.
    pub fn at(&self, pointer: &str) -> Option<&SecretString> {
        self.0.get(pointer)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a change (`changed`, by top-level member), after which there is `now`, leaves any of them as it was.
    pub fn outlast(&self, changed: &Map<String, Value>, now: &Self) -> bool {
        let top = |pointer: &str| pointer.trim_start_matches('/').split('/').next().map(str::to_owned);
        let unnamed = |pointer: &&String| top(pointer).is_none_or(|first| !changed.contains_key(&first));
        self.0.keys().filter(unnamed).any(|pointer| now.0.contains_key(pointer))
    }

    /// To be sealed.
    pub fn to_json(&self) -> SecretBytes {
        let plain: BTreeMap<&str, &str> =
            self.0.iter().map(|(name, secret)| (name.as_str(), secret.expose().as_str())).collect();
        let room = self.0.iter().map(|(name, secret)| name.len() + 2 * secret.expose().len() + 8).sum();
        super::held::write_json(&plain, room)
    }

    /// From what was sealed.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidSecrets> {
        serde_json::from_slice(json).map(Self).map_err(|_| InvalidSecrets)
    }

    /// Without those that stand in `data` at the same place: whoever keeps them there does not keep them here as well.
    /// Their places stay, with nothing in them.
    #[must_use]
    pub fn without(mut self, data: &Map<String, Value>) -> Self {
        for (pointer, secret) in &mut self.0 {
            if text_at(data, pointer).is_some() {
                *secret = SecretString::new(String::new());
            }
        }
        self
    }

    /// Whether there are places with nothing in them.
    pub fn has_gaps(&self) -> bool {
        self.0.values().any(|secret| secret.expose().is_empty())
    }

    /// With what stands in `data` at the places that have nothing; `None` if one of them has nothing there either.
    pub fn filled(&self, data: &Map<String, Value>) -> Option<Self> {
        let fill = |(pointer, secret): (&String, &SecretString)| {
            let secret = if secret.expose().is_empty() {
                SecretString::new(text_at(data, pointer)?.to_owned())
            } else {
                secret.duplicate()
            };
            Some((pointer.clone(), secret))
        };
        self.0.iter().map(fill).collect::<Option<_>>().map(Self)
    }

    /// Puts the secrets back where they stood, into public data that is about to be accepted again after a change.
    /// What the change names itself (`changed`, by top-level member) stays as the change has it.
    pub fn put_back(&self, data: &mut Map<String, Value>, changed: &Map<String, Value>) {
        for (pointer, secret) in self.0.iter().filter(|(_, secret)| !secret.expose().is_empty()) {
            let mut steps = pointer.trim_start_matches('/').split('/');
            let Some(first) = steps.next() else { continue };
            if changed.contains_key(first) {
                continue;
            }
            let text = Value::String(secret.expose().clone());
            let rest: Vec<&str> = steps.collect();
            let Some((last, middle)) = rest.split_last() else {
                data.insert(first.to_owned(), text);
                continue;
            };
            let place = middle.iter().try_fold(data.get_mut(first), |value, step| {
                Some(match value? {
                    Value::Array(items) => step.parse::<usize>().ok().and_then(|i| items.get_mut(i)),
                    Value::Object(members) => members.get_mut(*step),
                    _ => None,
                })
            });
            if let Some(Some(Value::Object(members))) = place {
                members.insert((*last).to_owned(), text);
            }
        }
    }

    /// A second copy.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.iter().map(|(name, secret)| (name.clone(), secret.duplicate())).collect())
    }

    /// With those of `after` that were not the same `before`.
    #[must_use]
    pub fn overlaid(mut self, before: &Self, after: &Self) -> Self {
        for (pointer, secret) in &after.0 {
            if before.at(pointer).map(SecretString::expose) != Some(secret.expose()) {
                self.0.insert(pointer.clone(), secret.duplicate());
            }
        }
        self
    }

    pub(crate) fn insert(&mut self, pointer: String, secret: SecretString) {
        self.0.insert(pointer, secret);
    }
}

/// The text at a pointer (RFC 6901), if there is one that says something.
fn text_at<'a>(data: &'a Map<String, Value>, pointer: &str) -> Option<&'a str> {
    let path = pointer.strip_prefix('/')?;
    let (first, rest) =
        path.split_once('/').map_or((path, String::new()), |(first, rest)| (first, format!("/{rest}")));
    data.get(first)?.pointer(&rest)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secrets() -> ConnectorSecrets {
        let mut secrets = ConnectorSecrets::default();
        secrets.insert("/clientSecret".to_owned(), "s".to_owned().into());
        secrets.insert("/values/1/value".to_owned(), "k\"1".to_owned().into());
        secrets
    }

    #[test]
    fn secrets_read_back_from_their_json() {
        let again = ConnectorSecrets::from_json(secrets().to_json().expose()).unwrap();
        assert_eq!(again.at("/clientSecret").map(|s| s.expose().as_str()), Some("s"));
        assert_eq!(again.at("/values/1/value").map(|s| s.expose().as_str()), Some("k\"1"));
        assert_eq!(ConnectorSecrets::from_json(b"[]").unwrap_err(), InvalidSecrets);
    }

    #[test]
    fn what_was_given_anew_is_laid_over_what_others_changed() {
        let (mut given, mut present) = (secrets(), secrets());
        given.insert("/clientSecret".to_owned(), "t".to_owned().into());
        present.insert("/values/1/value".to_owned(), "other".to_owned().into());
        let both = present.overlaid(&secrets(), &given);
        let at = |pointer: &str| both.at(pointer).map(|secret| secret.expose().as_str());
        assert_eq!((at("/clientSecret"), at("/values/1/value")), (Some("t"), Some("other")));
    }

    #[test]
    fn what_is_kept_elsewhere_is_not_kept_here_and_is_put_in_from_there() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let elsewhere = object(json!({"clientSecret": "s", "values": [{"value": "a"}]}));
        let kept = secrets().without(&elsewhere);
        let text = String::from_utf8(kept.to_json().expose().clone()).unwrap();
        assert_eq!(text, r#"{"/clientSecret":"","/values/1/value":"k\"1"}"#, "only what is there");
        assert!(kept.has_gaps() && !secrets().has_gaps());
        let turned = object(json!({"clientSecret": "t"}));
        let filled = kept.filled(&turned).unwrap();
        assert_eq!(filled.at("/clientSecret").map(|s| s.expose().as_str()), Some("t"));
        assert_eq!(filled.at("/values/1/value").map(|s| s.expose().as_str()), Some("k\"1"));
        for gone in [json!({}), json!({"clientSecret": ""}), json!({"clientSecret": 7})] {
            assert!(kept.filled(&object(gone)).is_none());
        }
        let mut data = Map::new();
        kept.put_back(&mut data, &Map::new());
        assert_eq!(Value::Object(data), json!({}), "nothing is no secret");
    }

    #[test]
    fn a_change_keeps_the_secrets_it_does_not_name() {
        let Value::Object(mut data) = json!({"clientId": "c", "values": [{}, {"scope": "b"}]}) else {
            unreachable!()
        };
        let none = Map::new();
        secrets().put_back(&mut data, &none);
        assert_eq!(
            Value::Object(data),
            json!({"clientId": "c", "clientSecret": "s", "values": [{}, {"scope": "b", "value": "k\"1"}]})
        );

        let named = |value: Value| secrets().outlast(value.as_object().unwrap(), &secrets());
        assert!(named(json!({})) && named(json!({"clientSecret": "t"})));
        assert!(!named(json!({"clientSecret": "t", "values": null})));
        let mut fewer = ConnectorSecrets::default();
        fewer.insert("/clientSecret".to_owned(), "t".to_owned().into());
        let changed = json!({"clientSecret": "t"});
        assert!(!secrets().outlast(changed.as_object().unwrap(), &fewer), "what is gone goes nowhere");

        let Value::Object(changed) = json!({"values": [{"value": "new"}]}) else { unreachable!() };
        let mut data = changed.clone();
        secrets().put_back(&mut data, &changed);
        assert_eq!(Value::Object(data), json!({"values": [{"value": "new"}], "clientSecret": "s"}));
    }
}
