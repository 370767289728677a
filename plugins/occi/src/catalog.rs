//! Which categories there are: the standard ones, the operator's templates, and what clients defined.
//!
//! The standard ones are made once per instance, the templates once per request; client-defined ones are looked up one
//! by one, so that their number costs nobody else anything.

use std::rc::Rc;

use plugbay_sdk::kv;
use serde::{Deserialize, Serialize};

use crate::{
    fault::Fault,
    model::{Attribute, Category, Class, TypeId, core, infrastructure, openstack, templates},
    provider::{self, Provider},
    settings::Settings,
    store::keys::Keys,
};

thread_local! {
    static STANDARD: Vec<Rc<Category>> = [core::categories(), infrastructure::categories(), templates::categories(), openstack::categories(), crate::model::cdmi::categories()]
        .into_iter()
        .flatten()
        .map(Rc::new)
        .collect();
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
#[derive(Debug)]
pub struct Catalog {
    keys: Keys,
    templates: Vec<Rc<Category>>,
}

impl Catalog {
    /// As the operator configured it.
    pub fn new(keys: &Keys, settings: &Settings, provider: &dyn Provider) -> Catalog {
        let flavors = settings.flavors.iter().filter_map(templates::of_flavor);
        let found = provider.images();
        let images = settings.images.iter().chain(&found).filter_map(templates::of_image);
        let backend = std::iter::once(provider::category(&provider.backend()));
        Catalog { keys: keys.clone(), templates: images.chain(flavors).chain(backend).map(Rc::new).collect() }
    }

    /// The category with this id.
    ///
    /// # Errors
    /// Those of the store.
    pub fn find(&self, id: &TypeId) -> Result<Option<Rc<Category>>, Fault> {
        if let Some(known) = self.provided(|category| category.id == *id) {
            return Ok(Some(known));
        }
        let stored = kv::get_json::<StoredMixin>(&self.keys.mixin(id))?;
        Ok(stored.map(|stored| Rc::new(stored.value.category(id.clone()))))
    }

    /// The category with this id, which has to exist.
    ///
    /// # Errors
    /// 404 if it does not.
    pub fn existing(&self, id: &TypeId) -> Result<Rc<Category>, Fault> {
        self.find(id)?.ok_or_else(|| Fault::not_found(format!("There is no category {id}.")))
    }

    /// The kind or mixin whose collection is at this path.
    ///
    /// # Errors
    /// Those of the store.
    pub fn at(&self, location: &str) -> Result<Option<Rc<Category>>, Fault> {
        if let Some(known) = self.provided(|category| category.location.as_deref() == Some(location)) {
            return Ok(Some(known));
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
        all.extend(self.templates.iter().cloned());
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
        STANDARD.with(|standard| in_list(standard)).or_else(|| in_list(&self.templates))
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
