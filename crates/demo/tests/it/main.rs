//! The demo provider over HTTP, as a client, a browser and a person with `curl` see it.

mod api;
mod authorize;
mod metadata;
mod refresh;
mod restart;
mod revoke;
mod token;
#[cfg(test)]
mod world;
