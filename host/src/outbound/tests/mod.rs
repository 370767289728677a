//! The client against real servers on loopback.

mod deadlines;
mod destinations;
mod exchanges;
mod redirections;
mod server;
mod tls;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use futures_util::future::BoxFuture;

use super::*;

/// Names and their addresses, as a test wants them. A name that it does not list never resolves.
#[derive(Default)]
struct Names(HashMap<String, Vec<IpAddr>>);

impl Resolve for Names {
    fn resolve(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        match self.0.get(name) {
            Some(found) => Box::pin(std::future::ready(Ok(found.clone()))),
            None => Box::pin(std::future::pending()),
        }
    }
}

fn names(list: &[(&str, &[&str])]) -> Arc<Names> {
    let parse = |found: &&[&str]| found.iter().map(|one| one.parse().unwrap()).collect();
    Arc::new(Names(list.iter().map(|(name, found)| ((*name).to_owned(), parse(found))).collect()))
}

fn config(allow: &[String]) -> OutboundConfig {
    OutboundConfig { allow: allow.iter().map(|line| line.parse().unwrap()).collect(), ..OutboundConfig::default() }
}

/// A client for these lines.
fn client(allow: &[String]) -> Outbound {
    Outbound::open(&config(allow), Vec::new(), names(&[("host.test", &["127.0.0.1"])])).unwrap()
}

fn get(url: impl Into<String>) -> Request {
    Request { method: "GET".into(), url: url.into(), ..Request::default() }
}

fn credential(form: Form, value: &str, to: &str) -> Credential {
    Credential::new(form, zeroize::Zeroizing::new(value.to_owned()), vec![to.parse().unwrap()]).unwrap()
}
