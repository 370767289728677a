//! Accounts: their metadata, their groups, what they hold, and who they share with.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    containers::{self, Usage},
    db::{self, Batch, Following},
    keys, places,
};
use crate::{
    faults::Fault,
    listing::Names as _,
    object::{Object, check_entries, overlay},
    sharing::{EVERYONE, principal},
    time::Moment,
};

/// Most groups of an account, and most members of a group.
const GROUPS: usize = 32;

/// An account's record. Accounts without one are as good as those with an empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The id it stands for; keys may hold a hash of it.
    pub id: String,
    /// When metadata or groups were last changed.
    #[serde(default)]
    pub modified: Moment,
    /// Metadata by normal name.
    #[serde(default)]
    pub meta: BTreeMap<String, String>,
    /// Members by group.
    #[serde(default)]
    pub groups: BTreeMap<String, BTreeSet<String>>,
}

/// Metadata and groups to be laid over an account's; empty values delete.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// By normal name.
    pub meta: Vec<(String, String)>,
    /// Comma lists by group name.
    pub groups: Vec<(String, String)>,
    /// Drop what there is first.
    pub replace: bool,
}

/// The account's record.
pub fn get(account: &str) -> Result<Account, Fault> {
    let kept = db::get_json::<Account>(&keys::account(account))?;
    Ok(kept.map_or_else(|| Account { id: account.to_owned(), ..Account::default() }, |kept| kept.value))
}

/// What an account holds: number of containers, and the usage of all together.
pub fn usage(account: &str) -> Result<(u64, Usage), Fault> {
    let mut count = 0;
    let mut names = containers::stream(account);
    while names.next()?.is_some() {
        count += 1;
    }
    Ok((count, held(account)?))
}

/// The usage of all containers of an account together.
pub fn held(account: &str) -> Result<Usage, Fault> {
    let prefix = keys::account_usage(account);
    let mut sum = Usage::default();
    for entry in plugbay_sdk::kv::prefix(&prefix).iter() {
        sum = sum.plus(db::read_json(&entry?.value)?);
    }
    Ok(sum)
}

/// Lay a change over an account.
pub fn update(account: &str, change: &Change) -> Result<(), Fault> {
    db::attempt(|| {
        let key = keys::account(account);
        let there = db::get_json::<Account>(&key)?;
        let version = there.as_ref().map(|kept| kept.version);
        let before = there.map(|kept| kept.value).unwrap_or_default();
        let mut after = before.clone();
        account.clone_into(&mut after.id);
        after.modified = Moment::now();
        if change.replace {
            after.meta.clear();
            if !change.groups.is_empty() {
                after.groups.clear();
            }
        }
        overlay(&mut after.meta, change.meta.clone());
        check_entries(after.meta.len())?;
        for (name, list) in &change.groups {
            set_group(&mut after.groups, &name.to_lowercase(), list)?;
        }
        let (old, new) = (memberships(account, &before), memberships(account, &after));
        let following = Following {
            add: new.difference(&old).map(|key| (key.clone(), String::new())).collect(),
            remove: old.difference(&new).cloned().collect(),
        };
        let mut batch = Batch::default();
        batch.unchanged(&key, version);
        let value = serde_json::to_vec(&after).unwrap_or_default();
        batch.put(key.as_str(), value.clone());
        following.commit(batch, Some((&key, &value)))
    })
}

fn set_group(groups: &mut BTreeMap<String, BTreeSet<String>>, name: &str, list: &str) -> Result<(), Fault> {
    if name.contains(['-', '_']) {
        return Err(Fault::bad_request("Bad characters in group name"));
    }
    let members: BTreeSet<String> =
        list.split(',').map(str::trim).filter(|member| !member.is_empty()).map(principal).collect();
    if members.is_empty() {
        groups.remove(name);
        return Ok(());
    }
    if members.len() > GROUPS {
        return Err(Fault::bad_request(format!("A group cannot have more than {GROUPS} members")));
    }
    groups.insert(name.to_owned(), members);
    if groups.len() > GROUPS {
        return Err(Fault::bad_request(format!("An account cannot have more than {GROUPS} groups")));
    }
    Ok(())
}

fn memberships(owner: &str, account: &Account) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (group, members) in &account.groups {
        for member in members {
            let prefix = keys::groups_of(member);
            found.insert(format!("{prefix}{}/{}", keys::id(owner), keys::id(group)));
        }
    }
    found
}

/// Whether a user is in an `owner:group`.
pub fn in_group(principal: &str, user: &str) -> Result<bool, Fault> {
    let Some((owner, group)) = principal.split_once(':') else {
        return Ok(false);
    };
    let account = db::get_json::<Account>(&keys::account(owner))?;
    Ok(account.is_some_and(|account| account.value.groups.get(group).is_some_and(|members| members.contains(user))))
}

/// Under which names things may be shared with a user: the id, the groups, everyone.
pub fn principals(user: &str) -> Result<Vec<String>, Fault> {
    let mut found = vec![user.to_owned(), EVERYONE.to_owned()];
    for entry in plugbay_sdk::kv::prefix(&keys::groups_of(user)).iter() {
        let key = entry?.key;
        let mut parts = key.rsplitn(3, '/');
        let (Some(group), Some(owner)) = (parts.next(), parts.next()) else {
            continue;
        };
        // Keys may hold hashes; the record has the names.
        let Some(account) = db::get_json::<Account>(&format!("a/{owner}"))? else {
            continue;
        };
        let names =
            account.value.groups.iter().filter(|(name, members)| keys::id(name) == group && members.contains(user));
        found.extend(names.map(|(name, _)| format!("{}:{name}", account.value.id)));
    }
    Ok(found)
}

/// Accounts other than the user's that share something with the user: at most `limit`, in the order
/// of their keys, after an account if one is given.
pub fn sharers(user: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
    let mut found = BTreeMap::new();
    for principal in principals(user)? {
        let prefix = keys::shared(&principal);
        let mut from = match after {
            Some(after) => keys::end_of(&keys::shared_by(&principal, after)),
            None => prefix.clone(),
        };
        let mut taken = 0;
        while taken < limit {
            let page = db::scan(&from, &keys::end_of(&prefix), 1, false)?;
            let Some(entry) = page.entries.into_iter().next() else {
                break;
            };
            let account =
                entry.key.strip_prefix(&prefix).and_then(|rest| rest.split_once('/')).map(|(account, _)| account);
            let head = db::read_text(entry.value)?;
            match (db::get_json::<Object>(&head)?, account) {
                (Some(object), Some(account)) if places::stated(&object.value, user)? => {
                    // One object is enough; go on with the next account.
                    from = keys::end_of(&format!("{prefix}{account}/"));
                    if object.value.account != user {
                        // With the slash, names sort as their keys do.
                        found.insert(format!("{account}/"), object.value.account);
                        taken += 1;
                    }
                }
                _ => from = format!("{}\0", entry.key),
            }
        }
    }
    Ok(found.into_values().take(limit).collect())
}
