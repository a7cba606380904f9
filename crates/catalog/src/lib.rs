//! What is known about services, as data: one file each in `catalog/`, compiled in, and the operator's own beside them.
//!
//! A file holds facts and no behaviour: the ways to connect a service, where its server is, how long its tokens live and
//! how its refresh tokens turn, and what each scope allows in plain words, which is what a person reads before consenting.
//! Every file says where its facts were read and when, and whether anybody has tried them. What is not known is absent;
//! who needs it says so, and does not guess.
//!
//! What is promised of a file that [was read](Entry::read): no member that is not known; every address https; every
//! address under the [hosts](Entry::hosts) that the file names, whatever a person fills into its template; no default scope
//! without words. A file that breaks one is refused with its name and line, so that an operator's own file is either
//! understood or not used at all.
//!
//! [`Catalog`] finds entries. [`Entry::plan`] makes of a way to connect, what a person filled in and what they brought
//! from the service the `data` of a connector, which its driver then examines like any other.

mod book;
mod entry;
mod host;
mod plan;
mod read;
mod schema;
mod template;
mod text;
mod words;

pub use book::{Catalog, Unreadable};
pub use entry::{
    App, ClientAuth, Entry, Field, FieldKind, Key, Method, Oauth, Pkce, Refresh, RefreshClass, Target,
    Verified,
};
pub use host::HostPattern;
pub use plan::{Ask, Plan, Unfit};
pub use read::Invalid;
pub use template::Template;
pub use words::describe_standard_scope;
