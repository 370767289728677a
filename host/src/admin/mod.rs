//! The operator's way in: health, metrics, plugins, export, and calls that change something.
//!
//! Owns two sockets. The TCP one is on loopback and read-only: it shows nothing secret, and answers
//! only requests that name this machine, so that a web page cannot reach it through a name of its own
//! that resolves to loopback. The unix one has mode 0600 and takes everything. Does not own what is
//! shown: it asks the registry, the store and the metrics.
//!
//! Invariants: nothing changes through the TCP socket; whoever can open the unix socket is the
//! operator, and nobody else is.

mod collect;
mod export;
mod front;
mod openapi;
mod pages;
mod problem;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{AdminBind, Config};
use crate::dispatch::Dispatcher;
use crate::listener::{self, Bind, HttpLimits, ListenError, ListenerConfig, Listening, Shutdown};
use crate::plugin::Registry;
use crate::services::Services;

pub use collect::pool;

use collect::{Build, Connections, StoreOperations};
use front::{Front, Reach};

/// Names of the two listeners. No configured listener can have them.
const TCP: &str = "admin:tcp";
const SOCKET: &str = "admin:socket";
/// Connections of each.
const CONNECTIONS: usize = 64;

/// The admin sockets at work.
pub struct Running {
    /// Where the read-only one is bound; none if it is off.
    pub address: Option<SocketAddr>,
    listening: Vec<Listening>,
    connections: Arc<Connections>,
}

impl Running {
    /// Show these counters of a listener among the metrics.
    pub fn show(&self, listener: &str, metrics: Arc<listener::Metrics>) {
        self.connections.add(listener, metrics);
    }

    /// Wait for the shutdown and the drain that follows.
    pub async fn stopped(self) {
        for listening in self.listening {
            listening.stopped().await;
        }
    }

    fn add(&mut self, name: &str, listening: Listening) {
        self.show(name, listening.metrics());
        self.listening.push(listening);
    }
}

/// Open the admin sockets and answer on them until `shutdown`.
pub async fn start(
    config: &Config,
    registry: &Arc<Registry>,
    services: &Services,
    dispatcher: &Arc<Dispatcher>,
    shutdown: &Shutdown,
) -> Result<Running, ListenError> {
    let socket = Bind::Unix { path: config.admin.socket.clone(), mode: Some(0o600) };
    let socket = listener::bind(limited(SOCKET, socket)).await?;
    let tcp = match config.admin.bind {
        AdminBind::Tcp(address) => Some(listener::bind(limited(TCP, Bind::Tcp(address))).await?),
        AdminBind::Off => None,
    };
    let connections = Arc::new(Connections::default());
    services.metrics.register(Box::new(Build));
    services.metrics.register(Box::new(StoreOperations(services.store.clone())));
    services.metrics.register(Box::new(connections.clone()));

    let shown = Arc::new(pages::Shown {
        config: config.clone(),
        registry: registry.clone(),
        store: services.store.clone(),
        metrics: services.metrics.clone(),
    });
    let everything = Front::new(Reach::Everything(dispatcher.clone()), pages::everything(shown.clone()));
    let mut running = Running { address: None, listening: Vec::new(), connections };
    running.add(SOCKET, socket.serve(Arc::new(everything), shutdown.clone()));
    if let Some(tcp) = tcp {
        let read_only = Front::new(Reach::ReadOnly, pages::read_only(shown));
        running.address = tcp.local_address();
        running.add(TCP, tcp.serve(Arc::new(read_only), shutdown.clone()));
    }
    Ok(running)
}

fn limited(name: &str, bind: Bind) -> ListenerConfig {
    let limits = HttpLimits { max_connections: CONNECTIONS, ..HttpLimits::default() };
    ListenerConfig { limits, ..ListenerConfig::new(name, bind) }
}
