//! The rule as plain functions without a network, for the fuzz targets alone.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::Uri;
use url::Url;

use crate::connect::Dial;
use crate::policy::{Policy, Purpose, Rules};
use crate::resolve::{Resolve, Resolved};
use crate::url_rule::UrlRefused;

/// What [`Egress::check`](crate::Egress::check) says, without the machine's certificates.
pub fn judge(policy: Policy, text: &str, purpose: Purpose) -> Result<Url, UrlRefused> {
    // No policy of a fuzz target is unsound.
    Rules::new(policy).map_err(|_| UrlRefused::Unreadable)?.judge(text, purpose)
}

/// The addresses that [`Egress::send`](crate::Egress::send) would connect to if a resolver answered this; `None` if it
/// would not.
pub fn addresses(policy: Policy, text: &str, purpose: Purpose, answers: Vec<IpAddr>) -> Option<Vec<IpAddr>> {
    let rules = Arc::new(Rules::new(policy).ok()?);
    let url = rules.judge(text, purpose).ok()?;
    let target = Uri::try_from(url.as_str()).ok()?;
    let dial = Dial { rules, resolver: Arc::new(Answering(answers)), transport: None, purpose };
    let finding = pin!(dial.addresses(target.host().unwrap_or_default()));
    match finding.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found.ok(),
        // The resolver answers at once.
        Poll::Pending => None,
    }
}

struct Answering(Vec<IpAddr>);

impl Resolve for Answering {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolved<'a> {
        Box::pin(async { io::Result::Ok(self.0.clone()) })
    }
}
