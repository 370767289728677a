//! How many guests of a plugin compute at once.
//!
//! A guest holds a permit while it computes and gives it up while it waits inside a host call and at
//! every epoch tick, so that a guest that loops delays the others of its plugin by a tick a turn, and
//! other plugins not at all while a processor is free.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use tokio::sync::Semaphore;

/// How often a claim looks again before it waits: a few microseconds, which most guests do not need,
/// while waiting costs two wake-ups.
const SPINS: u32 = 64;

/// One instance's claim on its plugin's permits. Cheap to clone; clones are the same claim.
#[derive(Debug, Clone)]
pub struct CpuSlot(Arc<Slot>);

#[derive(Debug)]
struct Slot {
    permits: Arc<Semaphore>,
    held: AtomicBool,
}

impl CpuSlot {
    /// A claim on `permits`, not held.
    pub fn new(permits: Arc<Semaphore>) -> Self {
        Self(Arc::new(Slot { permits, held: AtomicBool::new(false) }))
    }

    /// Wait for a permit and hold it. Nothing to do for an instance that holds one already, as one
    /// that was made slowly does: start-up code takes turns too.
    pub async fn acquire(&self) {
        if self.0.held.load(Ordering::Relaxed) {
            return;
        }
        for _ in 0..SPINS {
            if let Ok(permit) = self.0.permits.try_acquire() {
                permit.forget();
                self.0.held.store(true, Ordering::Relaxed);
                return;
            }
            std::hint::spin_loop();
        }
        // The semaphore is never closed; were it, computing without a permit is the lesser harm.
        if let Ok(permit) = self.0.permits.acquire().await {
            permit.forget();
            self.0.held.store(true, Ordering::Relaxed);
        }
    }

    /// Give the permit up, if held.
    pub fn release(&self) {
        if self.0.held.swap(false, Ordering::Relaxed) {
            self.0.permits.add_permits(1);
        }
    }

    /// Let others compute before going on.
    pub async fn turn(self) {
        self.release();
        tokio::task::yield_now().await;
        self.acquire().await;
    }

    /// Run a host call. The permit is given up only if the call has to wait.
    pub async fn waiting<F: Future>(&self, call: F) -> F::Output {
        let mut call = pin!(call);
        let first = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        match first {
            Poll::Ready(output) => output,
            Poll::Pending => {
                self.release();
                let output = call.await;
                self.acquire().await;
                output
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if *self.held.get_mut() {
            self.permits.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_permit_is_given_up_while_a_host_call_waits() {
        let permits = Arc::new(Semaphore::new(1));
        let slot = CpuSlot::new(permits.clone());
        slot.acquire().await;
        assert_eq!(permits.available_permits(), 0);
        let (send, receive) = tokio::sync::oneshot::channel::<()>();
        let waiting = tokio::spawn({
            let slot = slot.clone();
            async move { slot.waiting(receive).await }
        });
        let other = permits.acquire().await.unwrap();
        send.send(()).unwrap();
        drop(other);
        waiting.await.unwrap().unwrap();
        assert_eq!(permits.available_permits(), 0);
        drop(slot);
        assert_eq!(permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_claim_never_holds_two_permits() {
        let permits = Arc::new(Semaphore::new(1));
        let slot = CpuSlot::new(permits.clone());
        slot.clone().turn().await;
        slot.acquire().await;
        drop(slot);
        assert_eq!(permits.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_host_call_that_is_ready_keeps_the_permit() {
        let permits = Arc::new(Semaphore::new(1));
        let slot = CpuSlot::new(permits.clone());
        slot.acquire().await;
        slot.waiting(async {}).await;
        assert_eq!(permits.available_permits(), 0);
        slot.release();
        assert_eq!(permits.available_permits(), 1);
    }
}
