//! Why a PostgreSQL server does not open: the part of the address that is wrong, or what stood in the way where it leads.
//! The password is in none of it.

use std::error::Error as _;

use deadpool_postgres::PoolError;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::db::{DbError, OpenError};

/// What the address says.
pub(super) fn address(url: &str) -> Result<Config, OpenError> {
    // The two stronger libpq words mean what this client always does when it uses TLS: check chain and name.
    let plain =
        url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    let config: Result<Config, _> = plain.parse();
    match config {
        Ok(config) if !config.get_hosts().is_empty() => Ok(config),
        Ok(_) => Err(OpenError::Address("it names no host".to_owned())),
        Err(_) if !url.starts_with("postgres://") && !url.starts_with("postgresql://") => {
            Err(OpenError::Address("it does not begin with postgres://".to_owned()))
        }
        Err(error) => {
            let why = error.source().map(ToString::to_string).unwrap_or_default();
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
            None => error.source().map_or_else(|| error.to_string(), ToString::to_string),
        },
        PoolError::Timeout(_) => "it does not answer in time".to_owned(),
        _ => return OpenError::Db(super::unreachable(error)),
    };
    OpenError::Db(DbError::Unavailable(format!("{place}: {why}")))
}

const ENCODED: &str = "in a user's name and a password, what is neither letter nor digit is written percent-encoded, \
                       such as %40 for @, %3F for ? and %25 for %";

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
        let places: Vec<_> = good.iter().map(|url| place(&address(url).unwrap())).collect();
        assert_eq!(places, ["db.example:6432", "::1:5432", "/run"]);
        for (url, part) in [
            ("mysql://a:hush@db/x", "postgres://"),
            ("postgres://a:hush@db/x?hush=1", "a parameter"),
            ("postgres://a:hush@db/x?sslmode=hush", "`sslmode`"),
            ("postgres://a:hush@db:hush/x", "`port`"),
            ("postgres:///x?user=a", "no host"),
            ("postgres://a%ff:hush@db/x", "%25"),
        ] {
            let told = address(url).err().unwrap().to_string();
            assert!(told.contains(part) && !told.contains("hush"), "{url}: {told}");
        }
    }
}
