//! New entities: resources with their links, and links by themselves. All of a request come to be, or none.

use std::collections::BTreeMap;

use super::Service;
use crate::{
    cdmi::{exports, record::Record},
    draft::{Draft, DraftLink},
    entity::{Attributes, Ends, Entity},
    fault::Fault,
    model::{Category, Class, TypeId, core, infrastructure, states},
    provider::Effects,
    rules::{self, Named, Shape},
    store::{
        batch::{Batch, Stop, attempt},
        entities::{self, Kept, Sequence},
    },
    view::Reference,
};

/// Most links of one resource, so that it can be read and removed in few steps.
const MOST_LINKS: usize = 512;

/// Kinds of links with the kind that they lead to; without a category in the request, the target tells the link.
const LINK_TARGETS: [(&str, &str); 2] = [("networkinterface", "network"), ("storagelink", "storage")];

/// What a request creates and changes, before it is committed.
pub(super) struct Work<'a> {
    service: &'a Service,
    pub(super) sequence: Sequence,
    /// New entities, in order.
    pub(super) new: Vec<Entity>,
    /// Resources that get links, with what they were.
    pub(super) changed: BTreeMap<String, (Kept, Entity)>,
    /// Containers behind new storage, and the disks in them.
    containers: Vec<Record>,
    /// Targets that have to be there still: paths and versions.
    relied_on: BTreeMap<String, u64>,
}

impl Service {
    /// Create all of these. The new resources and links that were asked for, without inline links.
    ///
    /// # Errors
    /// As the drafts deserve; nothing is created then.
    pub fn create(&self, drafts: &[Draft]) -> Result<Vec<Entity>, Fault> {
        if drafts.is_empty() {
            return Err(Fault::bad_request("The request names nothing to create."));
        }
        let (made, links) = attempt(|| {
            let mut work = Work::new(self)?;
            let made = drafts.iter().map(|draft| work.create(draft, None)).collect::<Result<Vec<_>, _>>()?;
            Ok((made, work.commit()?))
        })?;
        self.plug(&links)?;
        Ok(made)
    }

    /// Have new links do what they stand for. If one cannot, all of them go again.
    pub(super) fn plug(&self, links: &[Entity]) -> Result<(), Fault> {
        let plugged = links.iter().try_for_each(|link| self.provider.plug(link));
        if let Err(failure) = plugged {
            for link in links {
                self.remove(&link.path)?;
            }
            return Err(failure.into());
        }
        Ok(())
    }

    /// Create one at a path of the client's choice.
    ///
    /// # Errors
    /// 409 if the path cannot be had.
    pub fn create_at(&self, path: &str, draft: &Draft) -> Result<Entity, Fault> {
        if path.contains("/.") || path == "/-" {
            return Err(Fault::bad_request("Entities cannot be at this path."));
        }
        let (made, links) = attempt(|| {
            let mut work = Work::new(self)?;
            let made = work.create(draft, Some(path))?;
            Ok((made, work.commit()?))
        })?;
        self.plug(&links)?;
        Ok(made)
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(service: &'a Service) -> Result<Work<'a>, Fault> {
        Ok(Work {
            service,
            sequence: Sequence::after_all(&service.keys)?,
            new: Vec::new(),
            changed: BTreeMap::new(),
            containers: Vec::new(),
            relied_on: BTreeMap::new(),
        })
    }

    fn create(&mut self, draft: &Draft, path: Option<&str>) -> Result<Entity, Fault> {
        let named = Named::of(&self.service.catalog, &draft.categories)?;
        let kind = named.kind.ok_or_else(|| Fault::bad_request("The request names no kind."))?;
        if named.action.is_some() {
            return Err(Fault::bad_request("An action is not part of an entity."));
        }
        let shape = Shape::of(&self.service.catalog, &kind, &named.mixins)?;
        if !shape.is_instantiable() {
            return Err(Fault::bad_request(format!("Nothing can be just a {}.", kind.id)));
        }
        let attributes = rules::new_attributes(&shape, &kind.id, draft)?;
        let mut entity = self.entity(&kind, path, attributes)?;
        entity.mixins = named.mixins.iter().map(|mixin| mixin.id.clone()).collect();
        if shape.is_link() {
            if !draft.links.is_empty() {
                return Err(Fault::bad_request("A link has no links."));
            }
            return self.link(entity, draft);
        }
        let effects = self.service.provider.create(&entity)?;
        apply(&mut entity, effects);
        self.containers.extend(exports::behind(self.service, &mut entity)?.into_iter().flatten());
        let at = self.new.len();
        self.new.push(entity);
        for link in &draft.links {
            self.inline(at, link)?;
        }
        self.new.get(at).cloned().ok_or_else(|| Fault::internal("a new entity is gone"))
    }

    fn entity(&mut self, kind: &Category, path: Option<&str>, attributes: Attributes) -> Result<Entity, Fault> {
        let seq = self.sequence.advance()?;
        let mut entity = Entity {
            seq,
            path: String::new(),
            kind: kind.id.clone(),
            mixins: Vec::new(),
            attributes,
            links: Vec::new(),
            ends: None,
        };
        let location = kind.location.as_deref().unwrap_or("/");
        let id = entity.id();
        let own = || format!("{location}{}", id.strip_prefix("urn:uuid:").unwrap_or(&id));
        entity.path = path.map_or_else(own, str::to_owned);
        Ok(entity)
    }

    /// A link by itself, with both ends among its attributes.
    fn link(&mut self, entity: Entity, draft: &Draft) -> Result<Entity, Fault> {
        let end = |name: &str| match draft.attributes.get(name) {
            Some(serde_json::Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(Fault::bad_request(format!("{name} has to be a text."))),
            None => Err(Fault::bad_request(format!("{name} is missing."))),
        };
        let source = self.service.path_of(&end(core::SOURCE)?)?;
        let target = end(core::TARGET)?;
        let mut resource = match self.changed.remove(&source) {
            Some(changed) => changed,
            None => {
                let kept = entities::existing(&self.service.keys, &source)?;
                (kept.clone(), kept.entity)
            }
        };
        if resource.1.is_link() {
            return Err(Fault::bad_request("A link cannot be the source of a link."));
        }
        let link = self.connect(entity, &mut resource.1, &target);
        self.changed.insert(source, resource);
        self.new.push(link?.clone());
        self.new.last().cloned().ok_or_else(|| Fault::internal("a new link is gone"))
    }

    /// A link in the message of a new resource, which is `at` among the new ones.
    fn inline(&mut self, at: usize, draft: &DraftLink) -> Result<(), Fault> {
        let (entity, target) = self.prepare(draft)?;
        let mut source = self.new.get(at).cloned().ok_or_else(|| Fault::internal("a new entity is gone"))?;
        let link = self.connect(entity, &mut source, &target)?;
        if let Some(slot) = self.new.get_mut(at) {
            *slot = source;
        }
        self.new.push(link);
        Ok(())
    }

    /// A link in the message of a resource that is there already, and is being changed to this.
    pub(super) fn add_link(&mut self, source: &mut Entity, draft: &DraftLink) -> Result<(), Fault> {
        let (entity, target) = self.prepare(draft)?;
        let link = self.connect(entity, source, &target)?;
        self.new.push(link);
        Ok(())
    }

    /// A link that has no ends yet, and what it is to lead to.
    fn prepare(&mut self, draft: &DraftLink) -> Result<(Entity, String), Fault> {
        let mut attributes = draft.attributes.clone();
        attributes.remove(core::SOURCE);
        // One bridge has the target there, and an id between the angle brackets.
        let target = match attributes.remove(core::TARGET) {
            Some(serde_json::Value::String(target)) => target,
            _ => draft.target.clone(),
        };
        let mut categories: Vec<(TypeId, Option<Class>)> =
            draft.categories.iter().map(|id| (id.clone(), None)).collect();
        let mut named = Named::of(&self.service.catalog, &categories)?;
        if named.kind.is_none() {
            categories.push((implied(&draft.rel)?, Some(Class::Kind)));
            named = Named::of(&self.service.catalog, &categories)?;
        }
        let kind = named.kind.ok_or_else(|| Fault::bad_request("A link names no kind."))?;
        let shape = Shape::of(&self.service.catalog, &kind, &named.mixins)?;
        if !shape.is_link() {
            return Err(Fault::bad_request(format!("{} is no kind of links.", kind.id)));
        }
        let draft = Draft { categories, attributes, links: Vec::new() };
        let attributes = rules::new_attributes(&shape, &kind.id, &draft)?;
        let mut entity = self.entity(&kind, None, attributes)?;
        entity.mixins = named.mixins.iter().map(|mixin| mixin.id.clone()).collect();
        Ok((entity, target))
    }

    /// Give a link that is there already these ends, which may be those that it has; it is looked at as a new one is.
    pub(super) fn relink(&mut self, link: &mut Entity, source: &str, target: &str) -> Result<(), Fault> {
        let keys = &self.service.keys;
        let before = link.ends.take().map(|ends| ends.source).unwrap_or_default();
        if before != source {
            let kept = entities::existing(keys, &before)?;
            let mut left = kept.entity.clone();
            left.links.retain(|own| *own != link.path);
            self.changed.insert(before, (kept, left));
        }
        let kept = entities::existing(keys, source)?;
        let mut resource = kept.entity.clone();
        if resource.is_link() {
            return Err(Fault::bad_request("A link cannot be the source of a link."));
        }
        *link = self.connect(link.clone(), &mut resource, target)?;
        self.changed.insert(source.to_owned(), (kept, resource));
        Ok(())
    }

    /// Give a link its ends.
    fn connect(&mut self, mut link: Entity, source: &mut Entity, target: &str) -> Result<Entity, Fault> {
        let (target, resource) = self.target(&link.kind, target)?;
        let is_new = !source.links.contains(&link.path);
        if is_new && source.links.len() >= MOST_LINKS {
            return Err(Fault::conflict(format!("A resource has at most {MOST_LINKS} links.")));
        }
        link.ends = Some(Ends {
            source: source.path.clone(),
            source_kind: source.kind.clone(),
            target,
            target_kind: resource.as_ref().map(|resource| resource.kind.clone()),
        });
        let location = self.service.kind(&link.kind)?.location.clone().unwrap_or_default();
        let alike = || source.links.iter().filter(|path| path.starts_with(&location));
        let place = alike().position(|path| *path == link.path).unwrap_or_else(|| alike().count());
        exports::attach(self.service, &mut link, source, resource.as_ref())?;
        self.service.provider.attach(&mut link, source, resource.as_ref(), place)?;
        follow(source, &mut link);
        if is_new {
            source.links.push(link.path.clone());
        }
        Ok(link)
    }

    /// What a link leads to: path and entity, or a URL elsewhere.
    fn target(&mut self, link: &TypeId, reference: &str) -> Result<(String, Option<Entity>), Fault> {
        let storage = exports::storage_of_url(self.service, reference)?;
        let path = match self.service.names.resolve(storage.as_deref().unwrap_or(reference))? {
            Reference::Elsewhere(url) => return Ok((url, None)),
            Reference::Local(path) => path,
            Reference::Id(seq) => entities::path_of(&self.service.keys, &seq)?,
        };
        let resource = match self.new.iter().find(|entity| entity.path == path) {
            Some(new) => new.clone(),
            None => {
                let kept = entities::existing(&self.service.keys, &path)?;
                self.relied_on.insert(path.clone(), kept.version);
                kept.entity
            }
        };
        let wanted = LINK_TARGETS.iter().find(|(kind, _)| infrastructure::id(kind) == *link);
        let fits = match wanted {
            Some((_, wanted)) => self.service.catalog.descends(&resource.kind, &infrastructure::id(wanted))?,
            None => !resource.is_link(),
        };
        if fits {
            Ok((path, Some(resource)))
        } else {
            Err(Fault::bad_request(format!("A {} cannot lead to a {}.", link.term(), resource.kind.term())))
        }
    }

    /// The links that now lead from what was there before.
    pub(super) fn commit(self) -> Result<Vec<Entity>, Stop> {
        let keys = &self.service.keys;
        let mut batch = Batch::default();
        for entity in &self.new {
            entities::create(keys, &mut batch, entity)?;
        }
        for container in &self.containers {
            exports::keep(self.service, &mut batch, container)?;
        }
        for (before, after) in self.changed.values() {
            entities::update(keys, &mut batch, before, after)?;
        }
        for (path, version) in &self.relied_on {
            if !self.changed.contains_key(path) {
                batch.unchanged(&keys.entity(path), Some(*version));
            }
        }
        batch.commit()?;
        let changed = self.changed;
        let is_late = |link: &Entity| link.ends.as_ref().is_some_and(|ends| changed.contains_key(&ends.source));
        Ok(self.new.into_iter().filter(is_late).collect())
    }
}

/// The kind of a link that names none, by what it leads to.
fn implied(rel: &[TypeId]) -> Result<TypeId, Fault> {
    let known = LINK_TARGETS.iter().find(|(_, target)| rel.contains(&infrastructure::id(target)));
    known
        .map(|(kind, _)| infrastructure::id(kind))
        .ok_or_else(|| Fault::bad_request("A link names neither its kind nor what it leads to."))
}

/// Set what a provider did.
pub(super) fn apply(entity: &mut Entity, effects: Effects) {
    for (name, value) in effects {
        entity.attributes.insert(name.to_owned(), value);
    }
}

/// A link is active while its source is. True if that changed it.
pub(super) fn follow(source: &Entity, link: &mut Entity) -> bool {
    let Some((attribute, _)) = states::of(&link.kind) else { return false };
    let state = if source.state() == Some("active") { "active" } else { "inactive" };
    link.attributes.insert(attribute.to_owned(), state.into()).is_none_or(|before| before != state)
}
