//! One process of a deployment, as far as a test can tell.

use std::net::SocketAddr;
use std::time::Duration;

use carnet_api::{Limits, Metrics};
use carnet_egress::{Place, Policy};
use carnet_engine::{Broker, Location, Root, Settings, StartError};
use carnet_model::Env;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::described;
use crate::http::{Answer, Http};

/// A node that serves.
pub struct Node {
    /// Where it listens itself.
    pub address: SocketAddr,
    broker: Option<Broker>,
    http: Http,
    stop: CancellationToken,
    serving: Option<JoinHandle<()>>,
}

impl Node {
    pub(super) async fn open(
        settings: Settings,
        origins: Vec<(Place, Place)>,
        location: &Location,
        root: Root,
        env: Env,
        socket: TcpListener,
    ) -> Result<Self, StartError> {
        let address = socket.local_addr().unwrap();
        let policy = Policy { loopback: true, origins, ..Policy::default() };
        let broker = Broker::open(settings, location, root, policy, env).await?;
        let routes = carnet_api::router(broker.clone()).merge(carnet_dashboard::router(broker.clone()));
        let routes = carnet_api::frame(routes, broker.clone(), &Metrics::default());
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = broker.spawn(carnet_api::serve(socket, routes, Limits::default(), stopped));
        Ok(Self { address, broker: Some(broker), http: Http::default(), stop, serving: Some(serving) })
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
        if let Some(serving) = self.serving.take() {
            serving.await.unwrap();
        }
        // Whoever opens the folder next must find nobody in it.
        if let Some(broker) = self.broker.take() {
            broker.shut_down(Duration::from_secs(25)).await;
        }
        self.address
    }
}
