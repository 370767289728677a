//! Looking at the service's list: what is new is known from then on, what is gone is not, and if anything goes wrong all stays
//! as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use plugbay_sdk::http_client::{Deadlines, Outbound};
use plugbay_sdk::kv;

use super::{
    FOLDER, Image, LOOK, Look, all, key,
    listing::{Page, Version},
    web::{Web, explain},
};
use crate::{
    fault::Fault,
    model::infrastructure::bytes,
    model::templates,
    provider::qemu::record,
    settings::Glance,
    store::{
        batch::{Batch, Stop},
        entities::now,
    },
};

/// How long the service may take for a page.
const DEADLINES: Deadlines = Deadlines {
    connect: Some(5_000),
    tls: Some(5_000),
    first_byte: Some(20_000),
    idle: Some(10_000),
    whole: Some(30_000),
};

/// Most bytes of a page.
const PAGE_BYTES: u64 = 4 << 20;

/// Images that are written together.
const TOGETHER: usize = 40;

/// How old a file is that nobody may be about to use, in seconds.
const OLD: u64 = 600;

/// A request of the service.
pub fn request(settings: &Glance, url: String) -> Outbound {
    Outbound {
        headers: vec![("accept".to_owned(), b"application/json".to_vec())],
        credential: settings.credential.clone(),
        deadlines: DEADLINES,
        limit: Some(PAGE_BYTES),
        ..Outbound::new("GET", url)
    }
}

/// Whether it is time to look again.
///
/// # Errors
/// Those of the store.
pub fn is_due(settings: &Glance) -> Result<bool, Fault> {
    let read = kv::get_json::<Look>(LOOK)?.map_or(0, |look| look.value.read);
    Ok(now().saturating_sub(read) >= settings.refresh.saturating_mul(1_000))
}

/// Look at the list.
///
/// # Errors
/// Why it cannot be read, or written down; what was known is known still.
pub fn refresh(settings: &Glance, web: &dyn Web) -> Result<(), String> {
    let version = Version::of(&settings.url).ok_or("glance.url has to end in /v1 or /v2")?;
    let offered = offered(settings, version, web)?;
    write(offered).map_err(|fault| fault.to_string())
}

/// What the service offers, by term.
fn offered(settings: &Glance, version: Version, web: &dyn Web) -> Result<BTreeMap<String, Image>, String> {
    let (mut found, mut seen) = (BTreeMap::new(), BTreeSet::new());
    let mut after: Option<String> = None;
    loop {
        let answer = web.send(&request(settings, version.list(&settings.url, after.as_deref())));
        let answer = answer.map_err(|error| explain(&error).0)?;
        if answer.status != 200 {
            return Err(format!("the service answers with {}", answer.status));
        }
        let page = Page::parse(&answer.body).map_err(|error| format!("the list does not read: {error}"))?;
        let last = page.images.last().map(|image| image.id.clone());
        let before = seen.len();
        for listed in page.images {
            if !seen.insert(listed.id.clone()) {
                continue;
            }
            let Some(image) = listed.image(bytes(settings.most_size)) else { continue };
            let term = templates::safe(&image.id);
            // One that makes no template, or whose template another one has, is not seen.
            if image.category().is_some() && !found.contains_key(&term) {
                found.insert(term, image);
            }
            if found.len() >= settings.most_images {
                plugbay_sdk::warn!(
                    "the service offers more than {} images; the rest is not seen",
                    settings.most_images
                );
                return Ok(found);
            }
        }
        // A list has ended where nothing new comes.
        if seen.len() == before {
            return Ok(found);
        }
        after = last;
    }
}

fn write(offered: BTreeMap<String, Image>) -> Result<(), Fault> {
    let known = all()?;
    let mut changes: Vec<(String, Option<u64>, Option<Image>)> = Vec::new();
    for (term, image, version) in &known {
        match offered.get(term) {
            None => changes.push((term.clone(), Some(*version), None)),
            Some(new) if image.differs(new) => changes.push((term.clone(), Some(*version), Some(new.clone()))),
            Some(new) if image.name != new.name => {
                changes.push((term.clone(), Some(*version), Some(Image { name: new.name.clone(), ..image.clone() })));
            }
            Some(_) => {}
        }
    }
    let is_new = |term: &String| known.iter().all(|(known, ..)| known != term);
    changes.extend(offered.into_iter().filter(|(term, _)| is_new(term)).map(|(term, image)| (term, None, Some(image))));
    let number = changes.len();
    for some in changes.chunks(TOGETHER) {
        let mut batch = Batch::default();
        for (term, version, image) in some {
            batch.unchanged(&key(term), *version);
            match image {
                Some(image) => batch.put_json(key(term), image)?,
                None => batch.delete(key(term)),
            }
        }
        match batch.commit() {
            // One of them has just been fetched: the next look finds the rest.
            Ok(()) | Err(Stop::Raced) => {}
            Err(Stop::Fault(fault)) => return Err(fault),
        }
    }
    kv::transact(|tx| {
        let asked = tx.get_json::<Look>(LOOK)?.map_or(0, |look| look.value.asked);
        tx.put_json(LOOK, &Look { read: now(), asked })?;
        Ok::<_, kv::Error>(())
    })?;
    if number > 0 {
        plugbay_sdk::info!("images: {number} came, went or changed");
    }
    Ok(())
}

/// Remove files that neither an image nor a machine has any more.
///
/// # Errors
/// Those of the store.
pub fn sweep() -> Result<(), Fault> {
    let mut used: BTreeSet<String> = all()?.into_iter().filter_map(|(_, image, _)| image.file).collect();
    used.extend(record::all()?.into_iter().filter_map(|(_, machine)| machine.image));
    for file in std::fs::read_dir(format!("/{FOLDER}")).into_iter().flatten().flatten() {
        let name = format!("{FOLDER}/{}", file.file_name().to_string_lossy());
        let age = file.metadata().and_then(|facts| facts.modified()).map(|time| SystemTime::now().duration_since(time));
        if !used.contains(&name) && matches!(age, Ok(Ok(age)) if age.as_secs() > OLD) {
            plugbay_sdk::info!("{name} is of no image and no machine, and goes");
            if let Err(error) = std::fs::remove_file(format!("/{name}")) {
                plugbay_sdk::warn!("{name} cannot be removed: {error}");
            }
        }
    }
    Ok(())
}
