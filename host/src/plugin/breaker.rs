//! Supervision: a plugin that keeps trapping is given rest instead of requests.
//!
//! Closed while calls succeed. Too many traps within the operator's window open it for a pause that
//! doubles with each opening in a row, up to [`LONGEST`], with jitter. Then one call is let through
//! as a probe, whose outcome closes the breaker or opens it again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config;

/// The longest pause.
pub const LONGEST: Duration = Duration::from_secs(60);

/// The state of one plugin version's supervision.
#[derive(Debug)]
pub struct Breaker {
    config: config::Breaker,
    /// Whether `state.until` is set: all that a call asks while nothing is wrong.
    open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Traps since the window began.
    traps: u32,
    window: Option<Instant>,
    openings: u32,
    /// While open: when the next probe may go.
    until: Option<Instant>,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: config::Breaker) -> Self {
        Self { config, open: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Whether a call may go now; if not, after how long to try again.
    pub fn admit(&self, now: impl FnOnce() -> Instant) -> Result<(), Duration> {
        if !self.is_open() {
            return Ok(());
        }
        let now = now();
        let mut state = self.state.lock();
        match state.until {
            None => Ok(()),
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                // This call is the probe; the others wait for what becomes of it.
                state.until = Some(now + self.pause(state.openings));
                Ok(())
            }
        }
    }

    /// A call succeeded.
    pub fn success(&self) {
        if self.is_open() {
            let mut state = self.state.lock();
            *state = State::default();
            self.open.store(false, Ordering::Release);
        }
    }

    /// A call trapped. True if that opened the breaker.
    pub fn trap(&self, now: Instant) -> bool {
        if self.config.traps == 0 {
            return false;
        }
        let mut state = self.state.lock();
        let fresh = state.window.is_none_or(|start| now.duration_since(start) > self.config.within.get());
        if fresh {
            state.window = Some(now);
            state.traps = 0;
        }
        state.traps = state.traps.saturating_add(1);
        let probe_failed = state.until.is_some();
        let opens = probe_failed || state.traps >= self.config.traps;
        if opens {
            state.until = Some(now + self.pause(state.openings));
            state.openings = state.openings.saturating_add(1);
            self.open.store(true, Ordering::Release);
        }
        opens
    }

    /// Whether calls are held back now.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn pause(&self, openings: u32) -> Duration {
        let base = self.config.pause.get().saturating_mul(1 << openings.min(6)).min(LONGEST);
        let jitter = getrandom::u32().unwrap_or(0) % 250;
        base.mul_f64(1.0 + f64::from(jitter) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> (Breaker, u32, Duration) {
        let config = config::Breaker::default();
        let (traps, pause) = (config.traps, config.pause.get());
        (Breaker::new(config), traps, pause)
    }

    #[test]
    fn too_many_traps_open_it_and_a_good_probe_closes_it() {
        let (breaker, traps, pause) = breaker();
        let now = Instant::now();
        for _ in 1..traps {
            assert!(!breaker.trap(now));
        }
        assert!(breaker.admit(|| now).is_ok());
        assert!(breaker.trap(now));
        let wait = breaker.admit(|| now).unwrap_err();
        assert!(wait >= pause && wait < pause * 2);
        assert!(breaker.admit(|| now + wait).is_ok(), "the probe");
        assert!(breaker.admit(|| now + wait).is_err(), "one probe at a time");
        breaker.success();
        assert!(breaker.admit(|| now).is_ok());
    }

    #[test]
    fn a_bad_probe_opens_it_for_longer() {
        let (breaker, traps, pause) = breaker();
        let now = Instant::now();
        for _ in 0..traps {
            breaker.trap(now);
        }
        let later = now + LONGEST;
        assert!(breaker.admit(|| later).is_ok());
        assert!(breaker.trap(later));
        assert!(breaker.admit(|| later).unwrap_err() >= pause * 2);
    }

    #[test]
    fn traps_far_apart_do_not_open_it() {
        let (breaker, traps, _) = breaker();
        let mut now = Instant::now();
        for _ in 0..traps * 3 {
            assert!(!breaker.trap(now));
            now += Duration::from_secs(60);
        }
    }
}
