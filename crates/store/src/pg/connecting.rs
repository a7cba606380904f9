//! Making a connection where the address names several servers: each gets a share of the time, so that one that takes the
//! connection and says nothing does not keep the next from being tried.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use carnet_model::Env;
use deadpool_postgres::{ConfigConnectImpl, Connect};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::{Host, LoadBalanceHosts};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::OpenError;

/// The servers of an address.
pub(super) struct Hosts {
    /// An address for each, in order; one at least.
    each: Vec<Config>,
    one: ConfigConnectImpl<MakeRustlsConnect>,
    /// The place of the one that answered last: it is tried first.
    last: AtomicUsize,
    /// With `load_balance_hosts=random` each connection begins anywhere.
    random: Option<Env>,
}

impl Hosts {
    pub(super) fn new(config: &Config, tls: MakeRustlsConnect, env: &Env) -> Result<Self, OpenError> {
        let hosts = config.get_hosts();
        let (addresses, ports) = (config.get_hostaddrs(), config.get_ports());
        if !addresses.is_empty() && addresses.len() != hosts.len() {
            return Err(OpenError::Address("it has not as many hostaddr as hosts".to_owned()));
        }
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(OpenError::Address("it has not as many ports as hosts".to_owned()));
        }
        let each = hosts.iter().enumerate().map(|(number, host)| {
            let mut alone = without_hosts(config);
            match host {
                Host::Tcp(name) => alone.host(name),
                Host::Unix(folder) => alone.host_path(folder),
            };
            if let Some(address) = addresses.get(number) {
                alone.hostaddr(*address);
            }
            if let Some(port) = ports.get(number).or(ports.first()) {
                alone.port(*port);
            }
            alone
        });
        let random = (config.get_load_balance_hosts() == LoadBalanceHosts::Random).then(|| env.clone());
        let one = ConfigConnectImpl { tls };
        Ok(Self { each: each.collect(), one, last: AtomicUsize::new(0), random })
    }

    fn first(&self) -> usize {
        match &self.random {
            Some(env) => usize::from(u16::from_le_bytes(env.bytes::<2>())) % self.each.len().max(1),
            None => self.last.load(Ordering::Relaxed),
        }
    }
}

impl Connect for Hosts {
    fn connect(
        &self,
        whole: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        let time = whole.get_connect_timeout().copied().unwrap_or(super::DEADLINE);
        Box::pin(async move {
            let until = Instant::now() + time;
            let count = self.each.len();
            let turns = self.each.iter().enumerate().cycle().skip(self.first()).take(count);
            let mut left = count;
            for (number, config) in turns {
                let attempt = self.one.connect(config);
                if left <= 1 {
                    // Whoever waits for the connection ends it in time.
                    let made = attempt.await?;
                    self.last.store(number, Ordering::Relaxed);
                    return Ok(made);
                }
                if let Ok(Ok(made)) = timeout(share(until, left), attempt).await {
                    self.last.store(number, Ordering::Relaxed);
                    return Ok(made);
                }
                left -= 1;
            }
            // Only where no server is named at all, which the client tells.
            self.one.connect(&Config::new()).await
        })
    }
}

/// What one of as many servers as are left gets of the time.
fn share(until: Instant, left: usize) -> Duration {
    until.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(u32::MAX).max(1)
}

/// Everything that the address says but where it leads.
fn without_hosts(config: &Config) -> Config {
    let mut out = Config::new();
    if let Some(user) = config.get_user() {
        out.user(user);
    }
    if let Some(password) = config.get_password() {
        out.password(password);
    }
    if let Some(name) = config.get_dbname() {
        out.dbname(name);
    }
    if let Some(options) = config.get_options() {
        out.options(options);
    }
    if let Some(name) = config.get_application_name() {
        out.application_name(name);
    }
    if let Some(time) = config.get_connect_timeout() {
        out.connect_timeout(*time);
    }
    if let Some(time) = config.get_tcp_user_timeout() {
        out.tcp_user_timeout(*time);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        out.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        out.keepalives_retries(retries);
    }
    out.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_is_asked_with_everything_that_the_address_says() {
        let text = "postgres://a:p@h1:1,h2:2/x?sslmode=require&options=-cx%3Dy&target_session_attrs=read-write\
                    &keepalives_idle=7&channel_binding=require&tcp_user_timeout=9&application_name=z";
        let tls =
            || MakeRustlsConnect::new(super::super::trust::tls(&super::super::trust::Roots::System).unwrap());
        let whole: Config = text.parse().unwrap();
        let hosts = Hosts::new(&whole, tls(), &Env::system()).unwrap();
        for (number, config) in hosts.each.iter().enumerate() {
            let alone = text.replace("h1:1,h2:2", &format!("h{0}:{0}", number + 1));
            assert_eq!(*config, alone.parse().unwrap());
        }
        assert_eq!(hosts.each.len(), 2);
        let uneven: Config = "host=a,b,c port=1,2".parse().unwrap();
        assert!(matches!(Hosts::new(&uneven, tls(), &Env::system()), Err(OpenError::Address(_))));
    }
}
