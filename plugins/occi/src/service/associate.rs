//! Membership of mixin collections: adding, replacing and taking away, of all that a request names or of none.

use std::rc::Rc;

use super::{Service, create::apply};
use crate::{
    entity::Entity,
    fault::Fault,
    model::{Category, templates},
    rules::Shape,
    store::{
        batch::{Batch, Stop, attempt},
        entities::{self, Kept},
        query::Query,
    },
};

/// What is to become of the members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// These as well.
    Add,
    /// These and no others.
    Replace,
    /// Not these; without any, none.
    Remove,
}

impl Service {
    /// Change the members of a mixin's collection.
    ///
    /// # Errors
    /// 404 for a location without an entity, 403 if the mixin does not apply to one of them; nothing is changed then.
    pub fn associate(&self, mixin: &Rc<Category>, locations: &[String], how: Membership) -> Result<(), Fault> {
        if locations.is_empty() && how == Membership::Add {
            return Err(Fault::bad_request("The request names no locations."));
        }
        let named = locations.iter().map(|location| self.path_of(location)).collect::<Result<Vec<_>, _>>()?;
        let members = || Query { categories: vec![mixin.id.clone()], ..Query::default() }.all(&self.keys);
        let (with, without) = match how {
            Membership::Add => (named, Vec::new()),
            Membership::Remove if named.is_empty() => (named, members()?),
            Membership::Remove => {
                let named = named.iter().map(|path| entities::existing(&self.keys, path));
                (Vec::new(), named.map(|kept| Ok(kept?.entity)).collect::<Result<_, Fault>>()?)
            }
            Membership::Replace => {
                let others = members()?.into_iter().filter(|member| !named.contains(&member.path));
                let others = others.collect();
                (named, others)
            }
        };
        attempt(|| {
            let mut batch = Batch::default();
            for path in &with {
                let before = entities::existing(&self.keys, path)?;
                let after = self.with_mixin(&before.entity, mixin)?;
                self.write(&mut batch, &before, after)?;
            }
            // What does not fit goes by commits of its own: nothing can refuse it any more.
            let mut rest = Vec::new();
            for entity in &without {
                if batch.size() + 2 > 90 {
                    rest.push(entity);
                    continue;
                }
                self.take_off(&mut batch, entity, mixin)?;
            }
            batch.commit()?;
            for some in rest.chunks(40) {
                let mut batch = Batch::default();
                for entity in some {
                    self.take_off(&mut batch, entity, mixin)?;
                }
                batch.commit()?;
            }
            Ok(())
        })
    }

    fn take_off(&self, batch: &mut Batch, entity: &Entity, mixin: &Category) -> Result<(), Stop> {
        let Some(before) = entities::get(&self.keys, &entity.path)? else { return Ok(()) };
        let mut after = before.entity.clone();
        after.mixins.retain(|id| *id != mixin.id);
        let kind = self.kind(&after.kind)?;
        Shape::of(&self.catalog, &kind, &self.mixins_of(&after)?)?.complete(&mut after.attributes)?;
        self.write(batch, &before, after)
    }

    fn with_mixin(&self, entity: &Entity, mixin: &Rc<Category>) -> Result<Entity, Fault> {
        let mut after = entity.clone();
        if after.mixins.contains(&mixin.id) {
            return Ok(after);
        }
        crate::cdmi::exports::only_at_creation(entity, &mixin.id)?;
        let mut mixins = self.mixins_of(&after)?;
        for family in [templates::os_tpl(), templates::resource_tpl()] {
            if mixin.depends.contains(&family) {
                mixins.retain(|known| !known.depends.contains(&family));
            }
        }
        mixins.push(Rc::clone(mixin));
        after.mixins = mixins.iter().map(|mixin| mixin.id.clone()).collect();
        Shape::of(&self.catalog, &self.kind(&after.kind)?, &mixins)?.complete(&mut after.attributes)?;
        Ok(after)
    }

    fn write(&self, batch: &mut Batch, before: &Kept, mut after: Entity) -> Result<(), Stop> {
        if before.entity == after {
            return Ok(());
        }
        if !after.is_link() {
            let effects = self.provider.update(&before.entity, &after).map_err(Fault::from)?;
            apply(&mut after, effects);
        }
        entities::update(&self.keys, batch, before, &after)
    }
}
