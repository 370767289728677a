//! What a client may say of an entity: categories that exist and fit, attributes that are known, of their type and the
//! client's to set.
//!
//! Nothing is written here. Invariant: an entity that left here satisfies all its categories.

use std::rc::Rc;

use serde_json::Value;

use crate::{
    catalog::Catalog,
    draft::Draft,
    entity::{Attributes, same},
    fault::Fault,
    model::{Attribute, Category, Class, TypeId, core, openstack, states, templates},
};

/// Most mixins of one entity.
const MOST_MIXINS: usize = 32;

/// The categories of a message, looked up.
#[derive(Debug, Default)]
pub struct Named {
    /// Its kind, if it names one.
    pub kind: Option<Rc<Category>>,
    /// Its mixins, each once.
    pub mixins: Vec<Rc<Category>>,
    /// Its action, if it names one.
    pub action: Option<Rc<Category>>,
}

impl Named {
    /// Look the categories of a draft up.
    ///
    /// # Errors
    /// 404 for one that is unknown, 400 for one of another class than said and for two kinds or actions.
    pub fn of(catalog: &Catalog, categories: &[(TypeId, Option<Class>)]) -> Result<Named, Fault> {
        let mut named = Named::default();
        for (id, class) in categories {
            let category = catalog.existing(id)?;
            if class.is_some_and(|class| class != category.class) {
                return Err(Fault::bad_request(format!("{id} is a {}.", category.class)));
            }
            let slot = match category.class {
                Class::Kind => &mut named.kind,
                Class::Action => &mut named.action,
                Class::Mixin => {
                    if named.mixins.iter().all(|known| known.id != *id) {
                        named.mixins.push(category);
                    }
                    continue;
                }
            };
            if slot.as_ref().is_some_and(|known| known.id != *id) {
                return Err(Fault::bad_request(format!("There can be one {} only.", category.class)));
            }
            *slot = Some(category);
        }
        Ok(named)
    }
}

/// What an entity of a kind with some mixins can have.
#[derive(Debug)]
pub struct Shape {
    lineage: Vec<Rc<Category>>,
    mixins: Vec<Rc<Category>>,
}

impl Shape {
    /// Of a kind and mixins, which have to go together.
    ///
    /// # Errors
    /// 403 if a mixin does not apply, 409 if two exclude each other.
    pub fn of(catalog: &Catalog, kind: &Rc<Category>, mixins: &[Rc<Category>]) -> Result<Shape, Fault> {
        let lineage = catalog.lineage(kind)?;
        if mixins.len() > MOST_MIXINS {
            return Err(Fault::conflict(format!("An entity has at most {MOST_MIXINS} mixins.")));
        }
        for mixin in mixins {
            applicable(mixin, &lineage)?;
        }
        for family in [templates::os_tpl(), templates::resource_tpl()] {
            if mixins.iter().filter(|mixin| mixin.depends.contains(&family)).count() > 1 {
                return Err(Fault::conflict(format!("There can be one template of {family} only.")));
            }
        }
        for (one, other) in openstack::rivals() {
            if [&one, &other].into_iter().all(|id| mixins.iter().any(|mixin| mixin.id == *id)) {
                return Err(Fault::conflict(format!("{one} and {other} say the same; give one.")));
            }
        }
        Ok(Shape { lineage, mixins: catalog.with_dependencies(mixins)? })
    }

    /// Whether it is a link's.
    pub fn is_link(&self) -> bool {
        self.lineage.iter().any(|kind| kind.id == core::link())
    }

    /// Whether entities can be of this kind.
    pub fn is_instantiable(&self) -> bool {
        self.lineage.len() > 1
    }

    fn definitions(&self) -> impl DoubleEndedIterator<Item = &Attribute> {
        self.lineage.iter().chain(&self.mixins).flat_map(|category| &category.attributes)
    }

    /// The definition of an attribute: where several categories have it, one that lets clients set it, so that sizes
    /// of templates can be sent along.
    fn definition(&self, name: &str) -> Option<&Attribute> {
        let all = || self.definitions().filter(|attribute| attribute.name == name);
        all().find(|attribute| attribute.mutable).or_else(|| all().next())
    }

    /// Attributes from what a client gave, over what the server has set already.
    ///
    /// # Errors
    /// 404 or 400 for an unknown attribute, 403 for one that is the server's, 400 for a value that does not fit.
    pub fn take(&self, attributes: &mut Attributes, given: &Attributes) -> Result<(), Fault> {
        for (name, value) in given {
            let name = openstack::meant(name).unwrap_or(name);
            // Source and target are the ends' business; clients send ids, and they are ignored.
            let ends = [core::SOURCE, core::TARGET, core::SOURCE_KIND, core::TARGET_KIND];
            if name == core::ID || self.is_link() && ends.contains(&name) {
                continue;
            }
            let definition = self.definition(name).ok_or_else(|| unknown(name))?;
            let known = attributes.get(name);
            if known.is_some_and(|known| same(known, value)) {
                continue;
            }
            if !definition.mutable {
                return Err(Fault::forbidden(format!("{name} is not the client's to set.")));
            }
            if known.is_some() && openstack::ONCE.contains(&name) {
                return Err(Fault::forbidden(format!("{name} can be set once only.")));
            }
            let value = admit(definition, value)?;
            attributes.insert(name.to_owned(), value);
        }
        Ok(())
    }

    /// Fill in what is left out: sizes of templates in any case, other defaults where nothing was said. Drop what no
    /// category has any more.
    ///
    /// # Errors
    /// 400 if something required is missing.
    pub fn complete(&self, attributes: &mut Attributes) -> Result<(), Fault> {
        attributes.retain(|name, _| self.definition(name).is_some());
        let size = templates::resource_tpl();
        for template in self.mixins.iter().filter(|mixin| mixin.depends.contains(&size)) {
            for attribute in &template.attributes {
                if let Some(default) = &attribute.default {
                    attributes.insert(attribute.name.to_owned(), default.clone());
                }
            }
        }
        // Mixins come last, and their defaults go before the kind's.
        for attribute in self.definitions().rev() {
            if let (Some(default), false) = (&attribute.default, attributes.contains_key(attribute.name)) {
                attributes.insert(attribute.name.to_owned(), default.clone());
            }
        }
        let ends = [core::SOURCE, core::TARGET];
        let missing = self
            .definitions()
            .find(|known| known.required && !ends.contains(&known.name) && !attributes.contains_key(known.name));
        match missing {
            Some(missing) => Err(Fault::bad_request(format!("{} is missing.", missing.name))),
            None => Ok(()),
        }
    }

    /// What stays of an entity's attributes when a client sends all of it anew: what is not the client's to set, and
    /// what can be set once.
    pub fn keep(&self, attributes: &Attributes) -> Attributes {
        let stays = |name: &str| {
            openstack::ONCE.contains(&name) || self.definition(name).is_some_and(|attribute| !attribute.mutable)
        };
        attributes.iter().filter(|(name, _)| stays(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// The attributes of a new entity.
///
/// # Errors
/// Those of [`Shape::take`] and [`Shape::complete`].
pub fn new_attributes(shape: &Shape, kind: &TypeId, draft: &Draft) -> Result<Attributes, Fault> {
    let mut attributes = Attributes::new();
    if let Some((state, initial)) = states::of(kind) {
        attributes.insert(state.to_owned(), initial.into());
    }
    shape.take(&mut attributes, &draft.attributes)?;
    shape.complete(&mut attributes)?;
    Ok(attributes)
}

/// The parameters of an action.
///
/// # Errors
/// 404 for one that the action does not have, 400 for a value that does not fit and for one that is missing.
pub fn parameters(action: &Category, given: &Attributes) -> Result<Attributes, Fault> {
    let mut parameters = Attributes::new();
    for (name, value) in given {
        let definition = action.attributes.iter().find(|attribute| attribute.name == name);
        let definition =
            definition.ok_or_else(|| Fault::not_found(format!("{} has no parameter {name}.", action.id.term())))?;
        parameters.insert(name.clone(), admit(definition, value)?);
    }
    match action.attributes.iter().find(|known| known.required && !parameters.contains_key(known.name)) {
        Some(missing) => Err(Fault::bad_request(format!("{} needs {}.", action.id.term(), missing.name))),
        None => Ok(parameters),
    }
}

/// The value of an attribute in a filter.
///
/// # Errors
/// 404 or 400 for an unknown attribute, 400 for a value that it cannot have.
pub fn filter_value(catalog: &Catalog, name: &str, value: &Value) -> Result<Value, Fault> {
    let definition = catalog.attribute(name)?.ok_or_else(|| unknown(name))?;
    admit(&definition, value)
}

/// Whether a mixin can be on a kind, given with all that it descends from.
///
/// # Errors
/// 403 if it cannot.
fn applicable(mixin: &Category, lineage: &[Rc<Category>]) -> Result<(), Fault> {
    let fits = mixin.applies.is_empty() || lineage.iter().any(|kind| mixin.applies.contains(&kind.id));
    if fits && !mixin.id.scheme().starts_with("http://schemas.plugbay.org/occi/backend#") {
        Ok(())
    } else {
        Err(Fault::forbidden(format!("{} does not apply to this kind.", mixin.id)))
    }
}

fn unknown(name: &str) -> Fault {
    let message = format!("There is no attribute {name} here.");
    if name.starts_with("occi.") { Fault::not_found(message) } else { Fault::bad_request(message) }
}

fn admit(definition: &Attribute, value: &Value) -> Result<Value, Fault> {
    definition.kind.admit(value).ok_or_else(|| {
        Fault::bad_request(format!("The value of {} has to be {}.", definition.name, definition.kind.expected()))
    })
}
