//! How many guests of a plugin compute at once.
//!
//! A guest holds a permit while it computes and gives it up while it waits inside a host call and at
//! every epoch tick, so that a guest that loops delays the others of its plugin by a tick a turn, and
//! other plugins not at all while a processor is free.
//!
//! Short turns need no permit, unless the operator chose the number: a plugin whose guests usually
//! compute for less than [`SHORT`] leaves the processors to others often enough, and on few cores
//! waiting for each other costs its calls more than they do themselves. Whoever is still computing at
//! a tick goes on with a permit only, whatever is usual.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Instant;

use tokio::sync::Semaphore;

/// How often a claim looks again before it waits: a few microseconds, which most guests do not need,
/// while waiting costs two wake-ups.
const SPINS: u32 = 64;
/// Nanoseconds. A full queue of turns this short is worked off within a few ticks.
const SHORT: u64 = 500_000;
/// Weight of the past in what is usual, against one turn: a turn that the system interrupted changes
/// little, and a few turns of a tick's length are enough.
const PAST: u64 = 31;

/// The processors of one plugin.
#[derive(Debug)]
pub struct Processors {
    permits: Semaphore,
    /// Whether short turns need a permit, too.
    strict: bool,
    /// Nanoseconds that a turn takes, averaged with less and less weight of the past. Not written
    /// while turns are short, so that processors do not pass it to and fro.
    usual: AtomicU64,
    start: Instant,
}

impl Processors {
    /// `chosen`: how many guests may compute at once; none: one less than there are cores, and at least one.
    pub fn new(chosen: Option<usize>) -> Arc<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let permits = Semaphore::new(chosen.unwrap_or_else(|| cores().saturating_sub(1).max(1)));
        Arc::new(Self { permits, strict: chosen.is_some(), usual: AtomicU64::new(0), start: Instant::now() })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn are_short(&self) -> bool {
        !self.strict && self.usual.load(Ordering::Relaxed) < SHORT
    }

    fn took(&self, turn: u64) {
        let usual = self.usual.load(Ordering::Relaxed);
        if turn.max(usual) > SHORT / 2 {
            // Of two at once one is lost, which an average survives.
            self.usual.store(usual.saturating_mul(PAST).saturating_add(turn) / (PAST + 1), Ordering::Relaxed);
        }
    }
}

const IDLE: u8 = 0;
const WITHOUT_PERMIT: u8 = 1;
const WITH_PERMIT: u8 = 2;

/// One instance's claim on its plugin's processors. Cheap to clone; clones are the same claim.
#[derive(Debug, Clone)]
pub struct CpuSlot(Arc<Slot>);

#[derive(Debug)]
struct Slot {
    processors: Arc<Processors>,
    state: AtomicU8,
    /// When the turn began.
    since: AtomicU64,
}

impl CpuSlot {
    /// A claim that is not used yet.
    pub fn new(processors: Arc<Processors>) -> Self {
        Self(Arc::new(Slot { processors, state: AtomicU8::new(IDLE), since: AtomicU64::new(0) }))
    }

    /// Begin a turn, with a permit where one is needed. Nothing to do for an instance that has begun one already, as
    /// one that was made slowly has: start-up code takes turns too.
    pub async fn acquire(&self) {
        if self.0.state.load(Ordering::Relaxed) != IDLE {
            return;
        }
        if self.0.processors.are_short() {
            return self.begin(WITHOUT_PERMIT);
        }
        self.acquire_permit().await;
    }

    async fn acquire_permit(&self) {
        let permits = &self.0.processors.permits;
        for _ in 0..SPINS {
            if let Ok(permit) = permits.try_acquire() {
                permit.forget();
                return self.begin(WITH_PERMIT);
            }
            std::hint::spin_loop();
        }
        // The semaphore is never closed; were it, computing without a permit is the lesser harm.
        if let Ok(permit) = permits.acquire().await {
            permit.forget();
            self.begin(WITH_PERMIT);
        }
    }

    fn begin(&self, state: u8) {
        self.0.state.store(state, Ordering::Relaxed);
        self.0.since.store(self.0.processors.now(), Ordering::Relaxed);
    }

    /// End the turn, if one was begun.
    pub fn release(&self) {
        let Slot { processors, state, since } = &*self.0;
        let state = state.swap(IDLE, Ordering::Relaxed);
        if state == WITH_PERMIT {
            processors.permits.add_permits(1);
        }
        if state != IDLE {
            processors.took(processors.now().saturating_sub(since.load(Ordering::Relaxed)));
        }
    }

    /// Let others compute before going on.
    pub async fn turn(self) {
        self.release();
        tokio::task::yield_now().await;
        self.acquire_permit().await;
    }

    /// Run a host call. The turn ends only if the call has to wait.
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
        if *self.state.get_mut() == WITH_PERMIT {
            self.processors.permits.add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(processors: &Processors) -> usize {
        processors.permits.available_permits()
    }

    #[tokio::test]
    async fn a_permit_is_given_up_while_a_host_call_waits() {
        let processors = Processors::new(Some(1));
        let slot = CpuSlot::new(processors.clone());
        slot.acquire().await;
        assert_eq!(free(&processors), 0);
        let (send, receive) = tokio::sync::oneshot::channel::<()>();
        let waiting = tokio::spawn({
            let slot = slot.clone();
            async move { slot.waiting(receive).await }
        });
        let other = processors.permits.acquire().await.unwrap();
        send.send(()).unwrap();
        drop(other);
        waiting.await.unwrap().unwrap();
        assert_eq!(free(&processors), 0);
        drop(slot);
        assert_eq!(free(&processors), 1);
    }

    #[tokio::test]
    async fn a_claim_never_holds_two_permits() {
        let processors = Processors::new(Some(1));
        let slot = CpuSlot::new(processors.clone());
        slot.clone().turn().await;
        slot.acquire().await;
        drop(slot);
        assert_eq!(free(&processors), 1);
    }

    #[tokio::test]
    async fn a_host_call_that_is_ready_keeps_the_permit() {
        let processors = Processors::new(Some(1));
        let slot = CpuSlot::new(processors.clone());
        slot.acquire().await;
        slot.waiting(async {}).await;
        assert_eq!(free(&processors), 0);
        slot.release();
        assert_eq!(free(&processors), 1);
    }

    #[tokio::test]
    async fn short_turns_need_no_permit_but_who_computes_at_a_tick_does() {
        let processors = Processors::new(None);
        let all = free(&processors);
        let slot = CpuSlot::new(processors.clone());
        slot.acquire().await;
        assert_eq!(free(&processors), all);
        slot.clone().turn().await;
        assert_eq!(free(&processors), all - 1);
        slot.release();
        assert_eq!(free(&processors), all);
    }

    #[tokio::test]
    async fn long_turns_need_a_permit_until_they_are_short_again() {
        let processors = Processors::new(None);
        let tick = 5_000_000;
        // One that the system interrupted changes nothing.
        processors.took(tick);
        assert!(processors.are_short());
        for _ in 0..8 {
            processors.took(tick);
        }
        assert!(!processors.are_short());
        let all = free(&processors);
        let slot = CpuSlot::new(processors.clone());
        slot.acquire().await;
        assert_eq!(free(&processors), all - 1);
        slot.release();
        for _ in 0..200 {
            processors.took(10_000);
        }
        assert!(processors.are_short());
        assert!(!Processors::new(Some(2)).are_short(), "the operator's number is kept");
    }
}
