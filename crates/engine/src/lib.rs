//! The verbs: issue, refresh, consent, link, revoke, audit
