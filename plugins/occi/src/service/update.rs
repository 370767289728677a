//! Changes of entities: some of one (POST), or all of it (PUT).

use super::{
    Service,
    create::{Work, apply},
};
use crate::{
    cdmi::exports,
    draft::{Draft, DraftLink},
    entity::{Attributes, Entity},
    fault::Fault,
    model::{TypeId, core, infrastructure, openstack, templates},
    rules::{Named, Shape},
    store::{
        batch::{Stop, attempt},
        entities,
    },
    view::Reference,
};

/// Attributes of a link that what it leads to has decided. They go when it leads elsewhere, unless they are sent along.
const OF_TARGET: [&str; 4] = [
    infrastructure::DEVICE,
    "occi.networkinterface.address",
    "occi.networkinterface.gateway",
    "occi.networkinterface.allocation",
];

/// Source and target of a link.
fn own_ends(link: &Entity) -> Option<(String, String)> {
    link.ends.as_ref().map(|ends| (ends.source.clone(), ends.target.clone()))
}

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
        let mut taken_out = None;
        let changed = attempt(|| {
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
            let ends = self.other_ends(&after, draft)?;
            let leads_elsewhere = |target: &str| after.ends.as_ref().is_some_and(|ends| ends.target != target);
            if ends.as_ref().is_some_and(|(_, target)| leads_elsewhere(target)) {
                after.attributes.retain(|name, _| !OF_TARGET.contains(&name.as_str()));
            }
            let given = self.without_console(&after, draft);
            shape.take(&mut after.attributes, &given)?;
            shape.complete(&mut after.attributes)?;
            let mut work = Work::new(self)?;
            if after.is_link() {
                let rewired = ends.is_some() || self.provider.rewires(&before.entity, &after);
                if let Some((source, target)) = ends.or_else(|| own_ends(&after)).filter(|_| rewired) {
                    work.relink(&mut after, &source, &target)?;
                    self.provider.detach(&before.entity).map_err(Fault::from)?;
                    taken_out = Some(before.entity.clone());
                }
            } else {
                let effects = self.provider.update(&before.entity, &after).map_err(Fault::from)?;
                apply(&mut after, effects);
            }
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
        });
        let Some(old) = taken_out else {
            let (after, links) = changed?;
            self.plug(&links)?;
            return Ok(after);
        };
        match changed {
            Ok((after, _)) => match self.provider.plug(&after) {
                Ok(()) => Ok(after),
                Err(failure) => self.put_back(&old).and(Err(failure.into())),
            },
            Err(fault) => self.provider.plug(&old).map_err(Fault::from).and(Err(fault)),
        }
    }

    /// Have a link be what it was, as its source does not take what it was to be.
    fn put_back(&self, old: &Entity) -> Result<(), Fault> {
        attempt(|| {
            let Some(before) = entities::get(&self.keys, &old.path)? else { return Ok(()) };
            let mut after = before.entity.clone();
            (after.attributes, after.mixins) = (old.attributes.clone(), old.mixins.clone());
            let mut work = Work::new(self)?;
            if let Some((source, target)) = own_ends(old) {
                work.relink(&mut after, &source, &target)?;
            }
            work.changed.insert(old.path.clone(), (before, after));
            work.commit().map(drop)
        })?;
        self.provider.plug(old).map_err(Fault::from)
    }

    /// What a client gave, but for the console's address as it was shown: that is of no record.
    fn without_console(&self, entity: &Entity, draft: &Draft) -> Attributes {
        let mut given = draft.attributes.clone();
        let shown = self.console(entity.kind.as_str(), entity.state(), &entity.seq);
        if shown.is_some() && given.get(openstack::CONSOLE).and_then(serde_json::Value::as_str) == shown.as_deref() {
            given.remove(openstack::CONSOLE);
        }
        given
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

    /// Source and target that a link is to have; none if those are the ones that it has.
    fn other_ends(&self, entity: &Entity, draft: &Draft) -> Result<Option<(String, String)>, Fault> {
        let Some(own) = own_ends(entity) else { return Ok(None) };
        let end = |name: &str, own: &String| {
            let Some(given) = draft.attributes.get(name) else { return Ok(own.clone()) };
            let text = given.as_str().ok_or_else(|| Fault::bad_request(format!("{name} has to be a text.")))?;
            let storage = exports::storage_of_url(self, text)?;
            match self.names.resolve(storage.as_deref().unwrap_or(text))? {
                Reference::Id(seq) => entities::path_of(&self.keys, &seq),
                Reference::Local(end) | Reference::Elsewhere(end) => Ok(end),
            }
        };
        let given = (end(core::SOURCE, &own.0)?, end(core::TARGET, &own.1)?);
        Ok((given != own).then_some(given))
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
