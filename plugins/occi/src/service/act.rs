//! Actions, on one entity and on all of a collection.

use std::{collections::BTreeMap, rc::Rc};

use super::{Service, create::apply, observe::show};
use crate::{
    catalog::StoredMixin,
    draft::Draft,
    entity::{Attributes, Entity},
    fault::Fault,
    model::{
        Category, TypeId,
        states::{self, Transition},
        templates,
    },
    provider::{Effects, Failure, Seen},
    rules::{self, Named},
    store::{
        batch::{Batch, Stop, attempt},
        entities::{self, Kept, Sequence},
        query::Query,
    },
};

/// An action that was asked for.
struct Invocation {
    transition: &'static Transition,
    parameters: Attributes,
}

/// What a provider did, by path; and to what it was done.
type Results = BTreeMap<String, (Entity, Result<Effects, Failure>)>;

/// Checks and ops of one commit of an action on many.
const ROOM: usize = 90;

/// What came of an action.
#[derive(Debug)]
pub enum Acted {
    /// The entity as it is now.
    Entity(Box<Entity>),
    /// The template that was made.
    Template(Rc<Category>),
}

impl Service {
    /// Run an action on an entity. `term` is the one of the query.
    ///
    /// # Errors
    /// 400 if query and message disagree, 404 if there is no such action, 409 if it is not possible now.
    pub fn act(&self, path: &str, term: &str, draft: &Draft) -> Result<Acted, Fault> {
        let kind = entities::existing(&self.keys, path)?.entity.kind;
        let invocation = self.invocation(&kind, term, draft)?;
        if invocation.transition.action == "save" {
            return self.save(path, &invocation);
        }
        self.act_on(&[path.to_owned()], &invocation, false)?;
        Ok(Acted::Entity(Box::new(self.observed_existing(path)?.entity)))
    }

    /// Run an action on all entities of a collection: on all, or on none. Those that are already where it leads to
    /// count as done. The entities that there are.
    ///
    /// # Errors
    /// As for one; 409 if it is not possible for one of them.
    pub fn act_on_collection(
        &self,
        owner: &Category,
        query: &Query,
        term: &str,
        draft: &Draft,
    ) -> Result<Vec<Entity>, Fault> {
        if owner.actions.iter().all(|action| action.term() != term) {
            return Err(Fault::not_found(format!("{} has no action {term}.", owner.id)));
        }
        let invocation = self.invocation(&owner.id, term, draft)?;
        if invocation.transition.action == "save" {
            return Err(Fault::new(501, "Machines are saved one by one."));
        }
        let members = query.all(&self.keys)?;
        // All are asked before any is touched.
        for member in &members {
            possible(member, invocation.transition, true)?;
        }
        let paths: Vec<String> = members.into_iter().map(|member| member.path).collect();
        self.act_on(&paths, &invocation, true)?;
        query.all(&self.keys)
    }

    fn invocation(&self, kind: &TypeId, term: &str, draft: &Draft) -> Result<Invocation, Fault> {
        let named = Named::of(&self.catalog, &draft.categories)?;
        if named.kind.is_some() || !named.mixins.is_empty() {
            return Err(Fault::bad_request("The message of an action names the action only."));
        }
        let action = match named.action {
            Some(action) if action.id.term() == term => action,
            Some(action) => {
                return Err(Fault::bad_request(format!("The query says {term}, the message {}.", action.id)));
            }
            // An action link that was followed by hand.
            None => {
                let kind = self.kind(kind)?;
                let id = kind.actions.iter().find(|action| action.term() == term);
                let id = id.ok_or_else(|| Fault::not_found(format!("{} has no action {term}.", kind.id)))?;
                self.catalog.existing(id)?
            }
        };
        let transition = states::transition(kind, &action.id);
        let transition = transition.ok_or_else(|| Fault::not_found(format!("{kind} has no action {}.", action.id)))?;
        Ok(Invocation { transition, parameters: rules::parameters(&action, &draft.attributes)? })
    }

    /// As many together as fit into a commit. What was done is not done again when a commit loses a race.
    fn act_on(&self, paths: &[String], invocation: &Invocation, lenient: bool) -> Result<(), Fault> {
        let mut rest = paths;
        let mut acted = Results::new();
        while !rest.is_empty() {
            let done = attempt(|| {
                let mut batch = Batch::default();
                let mut done = 0;
                for path in rest {
                    let before = self.observed(path)?;
                    self.take_back(path, before.as_ref(), &mut acted)?;
                    let Some(before) = before else {
                        done += 1;
                        continue;
                    };
                    if done > 0 && batch.size() + 2 + 2 * before.entity.links.len() > ROOM {
                        break;
                    }
                    if acted.contains_key(path) || possible(&before.entity, invocation.transition, lenient)? {
                        self.carry_out(&before, invocation, &mut acted, &mut batch)?;
                    }
                    done += 1;
                }
                batch.commit()?;
                Ok(done)
            })?;
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(())
    }

    /// What was done to an entity that was deleted meanwhile goes as well: whoever deleted it may have been too early to
    /// see it.
    fn take_back(&self, path: &str, now: Option<&Kept>, acted: &mut Results) -> Result<(), Fault> {
        let is_there = |done: &Entity| now.is_some_and(|kept| kept.entity.seq == done.seq);
        match acted.get(path) {
            Some((done, _)) if !is_there(done) => self.provider.delete(done)?,
            _ => return Ok(()),
        }
        acted.remove(path);
        Ok(())
    }

    fn carry_out(
        &self,
        before: &Kept,
        invocation: &Invocation,
        acted: &mut Results,
        batch: &mut Batch,
    ) -> Result<(), Stop> {
        let mut after = before.entity.clone();
        let result = match acted.get(&after.path) {
            Some((_, result)) => result.clone(),
            None => {
                let result = self.provider.act(&before.entity, invocation.transition, &invocation.parameters);
                acted.insert(after.path.clone(), (before.entity.clone(), result.clone()));
                result
            }
        };
        match result {
            Ok(effects) => {
                if let Some(to) = invocation.transition.to {
                    show(&mut after, Seen::State(to));
                }
                apply(&mut after, effects);
            }
            Err(Failure::Failed(why)) => show(&mut after, Seen::Error(why)),
            Err(failure) => return Err(Fault::from(failure).into()),
        }
        // What the backend sees goes before what the table expects.
        if let Some(seen) = self.provider.observe(&after).map_err(Fault::from)? {
            show(&mut after, seen);
        }
        entities::update(&self.keys, batch, before, &after)?;
        if before.entity == after {
            // Whoever looked at it meanwhile, and saw what has passed, is to look again.
            batch.put_json(self.keys.entity(&after.path), &after)?;
        }
        self.follow_links(&after, batch)
    }

    fn save(&self, path: &str, invocation: &Invocation) -> Result<Acted, Fault> {
        let (mut acted, mut saved) = (Results::new(), None);
        attempt(|| {
            let before = self.observed_existing(path)?;
            possible(&before.entity, invocation.transition, false)?;
            let image = match saved.take() {
                Some(image) => image,
                None => self.provider.save(&before.entity, &invocation.parameters).map_err(Fault::from)?,
            };
            let term = if image.id.is_empty() { Sequence::now().advance()? } else { templates::safe(&image.id) };
            let id = TypeId::of(templates::IMAGES, &term)
                .ok_or_else(|| Fault::internal(format_args!("the image {term} makes no term")))?;
            let stored = StoredMixin {
                title: format!("Image: {}", image.name),
                depends: vec![templates::os_tpl()],
                location: format!("/mixin/os_tpl/{term}/"),
                by_client: false,
            };
            let mut batch = Batch::default();
            batch.unchanged(&self.keys.mixin(&id), None);
            batch.put_json(self.keys.mixin(&id), &stored)?;
            batch.put(self.keys.location(&stored.location), id.as_str());
            saved = Some(image);
            self.carry_out(&before, invocation, &mut acted, &mut batch)?;
            batch.commit()?;
            Ok(Acted::Template(self.catalog.existing(&id)?))
        })
    }
}

/// Whether something is to be done; an error if it is not possible. `lenient`: being there already is as good.
fn possible(entity: &Entity, transition: &Transition, lenient: bool) -> Result<bool, Fault> {
    let state = entity.state().unwrap_or_default();
    if transition.from.contains(&state) {
        return Ok(true);
    }
    if lenient && transition.to == Some(state) {
        return Ok(false);
    }
    Err(Fault::conflict(format!("{} is not possible while {} is {state}.", transition.action, entity.path)))
}
