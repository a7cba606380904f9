//! The only way out: address check, limits, no redirects
