//! Collections and filters: which entities a list has, in a stable order.
//!
//! The order is that of creation, below a path of nobody's that of paths (which have the creation in them unless a
//! client chose them).

use plugbay_sdk::kv;
use serde_json::Value;

use super::{entities, keys::Keys, posting::Common};
use crate::{
    entity::{Entity, same},
    fault::Fault,
    model::TypeId,
};

/// What entities of a list have to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Below this path, which ends in `/`.
    pub below: Option<String>,
    /// Of all these kinds and mixins.
    pub categories: Vec<TypeId>,
    /// With all these values.
    pub attributes: Vec<(String, Value)>,
}

/// Entities read at once below a path.
const PAGE: u32 = 128;

/// Entities of a list that are read together.
const TOGETHER: usize = 128;

impl Query {
    /// Whether an entity belongs into the list.
    pub fn holds(&self, entity: &Entity) -> bool {
        self.below.as_deref().is_none_or(|below| entity.path.starts_with(below))
            && self.categories.iter().all(|id| entity.kind == *id || entity.mixins.contains(id))
            && self.attributes.iter().all(|(name, value)| entity.value(name).is_some_and(|own| same(&own, value)))
    }

    /// Prefix of the one list of which this is all; none if it is of several, or of none.
    pub fn list(&self, keys: &Keys) -> Option<String> {
        match (self.below.as_deref(), self.categories.as_slice(), self.attributes.as_slice()) {
            (Some("/"), [], []) => Some(keys.all()),
            (None, [category], []) => Some(keys.category(category)),
            _ => None,
        }
    }

    /// Call with one entity after the other until it says that it is enough (false), or there are no more. `skip` are
    /// passed over first, `take` is how many are wanted.
    ///
    /// # Errors
    /// Those of the store, and of what is called.
    pub fn each(
        &self,
        keys: &Keys,
        skip: usize,
        take: usize,
        mut with: impl FnMut(Entity) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let mut prefixes: Vec<String> = self.attributes.iter().map(|(name, value)| keys.pair(name, value)).collect();
        prefixes.extend(self.categories.iter().map(|id| keys.category(id)));
        match &self.below {
            Some(below) if prefixes.is_empty() && below != "/" => return below_path(keys, below, skip, with),
            // There, what is skipped has to be looked at.
            Some(below) if below != "/" => return self.scan(keys, prefixes, skip, take, true, with),
            _ => {}
        }
        if prefixes.is_empty() {
            prefixes.push(keys.all());
        }
        self.scan(keys, prefixes, skip, take, false, &mut with)
    }

    fn scan(
        &self,
        keys: &Keys,
        prefixes: Vec<String>,
        mut skip: usize,
        take: usize,
        look: bool,
        mut with: impl FnMut(Entity) -> Result<bool, Fault>,
    ) -> Result<(), Fault> {
        let expected = u32::try_from(if look { skip.saturating_add(take) } else { take }).unwrap_or(u32::MAX);
        let mut common = Common::of(prefixes, None, expected);
        if !look {
            common.skip(keys, std::mem::take(&mut skip))?;
        }
        let mut wanted = if look { skip.saturating_add(take) } else { take };
        loop {
            let together = wanted.clamp(1, TOGETHER);
            let (mut seqs, mut paths) = (Vec::new(), Vec::new());
            while seqs.len() < together
                && let Some((seq, path)) = common.advance()?
            {
                seqs.push(seq);
                paths.push(path);
            }
            if seqs.is_empty() {
                return Ok(());
            }
            for (kept, seq) in entities::get_many(keys, &paths)?.into_iter().zip(seqs) {
                let Some(kept) = kept.filter(|kept| kept.entity.seq == seq && self.holds(&kept.entity)) else {
                    continue;
                };
                wanted = wanted.saturating_sub(1);
                if skip > 0 {
                    skip -= 1;
                } else if !with(kept.entity)? {
                    return Ok(());
                }
            }
        }
    }

    /// All entities of the list.
    ///
    /// # Errors
    /// Those of the store.
    pub fn all(&self, keys: &Keys) -> Result<Vec<Entity>, Fault> {
        let mut found = Vec::new();
        self.each(keys, 0, usize::MAX, |entity| {
            found.push(entity);
            Ok(true)
        })?;
        Ok(found)
    }
}

fn below_path(
    keys: &Keys,
    below: &str,
    mut skip: usize,
    mut with: impl FnMut(Entity) -> Result<bool, Fault>,
) -> Result<(), Fault> {
    for entry in kv::prefix(&keys.entity(below)).limit(PAGE).iter() {
        let entity = entry?.json::<Entity>()?.value;
        if skip > 0 {
            skip -= 1;
        } else if !with(entity)? {
            break;
        }
    }
    Ok(())
}
