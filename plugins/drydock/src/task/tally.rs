//! How results of parts become the result of the whole.
//!
//! Once there was a success and a failure it is a partial success and stays one. A part that succeeded partially counts
//! as both.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Outcome;

/// A result in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing yet.
    #[default]
    Incomplete,
    /// Only successes.
    Success,
    /// Both.
    PartialSuccess,
    /// Only failures.
    Failure,
}

impl Standing {
    /// What a success makes of it.
    #[must_use]
    pub fn with_success(self) -> Standing {
        match self {
            Standing::Incomplete | Standing::Success => Standing::Success,
            Standing::Failure | Standing::PartialSuccess => Standing::PartialSuccess,
        }
    }

    /// What a failure makes of it.
    #[must_use]
    pub fn with_failure(self) -> Standing {
        match self {
            Standing::Incomplete | Standing::Failure => Standing::Failure,
            Standing::Success | Standing::PartialSuccess => Standing::PartialSuccess,
        }
    }

    /// Whether there was a success.
    pub fn has_success(self) -> bool {
        matches!(self, Standing::Success | Standing::PartialSuccess)
    }

    /// Whether there was a failure.
    pub fn has_failure(self) -> bool {
        matches!(self, Standing::Failure | Standing::PartialSuccess)
    }
}

/// What came of the parts so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// In one word.
    pub standing: Standing,
    /// Nodes.
    pub successes: BTreeSet<String>,
    /// Nodes.
    pub failures: BTreeSet<String>,
}

impl Tally {
    /// Count a part that ended. `failures_count` is false for parts that are tried again; `name_successes` says
    /// whether its nodes are successes of the whole.
    pub fn add(&mut self, part: &Outcome, failures_count: bool, name_successes: bool) {
        if part.status.has_success() {
            self.standing = self.standing.with_success();
        }
        if name_successes {
            self.successes.extend(part.successes.iter().cloned());
        }
        if failures_count {
            if part.status.has_failure() {
                self.standing = self.standing.with_failure();
            }
            self.failures.extend(part.failures.iter().cloned());
        }
    }

    /// Count nodes that no part could be made for.
    pub fn lose(&mut self, nodes: impl IntoIterator<Item = String>) {
        let before = self.failures.len();
        self.failures.extend(nodes);
        if self.failures.len() > before {
            self.standing = self.standing.with_failure();
        }
    }

    /// The result of the whole. Without parts that counted it is a success.
    pub fn outcome(self) -> Outcome {
        let standing = if self.standing == Standing::Incomplete { Standing::Success } else { self.standing };
        // A node that failed in one step is no success for another.
        let successes = self.successes.difference(&self.failures).cloned().collect();
        Outcome { status: standing, successes, failures: self.failures.into_iter().collect(), ..Outcome::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Standing; 4] = [Standing::Incomplete, Standing::Success, Standing::PartialSuccess, Standing::Failure];

    fn part(status: Standing) -> Outcome {
        Outcome { status, ..Outcome::default() }
    }

    #[test]
    fn parts_combine_as_the_table_says() {
        let of = |parts: &[Standing]| {
            let mut tally = Tally::default();
            parts.iter().for_each(|status| tally.add(&part(*status), true, true));
            tally.outcome().status
        };
        assert_eq!(of(&[]), Standing::Success);
        assert_eq!(of(&[Standing::Success, Standing::Success]), Standing::Success);
        assert_eq!(of(&[Standing::Failure]), Standing::Failure);
        assert_eq!(of(&[Standing::Success, Standing::Failure]), Standing::PartialSuccess);
        assert_eq!(of(&[Standing::PartialSuccess]), Standing::PartialSuccess);
        let mut tally = Tally::default();
        tally.add(&part(Standing::Failure), false, true);
        tally.add(&part(Standing::Success), true, true);
        assert_eq!(tally.outcome().status, Standing::Success, "an earlier round's failures do not count");
    }

    proptest! {
        #[test]
        fn a_partial_success_stays_one(rest in proptest::collection::vec(0usize..4, 0..8)) {
            let mut tally = Tally::default();
            tally.add(&part(Standing::PartialSuccess), true, true);
            for index in rest {
                tally.add(&part(ALL[index]), true, true);
            }
            prop_assert_eq!(tally.outcome().status, Standing::PartialSuccess);
        }
    }
}
