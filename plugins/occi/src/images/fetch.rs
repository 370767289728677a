//! Fetching an image: into a piece of the host's, checked, made a file, looked at by `qemu-img`, and only then known as here.

use plugbay_sdk::http_client::{Deadlines, Outbound};
use plugbay_sdk::{Outcome, Piece, Segment, blobs, crypto};

use super::{
    FOLDER, Image,
    listing::Version,
    refresh::request,
    stored,
    web::{Web, explain},
};
use crate::{
    cdmi::value,
    fault::Fault,
    model::{infrastructure::bytes, templates::Format},
    provider::{Failure, qemu::disk::Source},
    settings::{Glance, Settings},
    store::batch::{Batch, attempt},
};

/// Attempts after which machines no longer wait.
const ATTEMPTS: u32 = 5;

/// Permissions of images: nobody writes them.
const MODE: u32 = 0o400;

/// Where disks are, and what looks at them.
pub trait Workshop {
    /// Make a folder.
    ///
    /// # Errors
    /// If it cannot be.
    fn folder(&self, path: &str) -> Result<(), Failure>;

    /// Bytes that a disk has for a guest; one that leads to other files is refused.
    ///
    /// # Errors
    /// `Failed` if it is no such disk.
    fn size(&self, source: &Source) -> Result<u64, Failure>;

    /// Give a file its name.
    ///
    /// # Errors
    /// If it cannot be.
    fn rename(&self, from: &str, to: &str) -> Result<(), Failure>;

    /// Remove a file.
    ///
    /// # Errors
    /// If it cannot be.
    fn remove(&self, path: &str) -> Result<(), Failure>;
}

/// Why there is no image.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// There may be, later.
    Later(String),
    /// There will not.
    Never(String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        match failure {
            Failure::Unavailable(why) => Trouble::Later(why),
            Failure::Failed(why) | Failure::Refused(why) => Trouble::Never(why),
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Trouble {
        Trouble::Later(fault.message)
    }
}

/// Fetch the image of a template, in the attempt of this number.
///
/// # Errors
/// Those of the store.
pub fn fetch(
    term: &str,
    attempts: u32,
    settings: &Settings,
    web: &dyn Web,
    workshop: &dyn Workshop,
) -> Result<Outcome, Fault> {
    let (Some(glance), Some((image, _))) = (&settings.glance, stored(term)?) else { return Ok(Outcome::Done) };
    if !image.wanted {
        return Ok(Outcome::Done);
    }
    if attempts > ATTEMPTS {
        // Attempts that were cut short, one after the other.
        settle(term, &image, |known| known.failed = Some("it takes too long".to_owned()))?;
        return Ok(Outcome::Done);
    }
    let most = bytes(settings.qemu.most_disk);
    match bring(&image, glance, most, web, workshop) {
        Ok(file) => {
            plugbay_sdk::info!("the image {} is here: {} bytes", image.id, image.size);
            settle(term, &image, |known| (known.file, known.failed) = (Some(file.clone()), None))?;
        }
        Err(Trouble::Later(why)) if attempts < ATTEMPTS => {
            return Ok(Outcome::Failed(format!("the image {} is not here yet: {why}", image.id)));
        }
        Err(Trouble::Later(why) | Trouble::Never(why)) => {
            plugbay_sdk::error!("the image {} cannot be fetched: {why}", image.id);
            settle(term, &image, |known| known.failed = Some(why.clone()))?;
        }
    }
    Ok(Outcome::Done)
}

/// Write down what came of it, unless the service has something else by now.
fn settle(term: &str, fetched: &Image, mut with: impl FnMut(&mut Image)) -> Result<(), Fault> {
    attempt(|| {
        let Some((mut known, version)) = stored(term)? else { return Ok(()) };
        if known.differs(fetched) {
            return Ok(());
        }
        known.wanted = false;
        with(&mut known);
        let mut batch = Batch::default();
        batch.unchanged(&super::key(term), Some(version));
        batch.put_json(super::key(term), &known)?;
        batch.commit()
    })
}

/// The path of the file.
fn bring(image: &Image, glance: &Glance, most: u64, web: &dyn Web, workshop: &dyn Workshop) -> Result<String, Trouble> {
    let piece = download(image, glance, web)?;
    let (place, part) = (image.place(), format!("{}.part", image.place()));
    workshop.folder(FOLDER)?;
    blobs::to_file(&[Segment::Blob(piece.range())], &part, MODE).map_err(value::broken)?;
    let checked = check(&Source { path: part.clone(), format: image.format }, most, workshop);
    if let Err(trouble) = checked {
        workshop.remove(&part)?;
        return Err(trouble);
    }
    workshop.rename(&part, &place)?;
    Ok(place)
}

fn check(source: &Source, most: u64, workshop: &dyn Workshop) -> Result<(), Trouble> {
    match workshop.size(source)? {
        size if size > most => {
            Err(Trouble::Never(format!("it is a disk of {size} bytes, and {most} are the most here")))
        }
        0 if source.format == Format::Raw => Err(Trouble::Never("it is empty".to_owned())),
        _ => Ok(()),
    }
}

fn download(image: &Image, glance: &Glance, web: &dyn Web) -> Result<Piece, Trouble> {
    let version = Version::of(&glance.url).ok_or_else(|| Trouble::Never("glance.url has no version".to_owned()))?;
    let request = Outbound {
        headers: vec![("accept".to_owned(), b"application/octet-stream".to_vec())],
        deadlines: Deadlines { connect: Some(5_000), tls: Some(5_000), ..Deadlines::OPERATORS },
        limit: Some(image.size),
        to_piece: Some(vec![image.digest.algorithm.of_host()]),
        ..request(glance, version.data(&glance.url, &image.id))
    };
    let answer = web.send(&request).map_err(|error| match explain(&error) {
        (why, true) => Trouble::Later(why),
        (why, false) => Trouble::Never(why),
    })?;
    let piece = match (answer.status, answer.piece) {
        (200, Some(piece)) => piece,
        (404 | 410, _) => return Err(Trouble::Never("the service has it no more".to_owned())),
        (status @ (401 | 403 | 408 | 429 | 500..), _) => {
            return Err(Trouble::Later(format!("the service answers with {status}")));
        }
        (status, _) => return Err(Trouble::Never(format!("the service answers with {status}"))),
    };
    if piece.size != image.size {
        let why = format!("{} bytes came instead of {}", piece.size, image.size);
        return Err(if piece.size < image.size { Trouble::Later(why) } else { Trouble::Never(why) });
    }
    let digest = piece.digests.first().map(|digest| crypto::hex(digest)).unwrap_or_default();
    if digest == image.digest.hex {
        Ok(piece)
    } else {
        Err(Trouble::Never("what came is not what the service's digest says".to_owned()))
    }
}
