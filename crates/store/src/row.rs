//! Statements, values and rows that are the same for both engines.

use carnet_model::{Environment, Id, Kind, Time};

use crate::db::DbError;

/// A statement with numbered parameters `$1`, `$2`, … Nearly always one text for both engines.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// For SQLite.
    pub lite: &'static str,
    /// For PostgreSQL.
    pub pg: &'static str,
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self { lite: text, pg: text }
    }
}

/// What a column can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `bytea`
    Blob(Vec<u8>),
    /// `bigint`
    Int(i64),
    /// `null`
    Null,
    /// `text`
    Text(String),
}

macro_rules! from {
    ($($from:ty => |$value:ident| $into:expr;)*) => {$(
        impl From<$from> for Value {
            fn from($value: $from) -> Self { $into }
        }
    )*};
}

from! {
    i64 => |v| Self::Int(v);
    bool => |v| Self::Int(i64::from(v));
    &str => |v| Self::Text(v.to_owned());
    &String => |v| Self::Text(v.clone());
    String => |v| Self::Text(v);
    Vec<u8> => |v| Self::Blob(v);
    &[u8] => |v| Self::Blob(v.to_vec());
    [u8; 16] => |v| Self::Blob(v.to_vec());
    [u8; 32] => |v| Self::Blob(v.to_vec());
    Time => |v| Self::Int(v.millis());
    Environment => |v| Self::Text(v.to_string());
}

impl<K: Kind> From<Id<K>> for Value {
    fn from(id: Id<K>) -> Self {
        Self::Blob(id.bytes().to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// `args![id, name, now]`: the parameters of a statement, in order.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::row::Value::from($value)),*] };
}
pub(crate) use args;

/// One row of an answer, read by position. Names the table in its errors, so that a contradiction can be found.
pub struct Row<'a> {
    pub(crate) table: &'static str,
    pub(crate) cells: Cells<'a>,
}

pub(crate) enum Cells<'a> {
    Lite(&'a rusqlite::Row<'a>),
    Pg(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// The value at `index`, which must not be null.
    pub fn get<T: Cell>(&self, index: usize) -> Result<T, DbError> {
        self.maybe(index)?.ok_or_else(|| self.corrupt(index))
    }

    /// The value at `index`, or `None` for null.
    pub fn maybe<T: Cell>(&self, index: usize) -> Result<Option<T>, DbError> {
        let raw = match &self.cells {
            Cells::Lite(row) => row.get::<_, Option<T::Raw>>(index).map_err(|_| self.corrupt(index))?,
            Cells::Pg(row) => row.try_get::<_, Option<T::Raw>>(index).map_err(|_| self.corrupt(index))?,
        };
        raw.map(|raw| T::from_raw(raw).ok_or_else(|| self.corrupt(index))).transpose()
    }

    /// Text at `index` that `parse` must understand.
    pub fn parsed<T>(&self, index: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, DbError> {
        parse(&self.get::<String>(index)?).ok_or_else(|| self.corrupt(index))
    }

    /// JSON text at `index`.
    pub fn json<T: serde::de::DeserializeOwned>(&self, index: usize) -> Result<T, DbError> {
        self.parsed(index, |text| serde_json::from_str(text).ok())
    }

    /// The error for a cell that contradicts the schema.
    pub fn corrupt(&self, column: usize) -> DbError {
        DbError::Corrupt { table: self.table, column }
    }
}

/// What a cell can be read as.
pub trait Cell: Sized {
    /// The type that the engines give.
    type Raw: rusqlite::types::FromSql + for<'a> tokio_postgres::types::FromSql<'a>;
    /// Reads it; `None` if it cannot be that.
    fn from_raw(raw: Self::Raw) -> Option<Self>;
}

macro_rules! cell {
    ($($name:ty, $raw:ty => |$value:ident| $into:expr;)*) => {$(
        impl Cell for $name {
            type Raw = $raw;
            fn from_raw($value: $raw) -> Option<Self> { $into }
        }
    )*};
}

cell! {
    i64, i64 => |v| Some(v);
    bool, i64 => |v| match v { 0 => Some(false), 1 => Some(true), _ => None };
    String, String => |v| Some(v);
    Vec<u8>, Vec<u8> => |v| Some(v);
    Time, i64 => |v| Some(Time::from_millis(v));
    Environment, String => |v| Environment::parse(&v).ok();
}

impl<const N: usize> Cell for [u8; N] {
    type Raw = Vec<u8>;
    fn from_raw(raw: Vec<u8>) -> Option<Self> {
        raw.try_into().ok()
    }
}

impl<K: Kind> Cell for Id<K> {
    type Raw = Vec<u8>;
    fn from_raw(raw: Vec<u8>) -> Option<Self> {
        <[u8; 16]>::from_raw(raw).map(Self::from_bytes)
    }
}

/// A type that is read from a row.
pub trait FromRow: Sized + Send + 'static {
    /// The table it is mostly read from, for errors.
    const TABLE: &'static str;
    /// Reads it.
    fn from_row(row: &Row<'_>) -> Result<Self, DbError>;
}

impl FromRow for i64 {
    const TABLE: &'static str = "(number)";
    fn from_row(row: &Row<'_>) -> Result<Self, DbError> {
        row.get(0)
    }
}

/// JSON text of a value that cannot fail to serialize: maps with text keys and plain values.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// PostgreSQL's text has no NUL.
#[derive(Debug, thiserror::Error)]
#[error("text with NUL")]
pub(crate) struct Nul;

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Null => ValueRef::Null,
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl tokio_postgres::types::ToSql for Value {
    fn to_sql(
        &self,
        ty: &tokio_postgres::types::Type,
        out: &mut bytes::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Blob(bytes) => bytes.to_sql(ty, out),
            Self::Int(number) => number.to_sql(ty, out),
            Self::Null => Ok(tokio_postgres::types::IsNull::Yes),
            // PostgreSQL text cannot hold NUL; refused here rather than cut.
            Self::Text(text) if text.contains('\0') => Err(Box::new(Nul)),
            Self::Text(text) => text.to_sql(ty, out),
        }
    }

    fn accepts(ty: &tokio_postgres::types::Type) -> bool {
        use tokio_postgres::types::Type;
        matches!(*ty, Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    tokio_postgres::types::to_sql_checked!();
}
