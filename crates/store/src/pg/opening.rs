//! Why a PostgreSQL server does not open: the part of the address that is wrong, or what stood in the way where it leads.
//! The password is in none of it.

use std::error::Error as _;
use std::path::PathBuf;

use deadpool_postgres::PoolError;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::trust::{self, Roots};
use crate::db::{DbError, OpenError};

/// What the address says.
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) roots: Roots,
}

/// Reads the address.
pub(super) fn address(url: &str) -> Result<Address, OpenError> {
    let (plain, roots) = own_words(url)?;
    let config: Result<Config, _> = plain.parse();
    match config {
        Ok(config) if !config.get_hosts().is_empty() => Ok(Address { config, roots }),
        Ok(_) => Err(OpenError::Address("it names no host".to_owned())),
        Err(_) if !url.starts_with("postgres://") && !url.starts_with("postgresql://") => {
            Err(OpenError::Address("it does not begin with postgres://".to_owned()))
        }
        Err(error) => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
            if why.contains("`sslmode`") {
                return Err(OpenError::Address(format!("{why}, which is {MODES}")));
            }
            // The name of an unknown parameter may be the rest of a password with a question mark in it.
            let why = if why.starts_with("unknown option") {
                "a parameter behind the question mark is none that is known here".to_owned()
            } else {
                why
            };
            Err(OpenError::Address(format!("{why}; {ENCODED}")))
        }
    }
}

/// Takes out of the address what the client has no word for.
fn own_words(url: &str) -> Result<(String, Roots), OpenError> {
    let past = url.find('@').map_or(0, |at| at + 1);
    let Some(mark) = url.get(past..).and_then(|rest| rest.find('?')) else {
        return Ok((url.to_owned(), Roots::System));
    };
    let (base, query) = url.split_at(past + mark);
    let mut roots = Roots::System;
    let mut kept = Vec::new();
    for parameter in query.trim_start_matches('?').split('&') {
        match parameter.split_once('=') {
            // The two stronger words mean what this client always does when it uses TLS: check chain and name.
            Some(("sslmode", "verify-full" | "verify-ca")) => kept.push("sslmode=require"),
            Some(("sslrootcert", "system")) => roots = Roots::System,
            Some(("sslrootcert", file)) => roots = Roots::File(decoded(file)?),
            _ => kept.push(parameter),
        }
    }
    let mark = if kept.is_empty() { "" } else { "?" };
    Ok((format!("{base}{mark}{}", kept.join("&")), roots))
}

/// The path of a file, as the client reads percent-encoded text.
fn decoded(file: &str) -> Result<PathBuf, OpenError> {
    let read: Result<Config, _> = format!("postgres:///?application_name={file}").parse();
    let path = read.ok().and_then(|read| read.get_application_name().map(PathBuf::from));
    path.filter(|path| path.is_absolute())
        .ok_or_else(|| OpenError::Address("sslrootcert is the whole path of a file, or system".to_owned()))
}

/// Where the address leads, for people.
pub(super) fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |number: usize| ports.get(number).or(ports.first()).copied().unwrap_or(5432);
    let named = config.get_hosts().iter().enumerate().map(|(number, host)| match host {
        Host::Tcp(name) => format!("{name}:{}", port(number)),
        Host::Unix(folder) => folder.display().to_string(),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// Why no connection was made at the start.
pub(super) fn refused(place: &str, error: PoolError) -> OpenError {
    let why = match &error {
        // What the server says of itself: a wrong password, a database that is not there, no room for one more.
        PoolError::Backend(error) => match error.as_db_error() {
            Some(said) => said.message().to_owned(),
            None => trust::of_certificate(error)
                .unwrap_or_else(|| error.source().map_or_else(|| error.to_string(), ToString::to_string)),
        },
        PoolError::Timeout(_) => "it does not answer in time".to_owned(),
        _ => return OpenError::Db(super::unreachable(error)),
    };
    OpenError::Db(DbError::Unavailable(format!("{place}: {why}")))
}

const ENCODED: &str = "in a user's name and a password, what is neither letter nor digit is written percent-encoded, \
                       such as %40 for @, %3F for ? and %25 for %";

const MODES: &str = "disable, prefer, require, verify-ca or verify-full here";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_is_wrong_is_told_and_never_the_password() {
        let good = [
            "postgres://a:p%40ss@db.example:6432/x?sslmode=verify-full",
            "postgresql://a@[::1]/x",
            "host=/run user=a",
        ];
        let places: Vec<_> = good.iter().map(|url| place(&address(url).unwrap().config)).collect();
        assert_eq!(places, ["db.example:6432", "::1:5432", "/run"]);
        for (url, part) in [
            ("mysql://a:hush@db/x", "postgres://"),
            ("postgres://a:hush@db/x?hush=1", "a parameter"),
            ("postgres://a:hush@db/x?sslmode=hush", "`sslmode`, which is disable, prefer"),
            ("postgres://a:hush@db/x?sslmode=allow", "`sslmode`, which is disable, prefer"),
            ("postgres://a:hush@db/x?sslrootcert=hush.pem", "the whole path"),
            ("postgres://a:hush@db:hush/x", "`port`"),
            ("postgres:///x?user=a", "no host"),
            ("postgres://a%ff:hush@db/x", "%25"),
        ] {
            let told = address(url).err().unwrap().to_string();
            assert!(told.contains(part) && !told.contains("hush"), "{url}: {told}");
        }
    }

    #[test]
    fn the_file_of_the_authorities_is_taken_out_and_the_rest_stays() {
        for (url, plain, roots) in [
            (
                "postgres://a:b@h/x?sslrootcert=/etc/ca%20x.pem",
                "postgres://a:b@h/x",
                Roots::File("/etc/ca x.pem".into()),
            ),
            (
                "postgres://h/x?options=-cx%3Dy&sslmode=verify-full&sslrootcert=/ca&port=1",
                "postgres://h/x?options=-cx%3Dy&sslmode=require&port=1",
                Roots::File("/ca".into()),
            ),
            ("postgres://h/x?sslrootcert=system", "postgres://h/x", Roots::System),
            ("postgres://a:sslmode=verify-ca@h/x", "postgres://a:sslmode=verify-ca@h/x", Roots::System),
        ] {
            assert_eq!(own_words(url).unwrap(), (plain.to_owned(), roots));
        }
    }
}
