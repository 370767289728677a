//! OCCI over HTTP: which path and method is which operation, and in what form it is answered.
//!
//! Invariant: how an answer is to look is settled before anything is done, so that a request that cannot be answered
//! changes nothing.

pub mod answer;
pub mod read;

use std::rc::Rc;

use plugbay_sdk::{Answer, Request, Route, Surface};

use crate::{
    draft::Draft,
    fault::Fault,
    images,
    media::{self, Rendering, Unsuitable},
    model::{Category, Class},
    service::{Service, act::Acted, associate::Membership, list::Page},
    store::entities,
    view::valid_path,
};
use answer::Reply;

/// Most bytes of a body.
const BODY: u32 = 1 << 20;

/// The versions that are spoken. A client that asks for a later one is told so.
const LATEST: (u32, u32) = (1, 2);

const SERVER: &str = concat!("plugbay-occi/", env!("CARGO_PKG_VERSION"), " OCCI/1.1 OCCI/1.2 OCCI-CRTP/1.1");

/// Where the query interface is: below the OCCI root, and at the place that 1.1 names from the authority's root.
const QUERY: [&str; 4] = ["/-/", "/-", "/.well-known/org/ogf/occi/-/", "/.well-known/org/ogf/occi/-"];

const TABLE: &[((), Route)] = &[
    ((), Route::get("/{*path}", "read").buffered(64 * 1024)),
    ((), Route::post("/{*path}", "create-or-act").buffered(BODY)),
    ((), Route::put("/{*path}", "replace").buffered(BODY)),
    ((), Route::delete("/{*path}", "delete").buffered(BODY)),
];

/// The surface.
pub fn surface() -> Surface {
    Surface::new("main")
        .errors("text/plain; charset=utf-8", "{detail}\n")
        .header("Server", SERVER)
        .table(TABLE, |(), request, _| answer::finish(handle(request)))
}

fn handle(request: &Request) -> Result<Answer, Fault> {
    check_version(request)?;
    let service = Service::of(request)?;
    let call = Call { request, service: &service };
    if QUERY.contains(&request.path.as_str()) {
        return call.query_interface();
    }
    valid_path(&request.path)?;
    if request.path.ends_with('/') {
        return call.collection(&request.path);
    }
    if entities::get(&service.keys, &request.path)?.is_none() {
        // Some clients leave the slash of a collection out.
        let location = format!("{}/", request.path);
        if request.method != "PUT" && service.catalog.at(&location)?.is_some() {
            return call.collection(&location);
        }
    }
    call.entity()
}

/// 501 for a client of a later version than is spoken here.
fn check_version(request: &Request) -> Result<(), Fault> {
    let agent = request.header_text("user-agent").unwrap_or_default();
    let tokens = agent.split([' ', '(', ')', ',', ';']).filter_map(|token| token.strip_prefix("OCCI/"));
    let versions = tokens.filter_map(|version| {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    // A client may name several: one that is spoken is enough.
    match versions.min() {
        Some(least) if least > LATEST => {
            Err(Fault::new(501, format!("OCCI {}.{} is not spoken here, 1.1 and 1.2 are.", least.0, least.1)))
        }
        _ => Ok(()),
    }
}

/// A request with the service that answers it.
struct Call<'a> {
    request: &'a Request,
    service: &'a Service,
}

impl Call<'_> {
    fn rendering(&self, is_list: bool) -> Result<Rendering, Fault> {
        let fields: Vec<&str> =
            self.request.header_values("accept").filter_map(|value| std::str::from_utf8(value).ok()).collect();
        let accept = (!fields.is_empty()).then(|| fields.join(","));
        media::choose(accept.as_deref(), is_list).map_err(|why| match why {
            Unsuitable::NotAcceptable => Fault::new(406, "There is no rendering of a type that is accepted."),
            Unsuitable::NotAList => Fault::bad_request("This is no list of URIs."),
        })
    }

    fn render(&self, rendering: Rendering, reply: Reply) -> Result<Answer, Fault> {
        answer::render(self.service, rendering, reply)
    }

    fn query_interface(&self) -> Result<Answer, Fault> {
        let service = self.service;
        match self.request.method.as_str() {
            "GET" | "HEAD" => {
                let rendering = self.rendering(false)?;
                let filter = read::filter(self.request)?;
                if service.settings.glance.is_some() {
                    images::look_soon();
                }
                let mut all = service.catalog.all()?;
                if !filter.categories.is_empty() {
                    for (id, _) in &filter.categories {
                        service.catalog.existing(id)?;
                    }
                    all.retain(|known| filter.categories.iter().any(|(id, _)| *id == known.id));
                }
                self.render(rendering, Reply::Categories(all))
            }
            method @ ("POST" | "DELETE") => {
                let rendering = self.rendering(true)?;
                let definitions = read::content(self.request)?.definitions;
                if method == "POST" {
                    service.define(&definitions)?;
                } else {
                    service.undefine(&definitions)?;
                }
                self.render(rendering, Reply::Done)
            }
            _ => Err(Fault::not_allowed("The query interface takes GET, POST and DELETE.")),
        }
    }

    fn collection(&self, path: &str) -> Result<Answer, Fault> {
        let service = self.service;
        let rendering = self.rendering(true)?;
        let (mut query, owner) = service.collection(path)?;
        let asked = self.request.query();
        match (self.request.method.as_str(), &owner) {
            ("GET" | "HEAD", _) => {
                let page = Page::of(asked.get("page"), asked.get("number"), service.settings.page_limit)?;
                let unfiltered = query.clone();
                service.narrow(&mut query, &read::filter(self.request)?)?;
                let (reply, is_empty) = if rendering.is_json() {
                    let of_links = match &owner {
                        Some(owner) => service.catalog.descends(&owner.id, &crate::model::core::link())?,
                        None => false,
                    };
                    match service.records(&query, page)? {
                        Some(entries) => (Reply::Records { entries, of_links }, false),
                        None => {
                            let entities = service.list(&query, page)?;
                            let is_empty = entities.is_empty();
                            (Reply::List { entities, of_links }, is_empty)
                        }
                    }
                } else {
                    let paths = service.locations(&query, page)?;
                    let is_empty = paths.is_empty();
                    (Reply::Locations(paths), is_empty)
                };
                let nowhere = owner.is_none() && path != "/" && is_empty;
                if nowhere && service.list(&unfiltered, Some(Page { index: 1, number: 1 }))?.is_empty() {
                    return Err(Fault::not_found(format!("There is nothing at {path}.")));
                }
                self.render(rendering, reply)
            }
            ("POST", owner) if asked.has("action") => {
                let owner = owner.as_ref().ok_or_else(|| Fault::not_found("Nothing here has actions."))?;
                let draft = read::content(self.request)?.single()?;
                let term = asked.get("action").unwrap_or_default();
                let entities = service.act_on_collection(owner, &query, term, &draft)?;
                self.render(rendering, Reply::List { entities, of_links: false })
            }
            ("POST", Some(owner)) if owner.class == Class::Mixin => {
                let content = read::content(self.request)?;
                self.change_members(rendering, owner, &content.locations, Membership::Add)
            }
            ("POST", owner) => {
                let drafts = read::content(self.request)?.drafts;
                if let Some(owner) = owner {
                    for draft in &drafts {
                        self.is_of(owner, draft)?;
                    }
                }
                let made = service.create(&drafts)?;
                self.render(rendering, Reply::Created(made))
            }
            ("PUT", Some(owner)) if owner.class == Class::Mixin => {
                let content = read::content(self.request)?;
                self.change_members(rendering, owner, &content.locations, Membership::Replace)
            }
            ("DELETE", Some(owner)) if owner.class == Class::Mixin => {
                let content = read::content(self.request)?;
                self.change_members(rendering, owner, &content.locations, Membership::Remove)
            }
            ("DELETE", owner) => {
                service.narrow(&mut query, &read::filter(self.request)?)?;
                if owner.is_none()
                    && path != "/"
                    && service.list(&query, Some(Page { index: 1, number: 1 }))?.is_empty()
                {
                    return Err(Fault::not_found(format!("There is nothing at {path}.")));
                }
                service.remove_list(&query)?;
                self.render(rendering, Reply::Done)
            }
            _ => Err(Fault::not_allowed("A collection of a kind is not replaced; create and delete its members.")),
        }
    }

    /// A draft in the collection of a kind is of that kind.
    fn is_of(&self, owner: &Category, draft: &Draft) -> Result<(), Fault> {
        let kinds = draft.categories.iter().filter_map(|(id, _)| self.service.catalog.find(id).transpose());
        for kind in kinds {
            let kind = kind?;
            if kind.class == Class::Kind && kind.id != owner.id {
                return Err(Fault::bad_request(format!("This is the collection of {}, not of {}.", owner.id, kind.id)));
            }
        }
        Ok(())
    }

    fn change_members(
        &self,
        rendering: Rendering,
        mixin: &Rc<Category>,
        locations: &[String],
        how: Membership,
    ) -> Result<Answer, Fault> {
        self.service.associate(mixin, locations, how)?;
        if how == Membership::Remove {
            return self.render(rendering, Reply::Done);
        }
        let (query, _) = self.service.collection(mixin.location.as_deref().unwrap_or("/"))?;
        match self.service.list(&query, None) {
            Ok(entities) => self.render(rendering, Reply::List { entities, of_links: false }),
            // It is done, and too much to be shown.
            Err(_) => self.render(rendering, Reply::Done),
        }
    }

    fn entity(&self) -> Result<Answer, Fault> {
        let service = self.service;
        let path = self.request.path.as_str();
        let asked = self.request.query();
        let rendering = self.rendering(self.request.method == "DELETE")?;
        match self.request.method.as_str() {
            "GET" | "HEAD" => {
                let kept = service.observed_existing(path)?;
                self.render(rendering, Reply::Entity(Box::new(service.view(kept.entity)?)))
            }
            "POST" if asked.has("action") => {
                let draft = read::content(self.request)?.single()?;
                match service.act(path, asked.get("action").unwrap_or_default(), &draft)? {
                    Acted::Entity(entity) => self.render(rendering, Reply::Entity(Box::new(service.view(*entity)?))),
                    Acted::Template(template) => self.render(rendering, Reply::Categories(vec![template])),
                }
            }
            "POST" => {
                entities::existing(&service.keys, path)?;
                let entity = service.update(path, &read::entity(self.request)?)?;
                self.render(rendering, Reply::Entity(Box::new(service.view(entity)?)))
            }
            "PUT" => {
                let draft = read::entity(self.request)?;
                if entities::get(&service.keys, path)?.is_some() {
                    let entity = service.replace(path, &draft)?;
                    return self.render(rendering, Reply::Entity(Box::new(service.view(entity)?)));
                }
                let made = service.create_at(path, &draft)?;
                self.render(rendering, Reply::Created(vec![made]))
            }
            "DELETE" => {
                service.remove(path)?;
                self.render(rendering, Reply::Done)
            }
            _ => Err(Fault::not_allowed("An entity takes GET, POST, PUT and DELETE.")),
        }
    }
}
