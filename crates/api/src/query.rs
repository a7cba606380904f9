//! Query parameters: read by name, others ignored, a name given twice refused, and so is a control character anywhere:
//! nothing that is looked for has one, and one of the two stores does not take them all.

use axum::extract::FromRequestParts;
use carnet_model::{Code, Fault};
use http::Uri;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

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

/// How long a page of a list is to be: from 1 to `most`, and nothing else is taken for it.
pub(crate) fn page_of(most: u32, limit: Option<u32>) -> Result<Option<u32>, Problem> {
    match limit {
        Some(asked) if !(1..=most).contains(&asked) => Err(Problem(
            Fault::new(Code::InvalidRequest, format!("limit is from 1 to {most}.")).with("field", "limit"),
        )),
        fitting => Ok(fitting),
    }
}

/// `a,b` as a list, without empty names.
pub(crate) fn comma_list(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}
