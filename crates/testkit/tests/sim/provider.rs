//! The provider: a model of what it knows, and the host that answers by it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use carnet_model::grant::Rotation;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use url::form_urlencoded;

use crate::dice::Dice;
use crate::start::User;
use crate::world::{Concerns, World, elapsed};

/// What it knows.
pub(crate) struct Model {
    rotation: Rotation,
    dice: Dice,
    refresh: HashMap<String, RefreshToken>,
    access: HashMap<String, String>,
    dead: Vec<String>,
    /// Users who took back what they had granted.
    over: BTreeSet<String>,
    next: u64,
    /// When something was last done for a user, and whether the word of it was spoilt here.
    pub(crate) done: BTreeMap<String, (Duration, bool)>,
    pub(crate) refreshes: usize,
}

struct RefreshToken {
    user: String,
    spent: Option<Duration>,
    /// The latest time it was presented, and whether that answer was spoilt here.
    presented: Option<(Duration, bool)>,
}

/// What happens to a request.
struct Fate {
    works: bool,
    answers: bool,
    after: Duration,
}

/// An answer, and when.
struct Reply {
    after: Duration,
    answer: Option<Response<Full<Bytes>>>,
}

impl Model {
    pub(crate) fn new(rotation: Rotation, seed: u64, users: &[User]) -> Self {
        let fresh = |user: &User| RefreshToken { user: user.name.clone(), spent: None, presented: None };
        Self {
            rotation,
            dice: Dice::new(seed),
            refresh: users.iter().map(|user| (user.refresh.clone(), fresh(user))).collect(),
            access: users.iter().map(|user| (user.access.clone(), user.name.clone())).collect(),
            dead: Vec::new(),
            over: BTreeSet::new(),
            next: 0,
            done: BTreeMap::new(),
            refreshes: 0,
        }
    }

    /// Whose token this is.
    pub(crate) fn whose(&self, access: &str) -> Option<&str> {
        self.access.get(access).map(String::as_str)
    }

    /// A user takes back what was granted. So few do that the provider is believed.
    pub(crate) fn end(&mut self, user: &str) {
        if self.over.len() < ENDS {
            self.over.insert(user.to_owned());
        }
    }

    /// Whether this user did.
    pub(crate) fn is_over(&self, user: &str) -> bool {
        self.over.contains(user)
    }

    fn fate(&self, troubled: bool) -> Fate {
        let quick = self.dice.millis(5, 60);
        let fine = Fate { works: true, answers: true, after: quick };
        if !troubled {
            return fine;
        }
        match self.dice.below(12) {
            0 => Fate { works: false, ..fine },
            1 => Fate { works: false, answers: false, ..fine },
            2 => Fate { answers: false, ..fine },
            3 => Fate { after: self.dice.millis(6_000, 12_000), ..fine },
            _ => fine,
        }
    }

    fn refresh(&mut self, world: &World, token: &str) -> Reply {
        let now = elapsed();
        let fate = self.fate(world.troubles.is_provider());
        let spoilt = !fate.answers || fate.after > Duration::from_secs(5);
        if !fate.works {
            let answer = fate.answers.then(|| say(503, &json!({"error": "temporarily_unavailable"})));
            return Reply { after: fate.after, answer };
        }
        self.refreshes += 1;
        let Some(known) = self.refresh.get_mut(token) else {
            return Reply { after: fate.after, answer: Some(refused()) };
        };
        let user = known.user.clone();
        if let Some((before, was_spoilt)) = known.presented
            && self.rotation != Rotation::None
            && !was_spoilt
            && !world.something_happened(Concerns::Refreshes, before, now)
        {
            world.wrong(format!(
                "3: a refresh token of {user} is presented again at {now:?} after {before:?}"
            ));
        }
        known.presented = Some((now, spoilt));
        let reuse = match (self.rotation, known.spent) {
            (Rotation::None, _) | (_, None) => false,
            (Rotation::Grace { seconds }, Some(spent)) => {
                now > spent + Duration::from_secs(u64::from(seconds))
            }
            (Rotation::Strict, Some(_)) => true,
        };
        if reuse {
            self.dead.push(user.clone());
        }
        let answer = if self.dead.contains(&user) || self.over.contains(&user) {
            refused()
        } else {
            known.spent = known.spent.or(Some(now));
            self.done.insert(user.clone(), (now, spoilt));
            self.give(&user)
        };
        Reply { after: fate.after, answer: fate.answers.then_some(answer) }
    }

    fn give(&mut self, user: &str) -> Response<Full<Bytes>> {
        self.next += 1;
        let access = format!("access-{}-of-{user}", self.next);
        self.access.insert(access.clone(), user.to_owned());
        let life = if self.dice.one_in(8) { 130 } else { 4 + self.dice.below(8) };
        let mut answer = json!({"access_token": access, "token_type": "Bearer", "expires_in": life});
        if self.rotation != Rotation::None {
            let token = format!("refresh-{}-of-{user}", self.next);
            answer["refresh_token"] = token.clone().into();
            let fresh = RefreshToken { user: user.to_owned(), spent: None, presented: None };
            self.refresh.insert(token, fresh);
        }
        say(200, &answer)
    }
}

fn refused() -> Response<Full<Bytes>> {
    say(400, &json!({"error": "invalid_grant"}))
}

fn say(status: u16, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let builder = Response::builder().status(status).header("content-type", "application/json");
    builder.body(Full::new(Bytes::from(body.to_string()))).unwrap()
}

/// The provider's host.
pub(crate) async fn serve(world: Arc<World>) -> turmoil::Result {
    let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let world = world.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(world.clone(), request));
            let serving = hyper::server::conn::http1::Builder::new();
            drop(serving.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(world: Arc<World>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Gone> {
    let body = request.into_body().collect().await.map_err(|_| Gone)?.to_bytes();
    let fields: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let reply = match fields.get("refresh_token") {
        Some(token) => world.model.lock().unwrap().refresh(&world, token),
        // A revocation.
        None => Reply { after: Duration::from_millis(20), answer: Some(say(200, &json!({}))) },
    };
    tokio::time::sleep(reply.after).await;
    reply.answer.ok_or(Gone)
}

/// The connection is closed without an answer.
#[derive(Debug)]
pub(crate) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer on purpose")
    }
}

impl std::error::Error for Gone {}

pub(crate) const PORT: u16 = 80;
/// The secret under which it signs its events.
pub(crate) const SIGNS_WITH: &str = "what-the-provider-signs-with-0123";
/// Users who take back what they granted. Five at once would not be believed.
const ENDS: usize = 3;
