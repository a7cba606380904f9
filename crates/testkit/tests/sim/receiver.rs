//! The project's own host, where webhooks arrive: of what breaks at one port, the provider's events at another. It looks
//! at what proves each of them. In bad times it fails, falls silent, is late, or says no for good.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use carnet_identity::{Algorithm, Expectation, Presented};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;

use crate::dice::Dice;
use crate::provider::Gone;
use crate::start::PROJECT;
use crate::world::{Concerns, World, elapsed};

/// What has arrived.
pub(crate) struct Arrivals {
    dice: Dice,
    pub(crate) all: Vec<Arrival>,
}

/// A webhook that arrived.
pub(crate) struct Arrival {
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
    pub(crate) said: Said,
    /// When it was answered, if in good time.
    answered: Option<Duration>,
}

/// What came of it here, whatever the sender heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Took,
    Failed,
    /// It is not wanted, now or ever.
    Refused,
}

/// What happens to a webhook.
struct Fate {
    said: Said,
    answers: bool,
    after: Duration,
}

impl Arrivals {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed + 4_711), all: Vec::new() }
    }

    fn fate(&self, troubled: bool) -> Fate {
        let fine = Fate { said: Said::Took, answers: true, after: self.dice.millis(5, 60) };
        if !troubled {
            return fine;
        }
        match self.dice.below(8) {
            0 | 1 => Fate { said: Said::Failed, ..fine },
            2 => Fate { said: Said::Failed, answers: false, ..fine },
            3 => Fate { answers: false, ..fine },
            4 => Fate { after: self.dice.millis(6_000, 18_000), ..fine },
            5 => Fate { said: Said::Refused, ..fine },
            _ => fine,
        }
    }

    /// What was said to the attempts of this delivery, with these bytes.
    pub(crate) fn of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Arrival> {
        self.all.iter().filter(move |one| one.id == id)
    }

    pub(crate) fn taken(&self) -> usize {
        self.all.iter().filter(|one| one.said == Said::Took).count()
    }
}

/// The host.
pub(crate) async fn serve(world: Arc<World>) -> turmoil::Result {
    let of_events = tokio::spawn(listen(world.clone(), EVENTS));
    listen(world, HEALTH).await?;
    of_events.await??;
    Ok(())
}

async fn listen(world: Arc<World>, port: u16) -> std::io::Result<()> {
    let listener = turmoil::net::TcpListener::bind(("0.0.0.0", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let world = world.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(world.clone(), port, request));
            let mut serving = hyper::server::conn::http1::Builder::new();
            // So that as many connections are there as there are attempts under way.
            serving.keep_alive(false);
            drop(serving.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    world: Arc<World>,
    port: u16,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Gone> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Gone)?.to_bytes();
    let fate = world.arrives(port, &head, &body);
    tokio::time::sleep(fate.after).await;
    let status = match fate.said {
        Said::Took => 204,
        Said::Failed => 503,
        Said::Refused if port == HEALTH => 410,
        Said::Refused => 400,
    };
    let answer = Response::builder().status(status).body(Full::default()).unwrap();
    if fate.answers { Ok(answer) } else { Err(Gone) }
}

impl World {
    fn arrives(&self, port: u16, head: &Parts, body: &[u8]) -> Fate {
        let id = header(head, "webhook-id").to_owned();
        if let Err(why) = self.is_proven(port, head, body, &id) {
            self.wrong(format!("5: {id} arrives at port {port} unproven: {why}"));
        }
        let now = elapsed();
        let mut arrivals = self.arrivals.lock().unwrap();
        for before in arrivals.of(&id) {
            if before.body != body {
                self.wrong(format!("5: {id} arrives with other bytes than before"));
            }
            let Some(answered) = before.answered.filter(|_| before.said == Said::Took) else { continue };
            if !self.something_happened(Concerns::Webhooks, answered, now) {
                self.wrong(format!("5: {id} was taken at {answered:?} and arrives again at {now:?}"));
            }
        }
        let fate = arrivals.fate(self.troubles.is_receiver());
        let answered = (fate.answers && fate.after < Duration::from_secs(5)).then(|| now + fate.after);
        arrivals.all.push(Arrival { id, body: body.to_vec(), said: fate.said, answered });
        fate
    }

    /// What a receiver can know of a webhook: who sent it, to whom, which bytes.
    fn is_proven(&self, port: u16, head: &Parts, body: &[u8], id: &str) -> Result<(), String> {
        let bearer = header(head, AUTHORIZATION.as_str()).strip_prefix("Bearer ").unwrap_or_default();
        let (audiences, types) = ([url(port)], ["JWT".to_owned()]);
        let expect = Expectation {
            issuer: &self.start.issuer,
            audiences: &audiences,
            algorithms: &[Algorithm::Rs256],
            types: &types,
            max_life: Duration::from_mins(5),
            max_age: None,
            skew: SKEW,
        };
        let read = Presented::parse(bearer).map_err(|error| error.to_string())?;
        let claims = read.verify(&self.start.keys, &expect, self.now()).map_err(|error| error.to_string())?;
        let subject = format!("owner:acme:project:{PROJECT}:environment:production");
        if claims.subject() != subject {
            return Err(format!("it is of {}", claims.subject()));
        }
        let digest = digest::digest(&digest::SHA256, body);
        let hex = digest.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        if claims.claim("body_sha256") != Some(&json!(hex)) {
            return Err("it is of other bytes".to_owned());
        }
        // One of an event says which attempt it is.
        let told = claims.claim("jti").and_then(|id| id.as_str()).unwrap_or_default();
        let told = if port == EVENTS { told.rsplit_once('.').unwrap_or_default().0 } else { told };
        if told == id { Ok(()) } else { Err(format!("it is of {told}")) }
    }
}

fn header<'a>(head: &'a Parts, name: &str) -> &'a str {
    head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Where it takes them.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/{PATH}")
}

pub(crate) const HEALTH: u16 = 81;
pub(crate) const EVENTS: u16 = 82;
pub(crate) const PATH: &str = "hook";
/// The nodes' clocks are off by two seconds at most, and drift.
const SKEW: Duration = Duration::from_secs(3);
