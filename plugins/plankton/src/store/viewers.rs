//! A user who looks through a listing: what the user may see there, asked many times over.
//!
//! Owns what is worth remembering between two rows: the names the user is known under, and the
//! permissions of the directories just seen. It lives for one step of one listing. What is published
//! counts for nothing here: it is in no listing of others.

use std::collections::{BTreeMap, BTreeSet};

use super::{accounts, db, keys, places::Place};
use crate::{
    faults::Fault,
    object::Object,
    sharing::{Permissions, inheritance, is_directory},
};

/// Directories remembered at once.
const DIRECTORIES: usize = 1024;

/// A user, and what was looked up for the user so far.
#[derive(Debug)]
pub struct Viewer {
    principals: BTreeSet<String>,
    /// Permissions that the directory of this name passes down, if it has any.
    directories: BTreeMap<String, Option<Permissions>>,
}

impl Viewer {
    /// A user with nothing looked at yet.
    pub fn new(user: &str) -> Result<Viewer, Fault> {
        let principals = accounts::principals(user)?.into_iter().collect();
        Ok(Viewer { principals, directories: BTreeMap::new() })
    }

    fn named(&self, permissions: &Permissions) -> bool {
        permissions.principals().into_iter().any(|name| self.principals.contains(name))
    }

    /// Whether the account shares something with the user; with a container, something in it.
    pub fn shown(&self, account: &str, container: Option<&str>) -> Result<bool, Fault> {
        for principal in &self.principals {
            let mut prefix = keys::shared_by(principal, account);
            if let Some(container) = container {
                prefix = format!("{prefix}{container}/");
            }
            if leads(&prefix, |object| self.named(&object.permissions))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the user may read an object that is somebody else's.
    pub fn reads(&mut self, container: &Place, object: &Object) -> Result<bool, Fault> {
        let permissions = self.permissions(container, object)?;
        Ok(permissions.is_some_and(|permissions| self.named(&permissions)))
    }

    /// The permissions that count for an object: its own, or those of the nearest directory above it
    /// that has any. `container` is any place in its container.
    pub fn permissions(&mut self, container: &Place, object: &Object) -> Result<Option<Permissions>, Fault> {
        if !object.permissions.is_empty() {
            return Ok(Some(object.permissions.clone()));
        }
        for name in inheritance(&object.name).into_iter().skip(1) {
            if !self.directories.contains_key(&name) {
                if self.directories.len() >= DIRECTORIES {
                    self.directories.clear();
                }
                let head = container.sibling(&name).head()?.map(|kept| kept.value);
                let passed = head.filter(|object| is_directory(&object.content_type) && !object.permissions.is_empty());
                self.directories.insert(name.clone(), passed.map(|object| object.permissions));
            }
            if let Some(Some(permissions)) = self.directories.get(&name) {
                return Ok(Some(permissions.clone()));
            }
        }
        Ok(None)
    }
}

/// Whether an account has an object with permissions in a container.
pub fn is_shared(account: &str, container: &str) -> Result<bool, Fault> {
    leads(&format!("{}{container}/", keys::sharing(account)), |object| !object.permissions.is_empty())
}

/// Whether an account has a published object in a container.
pub fn is_published(account: &str, container: &str) -> Result<bool, Fault> {
    leads(&format!("{}{container}/", keys::publishing(account)), |object| object.public.is_some())
}

/// Whether one of the keys below a prefix leads to an object that is still like this.
fn leads(prefix: &str, wanted: impl Fn(&Object) -> bool) -> Result<bool, Fault> {
    for entry in plugbay_sdk::kv::prefix(prefix).limit(16).iter() {
        let head = db::read_text(entry?.value)?;
        if db::get_json::<Object>(&head)?.is_some_and(|kept| wanted(&kept.value)) {
            return Ok(true);
        }
    }
    Ok(false)
}
