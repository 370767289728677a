//! What machines are found to be, written down.
//!
//! A machine changes without being asked to: its guest powers off, its process is killed. Whoever needs to know its state
//! looks here, and what is found is committed first, so that lists and filters follow.

use super::{Service, create::follow};
use crate::{
    entity::Entity,
    fault::Fault,
    model::{infrastructure::id, states},
    provider::Seen,
    store::{
        batch::{Batch, Stop, attempt},
        entities::{self, Kept},
    },
};

impl Service {
    /// The entity at a path as it is now; none if nothing is there.
    ///
    /// # Errors
    /// Those of the store and the provider.
    pub fn observed(&self, path: &str) -> Result<Option<Kept>, Fault> {
        let look = |entity: &Entity| match entity.kind == id("compute") {
            true => self.provider.observe(entity).map_err(Fault::from),
            false => Ok(None),
        };
        self.write_down(path, look)
    }

    /// Write down what a machine was found to be.
    ///
    /// # Errors
    /// Those of the store.
    pub fn found(&self, path: &str, seen: &Seen) -> Result<(), Fault> {
        self.write_down(path, |_| Ok(Some(seen.clone()))).map(drop)
    }

    fn write_down(
        &self,
        path: &str,
        look: impl Fn(&Entity) -> Result<Option<Seen>, Fault>,
    ) -> Result<Option<Kept>, Fault> {
        attempt(|| {
            let Some(before) = entities::get(&self.keys, path)? else { return Ok(None) };
            let Some(seen) = look(&before.entity)? else { return Ok(Some(before)) };
            let mut after = before.entity.clone();
            show(&mut after, seen);
            if after == before.entity {
                return Ok(Some(before));
            }
            let mut batch = Batch::default();
            entities::update(&self.keys, &mut batch, &before, &after)?;
            self.follow_links(&after, &mut batch)?;
            batch.commit()?;
            Ok(entities::get(&self.keys, path)?)
        })
    }

    /// The same for what has to be there.
    ///
    /// # Errors
    /// 404 if it is not.
    pub fn observed_existing(&self, path: &str) -> Result<Kept, Fault> {
        self.observed(path)?.ok_or_else(|| Fault::not_found(format!("There is nothing at {path}.")))
    }

    /// Have the links of a resource follow its state.
    pub(super) fn follow_links(&self, source: &Entity, batch: &mut Batch) -> Result<(), Stop> {
        for path in &source.links {
            if let Some(link) = entities::get(&self.keys, path)? {
                let mut changed = link.entity.clone();
                if follow(source, &mut changed) {
                    entities::update(&self.keys, batch, &link, &changed)?;
                }
            }
        }
        Ok(())
    }
}

/// Set the state that was found.
pub(super) fn show(entity: &mut Entity, seen: Seen) {
    let Some((state, _)) = states::of(&entity.kind) else { return };
    let message = format!("{state}.message");
    let (found, why) = match seen {
        Seen::State(found) => (found, None),
        Seen::Error(why) => ("error", Some(why)),
    };
    entity.attributes.insert(state.to_owned(), found.into());
    match why {
        Some(why) => entity.attributes.insert(message, why.into()),
        None => entity.attributes.remove(&message),
    };
}
