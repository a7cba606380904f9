//! Query parameters: read by name, others ignored, a name given twice refused, and so is a control character anywhere:
//! nothing that is looked for has one, and one of the two stores does not take them all.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use carnet_model::{Code, Fault};
use http::Uri;
use http::request::Parts;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;
use crate::route::{Parameter, Told};
use crate::shape::Shape;

/// The query of a request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> Query<T> {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Problem> {
        let coded = uri.query().unwrap_or_default().as_bytes().windows(3);
        if coded.into_iter().any(is_control) {
            return Err(Problem::invalid("A query parameter holds a control character."));
        }
        axum::extract::Query::<T>::try_from_uri(uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|_| Problem::invalid("A query parameter appears twice, or is not what it should be."))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.uri)
    }
}

/// `%00` to `%1f`, and `%7f`.
fn is_control(three: &[u8]) -> bool {
    matches!(three, [b'%', b'0' | b'1', _] | [b'%', b'7', b'f' | b'F'])
}

/// `limit`, as it was written: what it means is [`page_of`]'s to say, for every list alike.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Limit(String);

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        u32::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        u32::json_schema(generator)
    }
}

/// How long a page of a list is to be: from 1 to `most`, in digits, and nothing else is taken for it.
pub(crate) fn page_of(most: u32, limit: Option<Limit>) -> Result<Option<u32>, Problem> {
    let Some(Limit(text)) = limit else { return Ok(None) };
    let asked = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    match asked.filter(|asked| (1..=most).contains(asked)) {
        Some(fitting) => Ok(Some(fitting)),
        None => Err(Problem(
            Fault::new(Code::InvalidRequest, format!("limit is from 1 to {most}.")).with("field", "limit"),
        )),
    }
}

/// The query of a list that comes whole: a `limit` is looked at as everywhere, and leaves nothing out, for there is no
/// second page on which to find it.
pub(crate) struct Whole;

impl<S: Send + Sync> FromRequestParts<S> for Whole {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(WholeParams { limit }) = Query::of(&parts.uri)?;
        page_of(100, limit).map(|_| Self)
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
    use super::*;

    #[test]
    fn a_limit_is_a_number_within_its_bounds_or_refused_by_name() {
        let read = |text: &str| page_of(100, Some(Limit(text.to_owned())));
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
        assert!(matches!(page_of(100, None), Ok(None)));
    }
}
