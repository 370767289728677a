//! What the API does, for any rendering: entities, links, actions, collections and the query interface.
//!
//! Requests come as drafts, results go as views; nothing here knows of headers. Each operation reads, decides by
//! `rules` and `model`, asks the provider, and commits once.

pub mod act;
pub mod associate;
pub mod create;
pub mod define;
pub mod list;
pub mod observe;
pub mod remove;
pub mod update;

use std::rc::Rc;

use plugbay_sdk::Request;

use crate::{
    catalog::Catalog,
    entity::Entity,
    fault::Fault,
    model::{Category, TypeId, infrastructure, openstack},
    provider::{self, Provider},
    settings::{Settings, SpaceRule},
    store::{entities, keys::Keys},
    view::{Names, Reference, View},
};

/// One request's view of the world.
pub struct Service {
    /// The operator's settings.
    pub settings: Rc<Settings>,
    /// Keys of the caller's name space.
    pub keys: Keys,
    /// Its categories.
    pub catalog: Catalog,
    /// How the client names things.
    pub names: Names,
    /// What runs the machines.
    pub provider: Rc<dyn Provider>,
}

impl Service {
    /// For the caller of a request.
    ///
    /// # Errors
    /// 500 if the settings do not read.
    pub fn of(request: &Request) -> Result<Service, Fault> {
        let settings = Settings::load()?;
        let keys = Keys::of(&owner(request, settings.space));
        Ok(Service::within(keys, settings, Names::of(request)))
    }

    /// In a name space, for a job.
    pub fn within(keys: Keys, settings: Rc<Settings>, names: Names) -> Service {
        let provider = provider::of(&settings, &keys);
        let catalog = Catalog::new(&keys, &settings, &provider);
        Service { keys, catalog, names, provider, settings }
    }

    /// The path that a reference leads to.
    ///
    /// # Errors
    /// 400 if it is none, 404 if nothing can be there.
    pub fn path_of(&self, reference: &str) -> Result<String, Fault> {
        match self.names.resolve(reference)? {
            Reference::Local(path) => Ok(path),
            Reference::Id(seq) => entities::path_of(&self.keys, &seq),
            Reference::Elsewhere(url) => Err(Fault::not_found(format!("{url} is not of this service."))),
        }
    }

    /// An entity with all that its rendering needs.
    ///
    /// # Errors
    /// Those of the store.
    pub fn view(&self, entity: Entity) -> Result<View, Fault> {
        let view = self.with_links(entity)?;
        let ids = std::iter::once(&view.entity.kind).chain(&view.entity.mixins);
        let categories = ids.filter_map(|id| self.catalog.find(id).transpose()).collect::<Result<_, _>>()?;
        Ok(View { categories, ..view })
    }

    /// An entity with all but its categories, which JSON only names.
    ///
    /// # Errors
    /// Those of the store.
    pub fn with_links(&self, mut entity: Entity) -> Result<View, Fault> {
        if let Some(console) = self.console(entity.kind.as_str(), entity.state(), &entity.seq) {
            entity.attributes.insert(openstack::CONSOLE.to_owned(), console.into());
            let mixin = TypeId::known(openstack::INSTANCE, openstack::OS_VMS);
            if !entity.mixins.contains(&mixin) {
                entity.mixins.push(mixin);
            }
        }
        let mut links = Vec::new();
        for path in &entity.links {
            links.extend(entities::get(&self.keys, path)?.map(|kept| kept.entity));
        }
        Ok(View { entity, categories: Vec::new(), links })
    }

    /// Address of the console of what is of this kind, in this state; none if it has none.
    pub fn console(&self, kind: &str, state: Option<&str>, seq: &str) -> Option<String> {
        let runs = infrastructure::term_of(kind) == Some("compute") && matches!(state, Some("active" | "suspended"));
        if runs { self.provider.console(seq) } else { None }
    }

    /// An entity's mixins. One that is gone meanwhile is passed over.
    fn mixins_of(&self, entity: &Entity) -> Result<Vec<Rc<Category>>, Fault> {
        entity.mixins.iter().filter_map(|id| self.catalog.find(id).transpose()).collect()
    }

    fn kind(&self, id: &TypeId) -> Result<Rc<Category>, Fault> {
        self.catalog.existing(id)
    }
}

/// Whose name space a caller's is.
pub fn owner(request: &Request, rule: SpaceRule) -> String {
    match (rule, request.user()) {
        (SpaceRule::Shared, _) | (_, None) => "shared".to_owned(),
        (SpaceRule::Project, Some(user)) => match &user.project {
            Some(project) => format!("project {project}"),
            None => format!("user {}", user.id),
        },
    }
}
