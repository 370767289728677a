//! Who of a plugin's callers gets an instance, who waits, who is turned away.
//!
//! At most `concurrency` calls are under way and at most `queue` wait, each for at most `wait`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Why a call was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// As many calls wait already as may.
    QueueFull,
    /// It waited as long as it may.
    WaitedTooLong,
}

/// The gate in front of a plugin's instances.
#[derive(Debug)]
pub struct Admission {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    wait: Duration,
}

impl Admission {
    /// A gate for `concurrency` calls at once and `queue` waiting ones.
    pub fn new(concurrency: usize, queue: usize, wait: Duration) -> Self {
        Self { slots: Arc::new(Semaphore::new(concurrency)), waiting: AtomicUsize::new(0), queue, wait }
    }

    /// Come in, or wait for it. The permit is the place inside.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, Refused> {
        if let Ok(permit) = self.slots.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let _place = Waiting::join(self)?;
        match tokio::time::timeout(self.wait, self.slots.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed, so this is the time that is up.
            Ok(Err(_)) | Err(_) => Err(Refused::WaitedTooLong),
        }
    }
}

/// A place in the queue, left when dropped, also by a caller that gave up.
struct Waiting<'a>(&'a Admission);

impl<'a> Waiting<'a> {
    fn join(admission: &'a Admission) -> Result<Self, Refused> {
        let before = admission.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Self(admission);
        if before >= admission.queue { Err(Refused::QueueFull) } else { Ok(place) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_in_length_and_time() {
        let gate = Arc::new(Admission::new(1, 1, Duration::from_secs(1)));
        let inside = gate.enter().await.unwrap();
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.enter().await.map(drop) }
        });
        while gate.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.enter().await.map(drop), Err(Refused::QueueFull));
        assert_eq!(waiting.await.unwrap(), Err(Refused::WaitedTooLong));
        assert_eq!(gate.waiting.load(Ordering::Relaxed), 0);
        drop(inside);
        assert!(gate.enter().await.is_ok());
    }
}
