//! Images of a Glance service: what it offers, as templates, and fetched when a machine first needs one.
//!
//! What the service offers is kept here and looked at again by a job (`refresh.rs`), so that no request waits for it and what
//! is known stays known while it is silent. An image becomes a file of the private directory by another job (`fetch.rs`).
//! The images are the same for all callers: those that the operator's credential shows.
//!
//! | key | value | for |
//! | --- | --- | --- |
//! | `image/TERM` | image, JSON | an image, by its template |
//! | `images` | look, JSON | when the list was last looked at, and asked for |

pub mod fetch;
pub mod listing;
pub mod refresh;
#[cfg(test)]
mod tests;
pub mod web;

use plugbay_sdk::{DigestAlgorithm, NewJob, jobs, kv};
use serde::{Deserialize, Serialize};

use crate::{
    fault::Fault,
    model::{
        Category,
        templates::{self, Format},
    },
    store::{
        batch::{Batch, Stop, attempt},
        entities::now,
        keys,
    },
};

/// Prefix of the images' keys.
const PREFIX: &str = "image/";

/// Key of what is known of the list.
const LOOK: &str = "images";

/// The job that looks at the list.
pub const REFRESH: &str = "refresh-images";

/// The job that fetches an image.
pub const FETCH: &str = "fetch-image";

/// Folder of the files, in the private directory.
pub const FOLDER: &str = "glance";

/// Most jobs of a key that are looked at.
const MOST_JOBS: u32 = 1_000;

/// Between two looks at the list that somebody asks for, in milliseconds.
const APART: u64 = 5_000;

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its id at the service.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What the service says that it is.
    pub format: Format,
    /// Bytes.
    pub size: u64,
    /// What it is checked by.
    pub digest: Digest,
    /// Its file, once it was fetched.
    #[serde(default)]
    pub file: Option<String>,
    /// Whether somebody waits for it.
    #[serde(default)]
    pub wanted: bool,
    /// Why it could not be fetched.
    #[serde(default)]
    pub failed: Option<String>,
}

/// A digest that the service gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How it is made.
    pub algorithm: Algorithm,
    /// Lower-case hexadecimal.
    pub hex: String,
}

/// Ways to make a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// All that Glance v1 knows.
    Md5,
    /// Likely in v2.
    Sha256,
    /// Usual in v2.
    Sha512,
}

impl Algorithm {
    /// As the host calls it.
    pub fn of_host(self) -> DigestAlgorithm {
        match self {
            Algorithm::Md5 => DigestAlgorithm::Md5,
            Algorithm::Sha256 => DigestAlgorithm::Sha256,
            Algorithm::Sha512 => DigestAlgorithm::Sha512,
        }
    }
}

/// What is known of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Look {
    /// When it was last read, in milliseconds since 1970.
    read: u64,
    /// When that was last asked for.
    asked: u64,
}

impl Image {
    /// Whether the service has something else under this id now.
    pub fn differs(&self, other: &Image) -> bool {
        (&self.digest, self.size, self.format) != (&other.digest, other.size, other.format)
    }

    /// Where its file is to be. Another content has another name.
    pub fn place(&self) -> String {
        let content = self.digest.hex.get(..32).unwrap_or(&self.digest.hex);
        format!("{FOLDER}/{}-{content}.{}", keys::digest(&self.id), self.format.name())
    }

    fn category(&self) -> Option<Category> {
        let image = templates::Image { name: self.name.clone(), ..templates::Image::empty(&self.id, "") };
        templates::of_image(&image)
    }
}

fn key(term: &str) -> String {
    format!("{PREFIX}{term}")
}

/// An image by the term of its template, and the version of its key.
fn stored(term: &str) -> Result<Option<(Image, u64)>, Fault> {
    Ok(kv::get_json::<Image>(&key(term))?.map(|stored| (stored.value, stored.version)))
}

/// An image by the term of its template.
///
/// # Errors
/// Those of the store.
pub fn find(term: &str) -> Result<Option<Image>, Fault> {
    Ok(stored(term)?.map(|(image, _)| image))
}

/// All images: term, image and version.
fn all() -> Result<Vec<(String, Image, u64)>, Fault> {
    let mut all = Vec::new();
    for entry in kv::prefix(PREFIX).iter() {
        let entry = entry?;
        let term = entry.key.strip_prefix(PREFIX).unwrap_or_default().to_owned();
        let image = entry.json::<Image>()?;
        all.push((term, image.value, image.version));
    }
    Ok(all)
}

/// The template of an image; none if there is no such image.
///
/// # Errors
/// Those of the store.
pub fn category(term: &str) -> Result<Option<Category>, Fault> {
    Ok(find(term)?.and_then(|image| image.category()))
}

/// The templates of all images.
///
/// # Errors
/// Those of the store.
pub fn categories() -> Result<Vec<Category>, Fault> {
    Ok(all()?.iter().filter_map(|(_, image, _)| image.category()).collect())
}

/// Have the list looked at soon, if that was not just done. Nobody waits for it.
pub fn look_soon() {
    let asked = || {
        let look = kv::get_json::<Look>(LOOK)?;
        let (before, version) = look.map_or((Look::default(), None), |look| (look.value, Some(look.version)));
        if now().saturating_sub(before.read.max(before.asked)) < APART || is_pending(REFRESH)? {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.unchanged(LOOK, version);
        batch.put_json(LOOK.to_owned(), &Look { asked: now(), ..before })?;
        batch.enqueue(NewJob::named(REFRESH).key(REFRESH));
        batch.commit()
    };
    match asked() {
        // Somebody else has just asked.
        Ok(()) | Err(Stop::Raced) => {}
        Err(Stop::Fault(fault)) => plugbay_sdk::warn!("the list of images cannot be asked for: {fault}"),
    }
}

/// Whether a job of this key waits or runs.
fn is_pending(key: &str) -> Result<bool, Fault> {
    let jobs = jobs::pending(Some(key), MOST_JOBS).map_err(|error| Fault::internal(format_args!("jobs: {error:?}")))?;
    Ok(jobs.iter().any(|job| job.state != jobs::State::Failed))
}

/// Give up images that are wanted and that no job fetches: one that was cut short too often.
///
/// # Errors
/// Those of the store.
pub fn give_up() -> Result<(), Fault> {
    let wanted: Vec<_> = all()?.into_iter().filter(|(_, image, _)| image.wanted).collect();
    if wanted.is_empty() || is_pending(FETCH)? {
        return Ok(());
    }
    for (term, image, version) in wanted {
        let failed = Some("it was cut short too often".to_owned());
        let mut batch = Batch::default();
        batch.unchanged(&key(&term), Some(version));
        batch.put_json(key(&term), &Image { wanted: false, failed, ..image })?;
        match batch.commit() {
            // Somebody has just begun.
            Ok(()) | Err(Stop::Raced) => {}
            Err(Stop::Fault(fault)) => return Err(fault),
        }
    }
    Ok(())
}

/// Have an image fetched, if it is not here and not on its way.
///
/// # Errors
/// Those of the store.
pub fn want(term: &str) -> Result<(), Fault> {
    attempt(|| {
        let Some((image, version)) = stored(term)? else { return Ok(()) };
        if image.wanted {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.unchanged(&key(term), Some(version));
        batch.put_json(key(term), &Image { wanted: true, failed: None, ..image })?;
        // One at a time: a slow service is not to take the places of other jobs.
        batch.enqueue(NewJob::named(FETCH).key(FETCH).payload(term.as_bytes()));
        batch.commit()
    })
}
