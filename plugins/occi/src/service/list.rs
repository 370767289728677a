//! Lists: collections of kinds and mixins, what is below a path, filters and pages.

use std::rc::Rc;

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
        let mut found = Vec::new();
        self.each(query, page, |entity| found.push(entity))?;
        Ok(found)
    }

    /// Paths of the same.
    ///
    /// # Errors
    /// Likewise.
    pub fn locations(&self, query: &Query, page: Option<Page>) -> Result<Vec<String>, Fault> {
        let (skip, take) = extent(page);
        let place = query.list(&self.keys).filter(|_| page.is_some()).map(|list| pages::Place { list, skip, take });
        let Some(place) = place else {
            let mut paths = Vec::new();
            self.each(query, page, |entity| paths.push(entity.path))?;
            return Ok(paths);
        };
        let changes = pages::changes(&self.keys, &place)?;
        if let Some(known) = pages::known(&place, changes) {
            return Ok(known);
        }
        let (mut paths, mut last) = (Vec::new(), String::new());
        self.each(query, page, |entity| {
            paths.push(entity.path);
            last = entity.seq;
        })?;
        pages::remember(place, changes, &paths, &last);
        Ok(paths)
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
