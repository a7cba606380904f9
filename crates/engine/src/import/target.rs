//! What an imported token is for: resources, audiences, authorization details.
//!
//! Only what the connector can name again is kept: a token that is renewed for something else than it was given for
//! would be another one. It is besides what the person consented to, which later requests are held against.

use carnet_model::{Code, Fault};
use carnet_providers::{Bound, Resources, TokenAbilities, is_resource};
use serde_json::Value;

use super::invalid;
use crate::directory::Entry;

/// Found fit for the connector, or refused by the name of the field.
pub(super) fn checked(entry: &Entry, bound: Bound) -> Result<Bound, Fault> {
    let uid = &entry.row.connector.uid;
    let none = TokenAbilities::default();
    let can = entry.abilities.user.as_ref().unwrap_or(&none);
    let Bound { resources, audience, details } = &bound;
    for (field, count) in [
        ("resources", resources.len()),
        ("audience", audience.len()),
        ("authorizationDetails", details.len()),
    ] {
        if count > MOST {
            return Err(invalid(field, &format!("has at most {MOST} entries")));
        }
    }
    if !resources.iter().all(|text| is_resource(text)) {
        return Err(invalid(
            "resources",
            "are absolute URIs of at most 2048 characters, without a fragment (RFC 8707 §2)",
        ));
    }
    let odd = |text: &String| {
        text.is_empty() || text.len() > LONGEST || text.chars().any(|c| c.is_control() || c == ' ')
    };
    if audience.iter().any(odd) {
        return Err(invalid("audience", "holds texts of 1 to 2048 characters without spaces"));
    }
    if let Some(foreign) = can.resources.foreign(resources) {
        let foreign: String = foreign.chars().take(200).collect();
        return Err(invalid(
            "resources",
            &match &can.resources {
                Resources::Only(own) => {
                    format!("cannot be kept: {uid} is for {own}, and not for {foreign:?}")
                }
                _ => format!("cannot be kept: {uid} binds no token to a resource"),
            },
        ));
    }
    if !audience.is_empty() && !can.audience {
        return Err(invalid("audience", &format!("cannot be kept: {uid} binds no token to an audience")));
    }
    let kind = |detail: &Value| detail.get("type").and_then(Value::as_str).map(str::to_owned);
    let is_known = |detail: &Value| kind(detail).is_some_and(|kind| can.details.contains(&kind));
    if !details.iter().all(is_known) {
        let fault = Fault::new(
            Code::InvalidRequest,
            format!("authorizationDetails cannot be kept: {uid} does not know a type of detail among them."),
        );
        return Err(fault.with("field", "authorizationDetails").with("supported", can.details.clone()));
    }
    Ok(bound)
}

/// What later requests are held against: what the person consented to, besides the connector's own.
pub(super) fn consented(entry: &Entry, bound: &Bound) -> Bound {
    let any = entry.abilities.user.as_ref().is_some_and(|user| user.resources == Resources::Any);
    Bound { resources: if any { bound.resources.clone() } else { Vec::new() }, ..bound.clone() }
}

/// As many as a token request may name.
const MOST: usize = 20;
const LONGEST: usize = 2048;
