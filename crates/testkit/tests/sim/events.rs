//! Events that the provider sends by itself: signed, to whichever node is there, and again where it did not hear that one
//! was taken.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use carnet_engine::{Broker, Posted};
use carnet_model::Code;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use crate::provider::SIGNS_WITH;
use crate::world::World;

/// All that were sent, by the provider's identifier.
#[derive(Default)]
pub(crate) struct Events(pub(crate) BTreeMap<u64, Sent>);

pub(crate) struct Sent {
    pub(crate) body: Vec<u8>,
    /// What each try was called here.
    pub(crate) requests: Vec<Vec<u8>>,
    pub(crate) acknowledged: bool,
}

impl Events {
    fn next(&mut self) -> (u64, Vec<u8>) {
        let number = self.0.len() as u64;
        let body = json!({"type": "event_callback", "team_id": "T1", "event_id": format!("Ev{number}"),
            "event": {"type": "app_mention", "text": "x".repeat(usize::try_from(number % 7).unwrap() * 100)}});
        let body = body.to_string().into_bytes();
        self.0.insert(number, Sent { body: body.clone(), requests: Vec::new(), acknowledged: false });
        (number, body)
    }

    /// How many were taken.
    pub(crate) fn acknowledged(&self) -> usize {
        self.0.values().filter(|sent| sent.acknowledged).count()
    }
}

/// Sends one more to this node.
pub(crate) async fn send(world: Arc<World>, broker: Broker) {
    let (number, body) = world.events.lock().unwrap().next();
    for _ in 0..TRIES {
        let request = broker.request_id();
        if let Some(sent) = world.events.lock().unwrap().0.get_mut(&number) {
            sent.requests.push(request.bytes().to_vec());
        }
        let headers = signed(world.now().secs(), &body);
        let posted = Posted { asks: false, headers: &headers, query: None, body: &body };
        match Box::pin(broker.receive_trigger(&world.start.connector, posted, request)).await {
            Ok(_) => {
                if let Some(sent) = world.events.lock().unwrap().0.get_mut(&number) {
                    sent.acknowledged = true;
                }
                return;
            }
            Err(fault) if fault.code == Code::StoreUnavailable => {}
            Err(fault) => world.wrong(format!("5: event {number} is answered {fault:?}")),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// As Slack signs.
fn signed(at: i64, body: &[u8]) -> HeaderMap {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SIGNS_WITH.as_bytes());
    let mut signing = hmac::Context::with_key(&key);
    signing.update(format!("v0:{at}:").as_bytes());
    signing.update(body);
    let mut signature = "v0=".to_owned();
    for byte in signing.sign().as_ref() {
        write!(signature, "{byte:02x}").unwrap();
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(TIME, HeaderValue::from(at));
    headers.insert(SIGNATURE, HeaderValue::try_from(signature).unwrap());
    headers
}

const TIME: HeaderName = HeaderName::from_static("x-slack-request-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-slack-signature");
/// How often the provider sends an event that is not taken, and after which time again.
const TRIES: u64 = 4;
const AGAIN: Duration = Duration::from_secs(1);
