//! Deletion. A resource takes its own links along, and those that lead to it: nothing is left that leads nowhere.

use super::Service;
use crate::{
    cdmi::exports,
    entity::Entity,
    fault::Fault,
    store::{
        batch::{Batch, Stop, attempt},
        entities::{self, Kept},
        query::Query,
    },
};

/// Checks and ops of records that go into one commit of a deletion of many.
const ROOM: usize = 88;

/// Links that are taken off together, before a resource with more of them goes.
const SOME: usize = 16;

impl Service {
    /// Delete an entity.
    ///
    /// # Errors
    /// 404 if it is not there, 409 if it cannot go.
    pub fn remove(&self, path: &str) -> Result<(), Fault> {
        entities::existing(&self.keys, path)?;
        self.remove_all(&[path.to_owned()])
    }

    /// Delete all entities of a list.
    ///
    /// # Errors
    /// 409 if one of them cannot go; none goes then.
    pub fn remove_list(&self, query: &Query) -> Result<(), Fault> {
        let all = query.all(&self.keys)?;
        for entity in &all {
            exports::may_remove(self, entity)?;
        }
        self.remove_all(&all.into_iter().map(|entity| entity.path).collect::<Vec<_>>())
    }

    /// Delete what is at these paths, as many together as fit. What is gone already is passed over.
    fn remove_all(&self, paths: &[String]) -> Result<(), Fault> {
        for path in paths {
            self.take_links_off(path)?;
        }
        let mut rest = paths;
        while !rest.is_empty() {
            let done = attempt(|| {
                let mut leaving = Leaving::new(self);
                let mut done = 0;
                for path in rest {
                    let fits = leaving.add(path)?;
                    if !fits && done > 0 {
                        break;
                    }
                    done += 1;
                }
                leaving.commit()?;
                Ok(done)
            })?;
            rest = rest.get(done..).unwrap_or_default();
        }
        // A link that was made at the last moment was posted before its commit.
        for path in paths {
            self.take_links_off_if_gone(path)?;
        }
        Ok(())
    }

    /// Delete links of a resource until few are left.
    fn take_links_off(&self, path: &str) -> Result<(), Fault> {
        loop {
            let links = self.links_of(path)?;
            if links.len() <= SOME {
                return Ok(());
            }
            self.remove_links(links.get(..SOME).unwrap_or_default())?;
        }
    }

    fn take_links_off_if_gone(&self, path: &str) -> Result<(), Fault> {
        let links = self.incoming(path)?;
        if links.is_empty() || entities::get(&self.keys, path)?.is_some() {
            return Ok(());
        }
        for some in links.chunks(SOME) {
            self.remove_links(some)?;
        }
        Ok(())
    }

    fn remove_links(&self, links: &[String]) -> Result<(), Fault> {
        attempt(|| {
            let mut leaving = Leaving::new(self);
            for link in links {
                leaving.add(link)?;
            }
            leaving.commit()
        })
    }

    fn links_of(&self, path: &str) -> Result<Vec<String>, Fault> {
        let own = entities::get(&self.keys, path)?.map(|kept| kept.entity.links).unwrap_or_default();
        Ok(own.into_iter().chain(self.incoming(path)?).collect())
    }

    /// Paths of the links that lead to an entity.
    pub fn incoming(&self, path: &str) -> Result<Vec<String>, Fault> {
        Ok(entities::incoming(&self.keys, path)?.into_iter().map(|link| link.path).collect())
    }
}

/// What goes in one commit.
struct Leaving<'a> {
    service: &'a Service,
    gone: Vec<Kept>,
    /// Resources that stay and lose links, with what they were.
    sources: Vec<(Kept, Entity)>,
}

impl<'a> Leaving<'a> {
    fn new(service: &'a Service) -> Leaving<'a> {
        Leaving { service, gone: Vec::new(), sources: Vec::new() }
    }

    fn is_gone(&self, path: &str) -> bool {
        self.gone.iter().any(|kept| kept.entity.path == path)
    }

    /// Add an entity with its links; false, and nothing is added, if there is no room for it beside what is there.
    fn add(&mut self, path: &str) -> Result<bool, Stop> {
        if self.is_gone(path) {
            return Ok(true);
        }
        let Some(kept) = entities::get(&self.service.keys, path)? else { return Ok(true) };
        let links = if kept.entity.is_link() { Vec::new() } else { self.service.links_of(path)? };
        let size = 2 * (self.gone.len() + self.sources.len());
        if size > 0 && size + 2 + 4 * links.len() > ROOM {
            return Ok(false);
        }
        exports::may_remove(self.service, &kept.entity)?;
        // A machine goes before its links, so that it is not taken apart while it runs; what machines use goes after.
        let owner = !kept.entity.links.is_empty();
        if owner {
            self.service.provider.delete(&kept.entity).map_err(Fault::from)?;
        }
        for link in links {
            self.add_link(&link)?;
        }
        if kept.entity.is_link() {
            self.add_link(path)?;
        } else {
            if !owner {
                self.service.provider.delete(&kept.entity).map_err(Fault::from)?;
            }
            self.sources.retain(|(before, _)| before.entity.path != path);
            self.gone.push(kept);
        }
        Ok(true)
    }

    fn add_link(&mut self, path: &str) -> Result<(), Stop> {
        if self.is_gone(path) {
            return Ok(());
        }
        let Some(link) = entities::get(&self.service.keys, path)? else { return Ok(()) };
        self.service.provider.detach(&link.entity).map_err(Fault::from)?;
        let source = link.entity.ends.as_ref().map(|ends| ends.source.clone()).unwrap_or_default();
        if !self.is_gone(&source) {
            if !self.sources.iter().any(|(before, _)| before.entity.path == source)
                && let Some(kept) = entities::get(&self.service.keys, &source)?
            {
                self.sources.push((kept.clone(), kept.entity));
            }
            if let Some((_, after)) = self.sources.iter_mut().find(|(before, _)| before.entity.path == source) {
                after.links.retain(|own| own != path);
            }
        }
        self.gone.push(link);
        Ok(())
    }

    fn commit(self) -> Result<(), Stop> {
        let keys = &self.service.keys;
        let mut batch = Batch::default();
        for kept in &self.gone {
            entities::delete(keys, &mut batch, kept);
        }
        for (before, after) in &self.sources {
            entities::update(keys, &mut batch, before, after)?;
        }
        batch.commit()
    }
}
