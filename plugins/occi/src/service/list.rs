//! Lists: collections of kinds and mixins, what is below a path, filters and pages.

use std::rc::Rc;

use plugbay_sdk::kv::Entry;

use super::Service;
use crate::{
    draft::Draft,
    entity::Entity,
    fault::Fault,
    model::Category,
    rules,
    store::{entities, pages, query::Query},
};

/// A page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1 on.
    pub index: usize,
    /// Entities of a page.
    pub number: usize,
}

impl Page {
    /// Of the parameters `page` and `number` of a query, which come together.
    ///
    /// # Errors
    /// 400 if they do not, or are no numbers from 1 on; 413 if the page is too large.
    pub fn of(page: Option<&str>, number: Option<&str>, most: usize) -> Result<Option<Page>, Fault> {
        let (page, number) = match (page, number) {
            (None, None) => return Ok(None),
            (Some(page), Some(number)) => (page, number),
            _ => return Err(Fault::bad_request("page and number go together.")),
        };
        let parse = |text: &str| text.parse::<usize>().ok().filter(|n| *n > 0);
        let wrong = || Fault::bad_request("page and number are whole numbers from 1 on.");
        let page = Page { index: parse(page).ok_or_else(wrong)?, number: parse(number).ok_or_else(wrong)? };
        if page.number > most {
            return Err(Fault::new(413, format!("A page has at most {most} entries.")));
        }
        Ok(Some(page))
    }
}

impl Service {
    /// What the list at a path has, and the category that it belongs to, if any.
    ///
    /// # Errors
    /// Those of the store.
    pub fn collection(&self, path: &str) -> Result<(Query, Option<Rc<Category>>), Fault> {
        match self.catalog.at(path)? {
            Some(owner) => Ok((Query { categories: vec![owner.id.clone()], ..Query::default() }, Some(owner))),
            None => Ok((Query { below: Some(path.to_owned()), ..Query::default() }, None)),
        }
    }

    /// Narrow a list by a filter.
    ///
    /// # Errors
    /// 404 for unknown categories and attributes, 400 for values that they cannot have.
    pub fn narrow(&self, query: &mut Query, filter: &Draft) -> Result<(), Fault> {
        for (id, _) in &filter.categories {
            let category = self.catalog.existing(id)?;
            if !query.categories.contains(&category.id) {
                query.categories.push(category.id.clone());
            }
        }
        for (name, value) in &filter.attributes {
            let value = rules::filter_value(&self.catalog, name, value)?;
            let end = name == crate::model::core::SOURCE || name == crate::model::core::TARGET;
            let value = match value.as_str() {
                Some(reference) if end => match self.names.resolve(reference)? {
                    crate::view::Reference::Id(seq) => entities::path_of(&self.keys, &seq)?.into(),
                    crate::view::Reference::Local(path) | crate::view::Reference::Elsewhere(path) => path.into(),
                },
                _ => value,
            };
            query.attributes.push((name.clone(), value));
        }
        Ok(())
    }

    /// The entities of a list, or of a page of it.
    ///
    /// # Errors
    /// 413 if a list without pages is too long for one answer.
    pub fn list(&self, query: &Query, page: Option<Page>) -> Result<Vec<Entity>, Fault> {
        let place = self.place(query, page);
        let changes = match &place {
            Some(place) => pages::changes(&self.keys, place)?,
            None => None,
        };
        let mut found = Vec::new();
        self.each(query, page, |entity| found.push(entity))?;
        if let (Some(place), Some(last)) = (place, found.last()) {
            let paths = found.iter().map(|entity| entity.path.clone()).collect();
            pages::remember(place, changes, &paths, &last.seq);
        }
        Ok(found)
    }

    /// Paths of the same.
    ///
    /// # Errors
    /// Likewise.
    pub fn locations(&self, query: &Query, page: Option<Page>) -> Result<Rc<[String]>, Fault> {
        let place = self.place(query, page);
        let changes = match &place {
            Some(place) => pages::changes(&self.keys, place)?,
            None => None,
        };
        if let Some(known) = place.as_ref().and_then(|place| pages::known(place, changes)) {
            return Ok(known);
        }
        let (mut paths, mut last) = (Vec::new(), String::new());
        self.each(query, page, |entity| {
            paths.push(entity.path);
            last = entity.seq;
        })?;
        let paths = paths.into();
        if let Some(place) = place {
            pages::remember(place, changes, &paths, &last);
        }
        Ok(paths)
    }

    /// The records of a page whose paths are known; none if they are not.
    ///
    /// # Errors
    /// Those of the store.
    pub fn records(&self, query: &Query, page: Option<Page>) -> Result<Option<Vec<Entry>>, Fault> {
        let Some(place) = self.place(query, page) else { return Ok(None) };
        let changes = pages::changes(&self.keys, &place)?;
        let Some(paths) = pages::known(&place, changes) else { return Ok(None) };
        // One that is gone since is no reason to guess.
        Ok(entities::records(&self.keys, &paths)?.into_iter().collect())
    }

    fn place(&self, query: &Query, page: Option<Page>) -> Option<pages::Place> {
        let (skip, take) = extent(page);
        query.list(&self.keys).filter(|_| page.is_some()).map(|list| pages::Place { list, skip, take })
    }

    fn each(&self, query: &Query, page: Option<Page>, mut with: impl FnMut(Entity)) -> Result<(), Fault> {
        let (skip, take) = extent(page);
        let (mut count, mut more) = (0, false);
        query.each(&self.keys, skip, take, |entity| {
            if count == take {
                more = page.is_none();
                return Ok(false);
            }
            count += 1;
            with(entity);
            Ok(count < take || page.is_none())
        })?;
        if more {
            return Err(Fault::new(413, "The list is too long for one answer; ask for pages with ?page=1&number=100."));
        }
        Ok(())
    }
}

/// How many entities are before a page, and on it.
fn extent(page: Option<Page>) -> (usize, usize) {
    page.map_or((0, MOST_LISTED), |page| ((page.index - 1).saturating_mul(page.number), page.number))
}

/// Most entities of one answer without pages.
const MOST_LISTED: usize = 20_000;
