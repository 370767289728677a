//! Changes of entities: some of one (POST), or all of it (PUT).

use super::{
    Service,
    create::{Work, apply},
};
use crate::{
    cdmi::exports,
    draft::{Draft, DraftLink},
    entity::{Entity, same},
    fault::Fault,
    model::{TypeId, core, templates},
    rules::{Named, Shape},
    store::{
        batch::{Stop, attempt},
        entities,
    },
    view::Reference,
};

impl Service {
    /// Change what the draft says, and leave the rest.
    ///
    /// # Errors
    /// As the draft deserves; nothing is changed then.
    pub fn update(&self, path: &str, draft: &Draft) -> Result<Entity, Fault> {
        self.change(path, draft, false)
    }

    /// Make the entity what the draft says. Links stay.
    ///
    /// # Errors
    /// As the draft deserves; nothing is changed then.
    pub fn replace(&self, path: &str, draft: &Draft) -> Result<Entity, Fault> {
        self.change(path, draft, true)
    }

    fn change(&self, path: &str, draft: &Draft, whole: bool) -> Result<Entity, Fault> {
        let named = Named::of(&self.catalog, &draft.categories)?;
        let (after, links) = attempt(|| {
            let before = self.observed_existing(path)?;
            let mut after = before.entity.clone();
            if named.kind.as_ref().is_some_and(|kind| kind.id != after.kind) || named.action.is_some() {
                return Err(Fault::bad_request("The kind of an entity does not change.").into());
            }
            if whole && named.kind.is_none() {
                return Err(Fault::bad_request("The request names no kind.").into());
            }
            self.take_mixins(&before.entity, &mut after, &named, whole)?;
            let kind = self.kind(&after.kind)?;
            let shape = Shape::of(&self.catalog, &kind, &self.mixins_of(&after)?)?;
            if whole {
                after.attributes = shape.keep(&before.entity.attributes);
            }
            shape.take(&mut after.attributes, &draft.attributes)?;
            shape.complete(&mut after.attributes)?;
            self.same_ends(&after, draft)?;
            if !after.is_link() {
                let effects = self.provider.update(&before.entity, &after).map_err(Fault::from)?;
                apply(&mut after, effects);
            }
            let mut work = Work::new(self)?;
            for link in &draft.links {
                if self.is_echo(&after, link)? {
                    continue;
                }
                if whole || after.is_link() {
                    return Err(Fault::bad_request("Links cannot be made by this request.").into());
                }
                work.add_link(&mut after, link)?;
            }
            work.changed.insert(path.to_owned(), (before, after.clone()));
            Ok::<_, Stop>((after, work.commit()?))
        })?;
        self.plug(&links)?;
        Ok(after)
    }

    /// The mixins of the draft beside, or instead of, those that are there. A new template replaces the one of its
    /// family.
    fn take_mixins(&self, before: &Entity, entity: &mut Entity, named: &Named, whole: bool) -> Result<(), Fault> {
        if whole {
            entity.mixins.clear();
        }
        for mixin in &named.mixins {
            exports::only_at_creation(before, &mixin.id)?;
            for family in [templates::os_tpl(), templates::resource_tpl()] {
                if mixin.depends.contains(&family) && !whole {
                    let others = self.mixins_of(entity)?;
                    let replaced =
                        |id: &TypeId| others.iter().any(|known| known.id == *id && known.depends.contains(&family));
                    entity.mixins.retain(|id| !replaced(id));
                }
            }
            if !entity.mixins.contains(&mixin.id) {
                entity.mixins.push(mixin.id.clone());
            }
        }
        Ok(())
    }

    /// A link stays where it is: its ends can be sent along as they are.
    fn same_ends(&self, entity: &Entity, draft: &Draft) -> Result<(), Fault> {
        if !entity.is_link() {
            return Ok(());
        }
        for name in [core::SOURCE, core::TARGET] {
            let Some(given) = draft.attributes.get(name) else { continue };
            let text = given.as_str().ok_or_else(|| Fault::bad_request(format!("{name} has to be a text.")))?;
            let given = match self.names.resolve(text)? {
                Reference::Id(seq) => entities::path_of(&self.keys, &seq)?,
                Reference::Local(end) | Reference::Elsewhere(end) => end,
            };
            if entity.value(name).is_none_or(|own| !same(&own, &given.into())) {
                return Err(Fault::new(501, "A link cannot be moved; delete it and make another."));
            }
        }
        Ok(())
    }

    /// Whether a link in a request is one that the entity has, as it was shown.
    fn is_echo(&self, entity: &Entity, link: &DraftLink) -> Result<bool, Fault> {
        let Some(existing) = &link.existing else { return Ok(false) };
        let path = match self.names.resolve(existing)? {
            Reference::Local(path) => path,
            Reference::Id(seq) => match entities::path_of(&self.keys, &seq) {
                Ok(path) => path,
                Err(_) => return Ok(false),
            },
            Reference::Elsewhere(_) => return Ok(false),
        };
        Ok(entity.links.contains(&path))
    }
}
