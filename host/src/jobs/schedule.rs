//! Which job is next, decided in memory, and which jobs have a key, so that nobody has to look through all of them.
//!
//! Of the jobs with one key only the oldest can run; the others wait behind it, whatever their times.
//! Bounded by the plugin's limit of jobs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::record::{Record, State};

/// The jobs of one plugin.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Those that are not given up.
    jobs: BTreeMap<String, Item>,
    /// Jobs with a key, by key, oldest first.
    lines: HashMap<String, BTreeSet<String>>,
    /// Jobs that may run when due: those without a key, and the first of each line.
    ready: BTreeSet<(i64, String)>,
    /// Jobs that are in no line but have a key, by key: those given up, and those of commits under way.
    aside: HashMap<String, BTreeSet<String>>,
    /// Keys of those given up.
    given_up: HashMap<String, String>,
}

#[derive(Debug)]
struct Item {
    due: i64,
    key: Option<String>,
    running: bool,
}

impl Schedule {
    /// Take in a job found in the store.
    pub fn add_stored(&mut self, id: String, record: &Record) {
        match record.state {
            State::Failed => self.put_aside(id, record.key.clone()),
            State::Waiting => self.add(id, record.due, record.key.clone()),
            // What it waited for may have happened while nobody looked.
            State::Parked => self.add(id, 0, record.key.clone()),
        }
    }

    /// Take in a new job.
    pub fn add(&mut self, id: String, due: i64, key: Option<String>) {
        if let Some(key) = &key {
            let line = self.lines.entry(key.clone()).or_default();
            if let Some(first) = line.first().filter(|first| **first > id).cloned() {
                self.unready(&first);
            }
            self.lines.entry(key.clone()).or_default().insert(id.clone());
        }
        self.jobs.insert(id.clone(), Item { due, key, running: false });
        self.consider(&id);
    }

    /// When the next job is due; none if there is none.
    pub fn next_due(&self) -> Option<i64> {
        self.ready.first().map(|(due, _)| *due)
    }

    /// Take the next job that is due, to run it.
    pub fn start(&mut self, now: i64) -> Option<String> {
        let (due, _) = self.ready.first()?;
        if *due > now {
            return None;
        }
        let (_, id) = self.ready.pop_first()?;
        if let Some(item) = self.jobs.get_mut(&id) {
            item.running = true;
        }
        Some(id)
    }

    /// A job that ran is to run again.
    pub fn again(&mut self, id: &str, due: i64) {
        if let Some(item) = self.jobs.get_mut(id) {
            item.running = false;
            item.due = due;
            self.consider(id);
        }
    }

    /// A job is finished, or given up: the next of its line may run.
    pub fn finish(&mut self, id: &str) {
        self.unready(id);
        let Some(item) = self.jobs.remove(id) else { return };
        let Some(key) = item.key else { return };
        let Some(line) = self.lines.get_mut(&key) else { return };
        line.remove(id);
        match line.first().cloned() {
            Some(next) => self.consider(&next),
            None => drop(self.lines.remove(&key)),
        }
    }

    /// A job is given up: the next of its line may run.
    pub fn give_up(&mut self, id: &str) {
        let key = self.jobs.get(id).and_then(|item| item.key.clone());
        self.finish(id);
        self.put_aside(id.to_owned(), key);
    }

    fn put_aside(&mut self, id: String, key: Option<String>) {
        if let Some(key) = key {
            self.announce(&id, &key);
            self.given_up.insert(id, key);
        }
    }

    /// A commit under way will have this job enqueued.
    pub fn announce(&mut self, id: &str, key: &str) {
        self.aside.entry(key.to_owned()).or_default().insert(id.to_owned());
    }

    /// That commit is over.
    pub fn retract(&mut self, id: &str, key: &str) {
        if let Some(ids) = self.aside.get_mut(key) {
            ids.remove(id);
            if ids.is_empty() {
                self.aside.remove(key);
            }
        }
    }

    /// Jobs that may have this key, oldest first. One whose commit failed is in no store.
    pub fn of_key(&self, key: &str) -> Vec<String> {
        let all: BTreeSet<&String> = [&self.lines, &self.aside].iter().filter_map(|by| by.get(key)).flatten().collect();
        all.into_iter().cloned().collect()
    }

    /// Forget a job unless it runs. True if it may be removed from the store.
    pub fn withdraw(&mut self, id: &str) -> bool {
        if self.is_running(id) {
            return false;
        }
        self.finish(id);
        if let Some(key) = self.given_up.remove(id) {
            self.retract(id, &key);
        }
        true
    }

    /// Whether a job runs now.
    pub fn is_running(&self, id: &str) -> bool {
        self.jobs.get(id).is_some_and(|item| item.running)
    }

    fn consider(&mut self, id: &str) {
        let Some(item) = self.jobs.get(id) else { return };
        let first = match &item.key {
            Some(key) => self.lines.get(key).and_then(|line| line.first()).is_some_and(|first| first == id),
            None => true,
        };
        if first && !item.running {
            self.ready.insert((item.due, id.to_owned()));
        }
    }

    fn unready(&mut self, id: &str) {
        if let Some(item) = self.jobs.get(id) {
            self.ready.remove(&(item.due, id.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(schedule: &mut Schedule, id: &str, due: i64) {
        schedule.add(id.into(), due, Some("k".into()));
    }

    #[test]
    fn jobs_run_in_the_order_they_are_due() {
        let mut schedule = Schedule::default();
        schedule.add("a".into(), 20, None);
        schedule.add("b".into(), 10, None);
        assert_eq!(schedule.next_due(), Some(10));
        assert_eq!(schedule.start(9), None);
        assert_eq!(schedule.start(30).as_deref(), Some("b"));
        assert_eq!(schedule.start(30).as_deref(), Some("a"));
        assert_eq!(schedule.start(30), None);
    }

    #[test]
    fn jobs_with_one_key_run_one_at_a_time_in_the_order_enqueued() {
        let mut schedule = Schedule::default();
        keyed(&mut schedule, "1", 50);
        keyed(&mut schedule, "2", 0);
        assert_eq!(schedule.start(10), None, "the second waits for the first, although due");
        assert_eq!(schedule.start(50).as_deref(), Some("1"));
        assert_eq!(schedule.start(50), None);
        schedule.again("1", 60);
        assert_eq!(schedule.start(55), None, "a retry keeps its place");
        assert_eq!(schedule.start(60).as_deref(), Some("1"));
        schedule.finish("1");
        assert_eq!(schedule.start(60).as_deref(), Some("2"));
        schedule.finish("2");
        assert!(schedule.lines.is_empty() && schedule.jobs.is_empty() && schedule.ready.is_empty());
    }

    #[test]
    fn an_older_job_that_arrives_later_goes_first() {
        let mut schedule = Schedule::default();
        keyed(&mut schedule, "2", 0);
        keyed(&mut schedule, "1", 0);
        assert_eq!(schedule.start(0).as_deref(), Some("1"));
        assert_eq!(schedule.start(0), None);
    }

    #[test]
    fn jobs_are_found_by_their_key_as_long_as_they_are_kept() {
        let mut schedule = Schedule::default();
        keyed(&mut schedule, "2", 0);
        schedule.add("x".into(), 0, Some("other".into()));
        schedule.announce("3", "k");
        keyed(&mut schedule, "1", 0);
        assert_eq!(schedule.of_key("k"), ["1", "2", "3"]);
        schedule.retract("3", "k");
        assert_eq!(schedule.start(0).as_deref(), Some("1"));
        schedule.give_up("1");
        assert_eq!(schedule.of_key("k"), ["1", "2"], "given up, and still there");
        assert_eq!(schedule.start(0).as_deref(), Some("2"), "which holds up nobody");
        schedule.finish("2");
        assert!(schedule.withdraw("1"));
        assert_eq!(schedule.of_key("k"), Vec::<String>::new());
        assert!(schedule.aside.is_empty() && schedule.given_up.is_empty());
    }

    #[test]
    fn a_running_job_is_not_withdrawn() {
        let mut schedule = Schedule::default();
        schedule.add("a".into(), 0, None);
        schedule.start(0);
        assert!(!schedule.withdraw("a"));
        schedule.again("a", 0);
        assert!(schedule.withdraw("a"));
        assert_eq!(schedule.start(0), None);
    }
}
