//! Mixins that clients define, and take away again.

use plugbay_sdk::kv;

use super::{Service, associate::Membership};
use crate::{
    catalog::{MOST_MIXINS, StoredMixin},
    draft::Definition,
    fault::Fault,
    model::TypeId,
    store::batch::{Batch, attempt},
    view::{Reference, valid_path},
};

/// Name spaces that are not the clients' (GFD.221, section 4).
const RESERVED: [&str; 4] = [
    "http://schemas.ogf.org/",
    "http://schemas.openstack.org/",
    "http://schemas.plugbay.org/",
    "http://schemas.snia.org/",
];

impl Service {
    /// Define mixins, all or none.
    ///
    /// # Errors
    /// 400 if something is missing, 403 for a reserved scheme, 409 if identifier or location is taken.
    pub fn define(&self, definitions: &[Definition]) -> Result<(), Fault> {
        if definitions.is_empty() {
            return Err(Fault::bad_request("The request defines nothing."));
        }
        let wanted = definitions.iter().map(|one| self.check(one)).collect::<Result<Vec<_>, _>>()?;
        let known = kv::prefix(&self.keys.mixins()).limit(1).page()?;
        if known.more && kv::prefix(&self.keys.mixins()).iter().count() + wanted.len() > MOST_MIXINS {
            return Err(Fault::conflict(format!("There can be {MOST_MIXINS} mixins of clients only.")));
        }
        attempt(|| {
            let mut batch = Batch::default();
            for (id, mixin) in &wanted {
                let taken = self.catalog.find(id)?.is_some() || self.catalog.at(&mixin.location)?.is_some();
                if taken {
                    return Err(Fault::conflict(format!("{id} or {} is taken.", mixin.location)).into());
                }
                let (key, location) = (self.keys.mixin(id), self.keys.location(&mixin.location));
                batch.unchanged(&key, None);
                batch.unchanged(&location, None);
                batch.put_json(key, mixin)?;
                batch.put(location, id.as_str());
                // It is not the list that another mixin of this id had.
                self.keys.changes(&self.keys.category(id)).into_iter().for_each(|list| batch.changed(list));
            }
            batch.commit()
        })
    }

    fn check(&self, definition: &Definition) -> Result<(TypeId, StoredMixin), Fault> {
        let id = &definition.id;
        if !definition.is_mixin {
            return Err(Fault::bad_request("Clients can define mixins only."));
        }
        if RESERVED.iter().any(|reserved| id.scheme().starts_with(reserved)) {
            return Err(Fault::forbidden(format!("The scheme {} is reserved.", id.scheme())));
        }
        let location = definition.location.as_deref().filter(|location| !location.is_empty());
        let location = location.ok_or_else(|| Fault::bad_request(format!("{id} has no location.")))?;
        let Reference::Local(location) = self.names.resolve(location)? else {
            return Err(Fault::bad_request("The location is not of this service."));
        };
        valid_path(&location)?;
        if !location.ends_with('/') || location == "/" || location.starts_with("/-/") || location.contains("/.") {
            return Err(Fault::bad_request("A location is a path that begins and ends with a slash."));
        }
        let mixin = StoredMixin {
            title: definition.title.clone().unwrap_or_default(),
            depends: definition.depends.clone(),
            location,
            by_client: true,
        };
        Ok((id.clone(), mixin))
    }

    /// Take mixins away, and off all entities that have them.
    ///
    /// # Errors
    /// 403 for one that is not the clients', 404 for one that is unknown.
    pub fn undefine(&self, definitions: &[Definition]) -> Result<(), Fault> {
        if definitions.is_empty() {
            return Err(Fault::bad_request("The request names no mixin."));
        }
        let mixins = definitions
            .iter()
            .map(|definition| {
                let mixin = self.catalog.existing(&definition.id)?;
                if mixin.user_defined {
                    Ok(mixin)
                } else {
                    Err(Fault::forbidden(format!("{} is the provider's.", mixin.id)))
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        for mixin in mixins {
            self.associate(&mixin, &[], Membership::Remove)?;
            attempt(|| {
                let mut batch = Batch::default();
                batch.delete(self.keys.mixin(&mixin.id));
                batch.delete(self.keys.location(mixin.location.as_deref().unwrap_or_default()));
                batch.commit()
            })?;
            // Whoever got it in between loses it too.
            self.associate(&mixin, &[], Membership::Remove)?;
            attempt(|| {
                let mut batch = Batch::default();
                self.keys.changes(&self.keys.category(&mixin.id)).into_iter().for_each(|list| batch.delete(list));
                batch.commit()
            })?;
        }
        Ok(())
    }
}
