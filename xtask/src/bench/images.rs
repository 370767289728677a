//! A page of 100 images at the Glance mount: with a thousand images, and with a hundred thousand.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{load, plankton};
use crate::command::{Context, Failure, Outcome};
use crate::http;
use crate::workspace::Workspace;

/// Images of the small and of the large registry.
pub const COUNTS: [u32; 2] = [1_000, 100_000];

/// Clients that register at once.
const CLIENTS: u32 = 32;

/// Pages a second by one client, of the small and of the large registry.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    /// For each of [`COUNTS`], one number a round.
    pub rates: [Vec<f64>; 2],
}

/// Fill both registries, then measure them in turn.
pub fn measure(workspace: &Workspace, directory: &Path, rounds: usize, length: Duration) -> Outcome<Pages> {
    let mut running = Vec::new();
    for count in COUNTS {
        eprintln!("registering {count} images");
        let (host, address) = plankton::start(workspace, &directory.join(count.to_string()), "glance")?;
        fill(address, count)?;
        running.push((host, format!("http://{address}/v1/images/detail?limit=100")));
    }
    let mut pages = Pages::default();
    for round in 0..=rounds {
        for ((_, url), rates) in running.iter().zip(&mut pages.rates) {
            let rate = load::load(url, 1, length)?;
            // The first round warms up.
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    Ok(pages)
}

/// Reserve so many images, by many clients at once.
fn fill(address: SocketAddr, count: u32) -> Outcome {
    let next = AtomicU32::new(0);
    let client = || -> Outcome {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            let name = format!("image {number}");
            let made = http::request_with(address, "POST", "/v1/images", &[("x-image-meta-name", &name)], b"");
            let made = made.context("POST /v1/images")?;
            if made.status != 201 {
                return Err(Failure(format!("an image was answered {}: {}", made.status, made.body)));
            }
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| Err("a client panicked".into())))
    })
}
