//! Root-key providers that are services: AWS KMS, Google Cloud KMS, and the transit engine of Vault and OpenBao.
//!
//! Promised: the root key leaves this process only towards the service that the operator named, over one guarded
//! client; every wrap is bound to its deployment, root key and version by the service's own means (encryption context,
//! additional authenticated data); what comes back is the key that was wrapped, by a commitment beside the wrap, or
//! nothing. A refusal that somebody meant ([`RootKeyError::Denied`](carnet_vault::RootKeyError)) is told apart from
//! silence and nonsense. Not promised: anything against the service itself, which sees the root key.
//!
//! Plain HTTP by the services' public references, without their libraries: three calls each do not pay for them.
//! Whoever holds a wrap and may use the service's key can unwrap it; so may anybody at the service.
//!
//! # What is stored
//!
//! ```text
//! offset  length  field
//! 0       1       version     01
//! 1       32      commitment  HMAC-SHA-256 (root key, "carnet-root/1" and what it is bound to)
//! 33      n       what the service answered, as it was
//! ```

mod aws;
mod bound;
mod crc32c;
mod gcp;
mod service;
mod transit;

pub use aws::{AwsCredentials, AwsKms, AwsKmsConfig};
pub use gcp::{GcpCredentials, GcpKms, GcpKmsConfig};
pub use service::{ConfigError, ServiceError};
pub use transit::{Transit, TransitAuth, TransitConfig};
