//! Stand-ins for the services. Their ciphertext is a ticket for what they remember; everything else is as the reference
//! says: paths, headers, members, context, failures. The one of AWS checks the signature of what really arrived.

mod aws;
mod gcp;
mod transit;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use carnet_model::{Clock, Env, OsRandom, SystemClock, Time};
use carnet_vault::RootKey;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Aws,
    Gcp,
    Transit,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Aws, Self::Gcp, Self::Transit];
}

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Fine,
    AccessTaken,
    KeyDisabled,
    KeyGone,
    Throttled,
    Broken,
    Garbage,
    EmptyObject,
    HugeAnswer,
    HangsUp,
    OtherKey,
    ShortKey,
    Slow,
}

/// What was encrypted.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) ticket: String,
    pub(crate) key: String,
    pub(crate) plaintext: Vec<u8>,
    /// What it was bound to, as it arrived.
    pub(crate) bound: String,
}

/// What a stand-in remembers.
pub(crate) struct World {
    pub(crate) clock: Arc<Ahead>,
    pub(crate) mood: Mutex<Mood>,
    pub(crate) kept: Mutex<Vec<Kept>>,
    pub(crate) version: AtomicUsize,
    pub(crate) refused_contexts: AtomicUsize,
    pub(crate) given_out: AtomicUsize,
    /// Credentials below this number have ended.
    pub(crate) ended: AtomicUsize,
    pub(crate) failures_to_come: AtomicUsize,
}

/// What opening came to.
pub(crate) enum Opened {
    Plaintext(Vec<u8>),
    OtherKey,
    Altered,
}

impl World {
    pub(crate) fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    /// A ticket for what was encrypted.
    pub(crate) fn keep(&self, key: &str, plaintext: Vec<u8>, bound: String) -> String {
        let mut kept = self.kept.lock().unwrap();
        let ticket = format!("v{}:{:040}", self.version.load(Ordering::SeqCst), kept.len());
        kept.push(Kept { ticket: ticket.clone(), key: key.to_owned(), plaintext, bound });
        ticket
    }

    pub(crate) fn open(&self, key: &str, ticket: &str, bound: &str) -> Opened {
        let kept = self.kept.lock().unwrap().iter().find(|kept| kept.ticket == ticket).cloned();
        let Some(kept) = kept else { return Opened::Altered };
        if kept.key != key {
            return Opened::OtherKey;
        }
        if kept.bound != bound {
            self.refused_contexts.fetch_add(1, Ordering::SeqCst);
            return Opened::Altered;
        }
        Opened::Plaintext(match self.mood() {
            Mood::OtherKey => vec![7; 32],
            Mood::ShortKey => kept.plaintext[..31].to_vec(),
            _ => kept.plaintext,
        })
    }

    /// What every service does alike when it is in this mood.
    pub(crate) async fn alike(&self) -> Option<Response> {
        if self.failures_to_come.load(Ordering::SeqCst) > 0 {
            self.failures_to_come.fetch_sub(1, Ordering::SeqCst);
            return Some(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        }
        match self.mood() {
            Mood::Broken => Some((StatusCode::BAD_GATEWAY, "<html>").into_response()),
            Mood::Garbage => Some((StatusCode::OK, "\u{0}not json {").into_response()),
            Mood::EmptyObject => Some((StatusCode::OK, "{}").into_response()),
            Mood::HugeAnswer => Some((StatusCode::OK, "x".repeat(1_000_000)).into_response()),
            // A body that says it is longer than it is: the connection ends in the middle of it.
            Mood::HangsUp => {
                Some(Response::builder().status(200).body(axum::body::Body::from_stream(Cut)).unwrap())
            }
            Mood::Slow => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                Some(StatusCode::OK.into_response())
            }
            _ => None,
        }
    }
}

/// A body that breaks off.
struct Cut;

impl futures_util::Stream for Cut {
    type Item = Result<bytes::Bytes, std::io::Error>;
    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(Some(Err(std::io::Error::other("hung up"))))
    }
}

/// A clock that can be put forward.
#[derive(Default)]
pub(crate) struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Time {
        Time::from_millis(SystemClock.now().millis() + self.0.load(Ordering::SeqCst))
    }
}

/// A running stand-in.
pub(crate) struct Standin {
    kind: Kind,
    address: SocketAddr,
    world: Arc<World>,
    clock: Arc<Ahead>,
    folder: tempfile::TempDir,
    serving: JoinHandle<()>,
}

impl Standin {
    pub(crate) async fn start(kind: Kind) -> Self {
        let clock = Arc::<Ahead>::default();
        let world = Arc::new(World {
            clock: clock.clone(),
            mood: Mutex::new(Mood::Fine),
            kept: Mutex::default(),
            version: AtomicUsize::new(1),
            refused_contexts: AtomicUsize::new(0),
            given_out: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            failures_to_come: AtomicUsize::new(0),
        });
        let routes: Router = match kind {
            Kind::Aws => aws::routes(world.clone()),
            Kind::Gcp => gcp::routes(world.clone()),
            Kind::Transit => transit::routes(world.clone()),
        };
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(socket, routes).await.unwrap() });
        let folder = tempfile::tempdir().unwrap();
        Self { kind, address, world, clock, folder, serving }
    }

    /// Its usual key, by credentials that it gives out itself.
    pub(crate) fn provider(&self) -> Box<dyn RootKey> {
        self.provider_of("usual")
    }

    pub(crate) fn provider_of(&self, key: &str) -> Box<dyn RootKey> {
        let env = Env::new(self.clock.clone(), Arc::new(OsRandom));
        let base = format!("http://{}", self.address);
        match self.kind {
            Kind::Aws => aws::provider(&base, key, env),
            Kind::Gcp => gcp::provider(&base, key, self.folder.path(), env),
            Kind::Transit => transit::provider(&base, key, self.folder.path(), env),
        }
    }

    /// The key of AWS, by a web identity. The file with it, and the provider.
    pub(crate) fn provider_by_identity(&self) -> (PathBuf, Box<dyn RootKey>) {
        let env = Env::new(self.clock.clone(), Arc::new(OsRandom));
        let file = self.folder.path().join("identity");
        let base = format!("http://{}", self.address);
        let provider = aws::provider_by_identity(&base, "usual", &file, env);
        (file, provider)
    }

    pub(crate) fn is_in(&self, mood: Mood) {
        *self.world.mood.lock().unwrap() = mood;
    }

    pub(crate) fn turn(&self) {
        self.world.version.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn fails_once(&self) {
        self.world.failures_to_come.store(1, Ordering::SeqCst);
    }

    pub(crate) fn refused_contexts(&self) -> usize {
        self.world.refused_contexts.load(Ordering::SeqCst)
    }

    pub(crate) fn given_out(&self) -> usize {
        self.world.given_out.load(Ordering::SeqCst)
    }

    pub(crate) fn pass_an_hour(&self) {
        self.clock.0.fetch_add(3_600_000, Ordering::SeqCst);
    }

    pub(crate) fn end_credentials(&self) {
        self.world.ended.store(self.given_out(), Ordering::SeqCst);
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
