//! Drivers against a scripted server on loopback: what arrives there, request by request, and what comes of it.

#[cfg(test)]
mod api_key;
#[cfg(test)]
mod atlassian;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod github;
#[cfg(test)]
mod google;
#[cfg(test)]
mod google_service_account;
#[cfg(test)]
mod key;
#[cfg(test)]
mod microsoft_entra;
#[cfg(test)]
mod oauth_accept;
#[cfg(test)]
mod oauth_clock;
mod oauth_consent;
#[cfg(test)]
mod oauth_discovery;
#[cfg(test)]
mod oauth_failures;
#[cfg(test)]
mod oauth_front;
#[cfg(test)]
mod oauth_mint;
#[cfg(test)]
mod oauth_pinned;
#[cfg(test)]
mod oauth_registration;
#[cfg(test)]
mod oauth_resource;
#[cfg(test)]
mod oauth_revoke;
#[cfg(test)]
mod oauth_subjects;
#[cfg(test)]
mod oauth_table;
#[cfg(test)]
mod oauth_target;
#[cfg(test)]
mod okta;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod rigs;
#[cfg(test)]
mod salesforce;
#[cfg(test)]
mod server;
#[cfg(test)]
mod services;
#[cfg(test)]
mod slack;
#[cfg(test)]
mod snowflake;
#[cfg(test)]
mod struggles;
