//! The outside world: definitions, OAuth 2.0 and OIDC as a client, drivers
