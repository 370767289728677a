//! What all machines share: keys, repositories and tags that MaaS gives by itself.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Maas, encoded};
use crate::design::effective::Shared;
use crate::design::kinds::{Repositories, Repository, RepositoryType};
use crate::drivers::{Progress, Verdict, text_at};
use crate::http::Http;
use crate::task::Action;

/// Repositories that MaaS has from the start: they are changed, and never removed.
const DEFAULTS: [&str; 2] = ["main_archive", "ports_archive"];

impl Maas {
    pub(super) fn prepare(&self, action: Action, shared: &Shared, http: &dyn Http) -> Progress {
        let done = match action {
            Action::ConfigureUserCredentials => self.keys(shared, http),
            Action::ConfigureNodeProvisioner => self.repositories(shared, http),
            _ if self.settings.configured_by_hand => {
                Ok("Networks are left as they are in MaaS: the operator configured them there".to_owned())
            }
            _ => {
                Err("Networks are not written into MaaS: make them there, and say so by provisioner.configured_by_hand"
                    .to_owned())
            }
        };
        done.map_or_else(Verdict::bad, Verdict::good).into()
    }

    fn keys(&self, shared: &Shared, http: &dyn Http) -> Result<String, String> {
        let known = self.get(http, "account/prefs/sshkeys/")?;
        let known: Vec<&str> = known.as_array().into_iter().flatten().filter_map(|key| text_at(key, "/key")).collect();
        let keys = &shared.region.authorized_keys;
        for key in keys.iter().filter(|key| !known.contains(&key.trim())) {
            self.send(http, "POST", "account/prefs/sshkeys/", &[("key", key.trim())])?;
        }
        Ok(format!("{} keys are known to MaaS", keys.len()))
    }

    /// Repositories by name, and tags by expression.
    fn repositories(&self, shared: &Shared, http: &dyn Http) -> Result<String, String> {
        let known = self.get(http, "package-repositories/")?;
        let known: BTreeMap<&str, u64> = known.as_array().into_iter().flatten().filter_map(named).collect();
        let Repositories { remove_unlisted: remove, listed: wanted } = &shared.region.repositories;
        for (name, repository) in wanted {
            let form = form(name, repository)?;
            let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            match known.get(name.as_str()) {
                Some(id) => self.send(http, "PUT", &format!("package-repositories/{id}/"), &pairs)?,
                None => self.send(http, "POST", "package-repositories/", &pairs)?,
            };
        }
        let listed = |name: &str| wanted.contains_key(name) || DEFAULTS.contains(&name);
        for (_, id) in known.iter().filter(|(name, _)| *remove && !listed(name)) {
            self.send(http, "DELETE", &format!("package-repositories/{id}/"), &[])?;
        }
        for tag in &shared.region.tag_definitions {
            let form = [("name", tag.tag.as_str()), ("definition", &tag.definition)];
            if self.get(http, &format!("tags/{}/", encoded(&tag.tag))).is_ok() {
                self.send(http, "PUT", &format!("tags/{}/", encoded(&tag.tag)), &form)?;
            } else {
                self.send(http, "POST", "tags/", &form)?;
            }
        }
        let (repositories, tags) = (wanted.len(), shared.region.tag_definitions.len());
        Ok(format!("{repositories} repositories and {tags} tags are known to MaaS"))
    }
}

fn named(repository: &Value) -> Option<(&str, u64)> {
    Some((text_at(repository, "/name")?, repository.get("id")?.as_u64()?))
}

/// A repository as MaaS takes it.
fn form(name: &str, repository: &Repository) -> Result<Vec<(&'static str, String)>, String> {
    if repository.repo_type != RepositoryType::Apt {
        return Err(format!("Repository {name} is not of type apt, which is all that MaaS takes"));
    }
    let optional = [
        ("distributions", repository.distributions.join(",")),
        ("components", repository.components.join(",")),
        ("arches", repository.arches.join(",")),
        ("key", repository.gpgkey.clone().unwrap_or_default()),
    ];
    let given = optional.into_iter().filter(|(_, value)| !value.is_empty());
    Ok([("name", name.to_owned()), ("url", repository.url.clone())].into_iter().chain(given).collect())
}
