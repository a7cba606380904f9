//! Query parameters: read by name, others ignored, a name given twice refused, and so is a control character anywhere:
//! nothing that is looked for has one, and one of the two stores does not take them all.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::extract::rejection::QueryRejection;
use carnet_model::unread;
use http::Uri;
use http::request::Parts;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::route::{Parameter, Told};
use crate::shape::Shape;

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> Query<T> {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Problem> {
        let query = uri.query().unwrap_or_default();
        if query.as_bytes().windows(3).any(is_control) {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            let held = pairs.find(|(_, value)| value.chars().any(|c| c.is_ascii_control()));
            let why = "A query parameter holds a control character.";
            return Err(match held {
                Some((name, _)) if unread::is_name(&name) => Problem::field(&name, why),
                _ => Problem::invalid(why),
            });
        }
        axum::extract::Query::<T>::try_from_uri(uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|error| misread(query, &error))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

/// Which parameter does not fit, and what would; never what stands there.
fn misread(query: &str, error: &QueryRejection) -> Problem {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    if let Some(name) = unread::field(&text) {
        return Problem::field(&name, format!("The query does not fit: {}.", unread::why(&text)));
    }
    // Where it is stands before what is wrong with it.
    let mut names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    let told = text.split_once(": ").filter(|(place, _)| names.any(|name| name == *place));
    match told {
        Some((name, why)) => {
            Problem::field(name, format!("The query does not fit: {name}: {}.", unread::why(&why)))
        }
        None => Problem::invalid(format!("The query does not fit: {}.", unread::why(&text))),
    }
}

/// `%00` to `%1f`, and `%7f`.
fn is_control(three: &[u8]) -> bool {
    matches!(three, [b'%', b'0' | b'1', _] | [b'%', b'7', b'f' | b'F'])
}

/// `limit`, from 1 to `MOST`, as it was written: what it means is [`page_of`]'s to say, for every list alike.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Limit<const MOST: u32 = 100>(String);

impl<const MOST: u32> JsonSchema for Limit<MOST> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        u32::schema_name()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": MOST})
    }
}

/// How long a page of a list is to be, in digits, and nothing else is taken for it.
pub(crate) fn page_of<const MOST: u32>(limit: Option<Limit<MOST>>) -> Result<Option<u32>, Problem> {
    let Some(Limit(text)) = limit else { return Ok(None) };
    let asked = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    match asked.filter(|asked| (1..=MOST).contains(asked)) {
        Some(fitting) => Ok(Some(fitting)),
        None => Err(Problem::field("limit", format!("limit is from 1 to {MOST}."))),
    }
}

/// The query of a list that comes whole: a `limit` is looked at as everywhere, and leaves nothing out, for there is no
/// second page on which to find it.
pub(crate) struct Whole;

impl<S: Send + Sync> FromRequestParts<S> for Whole {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(WholeParams { limit }) = Query::of(&parts.uri)?;
        page_of(limit).map(|_| Self)
    }
}

impl Parameter for Whole {
    fn tell(told: &mut Told) {
        told.query = Some(Shape::of::<WholeParams>());
    }
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct WholeParams {
    /// 1 to 100; the list comes whole all the same.
    limit: Option<Limit>,
}

/// `a,b` as a list, without empty names.
pub(crate) fn comma_list(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use carnet_model::Code;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read only to see how it fails")]
    struct Asked {
        user: String,
        all: Option<bool>,
    }

    #[test]
    fn a_query_that_does_not_fit_names_the_parameter_and_not_what_stands_there() {
        for (query, field, said) in [
            ("all=true", "user", "The query does not fit: the field `user` is missing."),
            ("user=x&user=hunter2", "user", "The query does not fit: the field `user` is there twice."),
            ("user=x&all=hunter2", "all", "The query does not fit: all: expected true or false."),
            ("user=x%0ahunter2", "user", "A query parameter holds a control character."),
        ] {
            let uri = format!("/v1/x?{query}").parse().unwrap();
            let Err(Problem(fault)) = Query::<Asked>::of(&uri) else { panic!("{query} is taken") };
            assert_eq!((&fault.extra["field"], fault.message.as_str()), (&field.into(), said), "{query}");
        }
        assert!(Query::<Asked>::of(&"/v1/x?user=x&other=1&other=2".parse().unwrap()).is_ok());
    }

    #[test]
    fn a_limit_is_a_number_within_its_bounds_or_refused_by_name() {
        let read = |text: &str| page_of(Some(Limit::<100>(text.to_owned())));
        for (text, want) in [("1", 1), ("100", 100), ("007", 7)] {
            assert!(matches!(read(text), Ok(Some(found)) if found == want), "{text}");
        }
        for text in
            ["0", "-1", "101", "4294967297", "99999999999999999999", "x", "1.5", "1e1", "+5", "", " 5", "٣"]
        {
            let Err(Problem(fault)) = read(text) else { panic!("{text} is taken") };
            assert_eq!(
                (fault.code, &fault.extra["field"]),
                (Code::InvalidRequest, &"limit".into()),
                "{text}"
            );
        }
        assert!(matches!(page_of(None::<Limit>), Ok(None)));
    }
}
