//! What the plugin reaches beside its store: other servers, files of the operator, the clock.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::http::{Host, Http};
use crate::reference::Error;
use crate::time::{Clock, Moment, Wall};

/// All of it; clones are the same.
#[derive(Clone)]
pub struct World {
    /// Other servers.
    pub http: Rc<dyn Http>,
    /// Files that `file:` references name.
    pub files: Rc<dyn Files>,
    /// The clock.
    pub clock: Rc<dyn Clock>,
}

impl World {
    /// What a component has.
    pub fn real() -> World {
        World { http: Rc::new(Host), files: Rc::new(Directory { root: PathBuf::from("/") }), clock: Rc::new(Wall) }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }
}

/// Files that `file:` references name.
pub trait Files {
    /// The bytes of one, at most `limit`. The path is relative and has no way up.
    ///
    /// # Errors
    /// If there is none, it cannot be read, or it is longer.
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Error>;
}

/// A directory.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Where it is; `/` is the plugin's own.
    pub root: PathBuf,
}

impl Files for Directory {
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
        let fail = |error: std::io::Error| Error::Unavailable(format!("{}: {error}", path.display()));
        let file = std::fs::File::open(self.root.join(path)).map_err(fail)?;
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > limit { Err(Error::TooLarge(limit)) } else { Ok(bytes) }
    }
}
