//! One process of a deployment, as far as a test can tell.

use std::net::SocketAddr;

use carnet_api::{Limits, Listening, Metrics, Tls};
use carnet_egress::{Place, Policy};
use carnet_engine::{Broker, Location, Root, STOPS_WITHIN, Settings, StartError};
use carnet_model::Env;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::described;
use crate::http::{Answer, Http};
use crate::pebble::Pebble;

/// A node that serves.
pub struct Node {
    /// Where it listens itself.
    pub address: SocketAddr,
    broker: Option<Broker>,
    http: Http,
    stop: CancellationToken,
    serving: Vec<JoinHandle<()>>,
}

impl Node {
    pub(super) async fn open(
        settings: Settings,
        (origins, authority): (Vec<(Place, Place)>, Option<&Pebble>),
        location: &Location,
        root: Root,
        env: Env,
        socket: TcpListener,
    ) -> Result<Self, StartError> {
        let address = socket.local_addr().unwrap();
        let policy = Policy {
            loopback: true,
            origins,
            authorities: authority.map(Pebble::origin).into_iter().collect(),
            extra_roots_pem: authority.map(|authority| authority.own_root().as_bytes().to_vec()),
            ..Policy::default()
        };
        let broker = Broker::open(settings, location, root, policy, env).await?;
        let routes = carnet_api::router(broker.clone()).merge(carnet_dashboard::router(broker.clone()));
        let routes = carnet_api::frame(routes, broker.clone(), &Metrics::default());
        let stop = CancellationToken::new();
        let serve = |listening: Listening| {
            let stopped = stop.clone().cancelled_owned();
            broker.spawn(carnet_api::serve(listening, routes.clone(), Limits::default(), stopped))
        };
        let mut serving = vec![serve(socket.into())];
        // One node has the port at which the authority looks.
        if let Some(door) = authority.and_then(Pebble::door) {
            let tls = Tls::kept_by(broker.clone(), false).unwrap();
            serving.push(serve(Listening::secured(door, tls)));
        }
        Ok(Self { address, broker: Some(broker), http: Http::default(), stop, serving })
    }

    /// Its engine.
    pub fn broker(&self) -> &Broker {
        self.broker.as_ref().expect("the node has not been stopped")
    }

    /// A call to the API. The answer is what the description of the API says, or the test fails.
    pub async fn call(&self, method: &str, path: &str, bearer: Option<&str>, body: Option<&Value>) -> Answer {
        let url = format!("http://{}{path}", self.address);
        let answer = self.http.json(method, &url, bearer, body).await;
        described::compare(method, path, &answer);
        answer
    }

    /// A token request.
    pub async fn token(&self, bearer: &str, connector: &str, body: &Value) -> Answer {
        let path = format!("/v1/connect/token/{}", connector.replace('/', "%2F"));
        self.call("POST", &path, Some(bearer), Some(body)).await
    }

    /// Stops as the process would when it is asked to; where it listened.
    pub async fn stop(&mut self) -> SocketAddr {
        self.stop.cancel();
        // Idle connections of ours would keep it waiting.
        self.http = Http::default();
        for serving in std::mem::take(&mut self.serving) {
            serving.await.unwrap();
        }
        // Whoever opens the folder next must find nobody in it.
        if let Some(broker) = self.broker.take() {
            broker.shut_down(STOPS_WITHIN).await;
        }
        self.address
    }
}
