//! Who calls, and who we are: strict JWT, trusted issuers, JWKS; our own issuer
