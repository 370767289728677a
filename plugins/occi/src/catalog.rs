//! Which categories there are: the standard ones, the operator's templates, and what clients defined.
//!
//! The standard ones and those of the settings are made once per instance; client-defined ones, and images of a service, are
//! looked up one by one, so that their number costs nobody else anything.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use plugbay_sdk::kv;
use serde::{Deserialize, Serialize};

use crate::{
    fault::Fault,
    images,
    model::{Attribute, Category, Class, TypeId, core, infrastructure, openstack, templates},
    provider::{self, Provider},
    settings::Settings,
    store::keys::Keys,
};

/// Templates that many catalogs have.
type Templates = Rc<[Rc<Category>]>;

thread_local! {
    static STANDARD: Vec<Rc<Category>> = [core::categories(), infrastructure::categories(), templates::categories(), openstack::categories(), crate::model::cdmi::categories()]
        .into_iter()
        .flatten()
        .map(Rc::new)
        .collect();
    /// Settings, and what follows from them.
    static CONFIGURED: RefCell<(Rc<Settings>, Templates)> = RefCell::new((Rc::default(), Rc::new([])));
}

/// Most mixins that clients define in one name space.
pub const MOST_MIXINS: usize = 4_096;

/// A mixin as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMixin {
    /// Title.
    pub title: String,
    /// What it depends on.
    pub depends: Vec<TypeId>,
    /// Where its collection is.
    pub location: String,
    /// Whether a client defined it; else it is a template that `save` made.
    pub by_client: bool,
}

impl StoredMixin {
    fn category(self, id: TypeId) -> Category {
        let mut category = Category::mixin(id, &self.title).at(&self.location);
        if !self.by_client {
            category = category.applying_to(infrastructure::id("compute"));
        }
        Category { depends: self.depends, user_defined: self.by_client, ..category }
    }
}

/// The categories of one name space.
pub struct Catalog {
    keys: Keys,
    /// The settings' templates, and the backend's name.
    configured: Templates,
    provider: Rc<dyn Provider>,
    /// Templates of what lies in the backend's own places, looked for if they matter.
    found: OnceCell<Vec<Rc<Category>>>,
    /// Whether there is a service of images.
    service: bool,
}

/// Where the collections of templates from images are.
const OF_IMAGES: &str = "/mixin/os_tpl/";

impl Catalog {
    /// As the operator configured it.
    pub fn new(keys: &Keys, settings: &Rc<Settings>, provider: &Rc<dyn Provider>) -> Catalog {
        let known = CONFIGURED.with_borrow(|(of, made)| Rc::ptr_eq(of, settings).then(|| Rc::clone(made)));
        let configured = known.unwrap_or_else(|| {
            let flavors = settings.flavors.iter().filter_map(templates::of_flavor);
            let images = settings.images.iter().filter_map(templates::of_image);
            let backend = std::iter::once(provider::category(&provider.backend()));
            let made: Templates = images.chain(flavors).chain(backend).map(Rc::new).collect();
            CONFIGURED.set((Rc::clone(settings), Rc::clone(&made)));
            made
        });
        let (provider, service) = (Rc::clone(provider), settings.glance.is_some());
        Catalog { keys: keys.clone(), configured, provider, found: OnceCell::new(), service }
    }

    fn found(&self) -> &[Rc<Category>] {
        self.found.get_or_init(|| self.provider.images().iter().filter_map(templates::of_image).map(Rc::new).collect())
    }

    /// The category with this id.
    ///
    /// # Errors
    /// Those of the store.
    pub fn find(&self, id: &TypeId) -> Result<Option<Rc<Category>>, Fault> {
        if let Some(known) = self.provided(|category| category.id == *id) {
            return Ok(Some(known));
        }
        if let Some(meant) = openstack::meant(id.as_str()).and_then(TypeId::parse) {
            return self.find(&meant);
        }
        if id.scheme() == templates::IMAGES
            && let Some(image) = self.of_service(id.term())?
        {
            return Ok(Some(image));
        }
        let stored = kv::get_json::<StoredMixin>(&self.keys.mixin(id))?;
        Ok(stored.map(|stored| Rc::new(stored.value.category(id.clone()))))
    }

    fn of_service(&self, term: &str) -> Result<Option<Rc<Category>>, Fault> {
        if self.service { Ok(images::category(term)?.map(Rc::new)) } else { Ok(None) }
    }

    /// The category with this id, which has to exist.
    ///
    /// # Errors
    /// 404 if it does not.
    pub fn existing(&self, id: &TypeId) -> Result<Rc<Category>, Fault> {
        let found = self.find(id)?;
        if found.is_none() && self.service && id.scheme() == templates::IMAGES {
            // It may be new there.
            images::look_soon();
        }
        found.ok_or_else(|| Fault::not_found(format!("There is no category {id}.")))
    }

    /// The kind or mixin whose collection is at this path.
    ///
    /// # Errors
    /// Those of the store.
    pub fn at(&self, location: &str) -> Result<Option<Rc<Category>>, Fault> {
        if let Some(known) = self.provided(|category| category.location.as_deref() == Some(location)) {
            return Ok(Some(known));
        }
        if let Some(term) = location.strip_prefix(OF_IMAGES).and_then(|rest| rest.strip_suffix('/'))
            && let Some(image) = self.of_service(term)?
        {
            return Ok(Some(image));
        }
        let Some(id) = kv::get(&self.keys.location(location))? else { return Ok(None) };
        match String::from_utf8(id.value).ok().and_then(|id| TypeId::parse(&id)) {
            Some(id) => self.find(&id),
            None => Ok(None),
        }
    }

    /// Every category.
    ///
    /// # Errors
    /// Those of the store.
    pub fn all(&self) -> Result<Vec<Rc<Category>>, Fault> {
        let mut all: Vec<Rc<Category>> = STANDARD.with(Clone::clone);
        let provided = || self.configured.iter().chain(self.found());
        all.extend(provided().cloned());
        if self.service {
            let offered = images::categories()?.into_iter();
            all.extend(offered.filter(|image| provided().all(|known| known.id != image.id)).map(Rc::new));
        }
        let prefix = self.keys.mixins();
        for entry in kv::prefix(&prefix).iter() {
            let entry = entry?;
            if let Some(id) = entry.key.strip_prefix(&prefix).and_then(TypeId::parse) {
                all.push(Rc::new(entry.json::<StoredMixin>()?.value.category(id)));
            }
        }
        Ok(all)
    }

    fn provided(&self, wanted: impl Fn(&Category) -> bool) -> Option<Rc<Category>> {
        let in_list = |list: &[Rc<Category>]| list.iter().find(|category| wanted(category)).cloned();
        STANDARD
            .with(|standard| in_list(standard))
            .or_else(|| in_list(&self.configured))
            .or_else(|| in_list(self.found()))
    }

    /// A kind and what it descends from, the root first.
    ///
    /// # Errors
    /// Those of the store.
    pub fn lineage(&self, kind: &Rc<Category>) -> Result<Vec<Rc<Category>>, Fault> {
        let mut lineage = vec![Rc::clone(kind)];
        let mut parent = kind.parent.clone();
        while let Some(category) = parent.map(|id| self.find(&id)).transpose()?.flatten() {
            parent = category.parent.clone();
            lineage.push(category);
        }
        lineage.reverse();
        Ok(lineage)
    }

    /// Whether a kind is another one, or descends from it.
    ///
    /// # Errors
    /// Those of the store.
    pub fn descends(&self, kind: &TypeId, from: &TypeId) -> Result<bool, Fault> {
        let Some(kind) = self.find(kind)? else { return Ok(false) };
        Ok(self.lineage(&kind)?.iter().any(|ancestor| ancestor.id == *from))
    }

    /// Mixins and all that they depend on, as far as it is known here.
    ///
    /// # Errors
    /// Those of the store.
    pub fn with_dependencies(&self, mixins: &[Rc<Category>]) -> Result<Vec<Rc<Category>>, Fault> {
        let mut all: Vec<Rc<Category>> = mixins.to_vec();
        let mut at = 0;
        while let Some(mixin) = all.get(at).cloned() {
            at += 1;
            for id in &mixin.depends {
                if all.iter().all(|known| known.id != *id)
                    && let Some(found) = self.find(id)?.filter(|found| found.class == Class::Mixin)
                {
                    all.push(found);
                }
            }
        }
        Ok(all)
    }

    /// What the attribute of this name is, wherever it is defined; for filters.
    ///
    /// # Errors
    /// Those of the store.
    pub fn attribute(&self, name: &str) -> Result<Option<Attribute>, Fault> {
        let holder = self.provided(|category| {
            category.class != Class::Action && category.attributes.iter().any(|attribute| attribute.name == name)
        });
        Ok(holder.and_then(|category| category.attributes.iter().find(|attribute| attribute.name == name).cloned()))
    }
}
