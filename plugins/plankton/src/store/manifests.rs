//! Objects that stand for others: `X-Object-Manifest: container/prefix`.
//!
//! Owns which objects are the parts and what they are together. A manifest is read as its parts, in
//! the order of their names; whatever bytes it has itself are not read. Parts that are manifests
//! are taken as they are.

use plugbay_sdk::DigestAlgorithm;
use serde::{Deserialize, Serialize};

use super::{
    db,
    names::Stream,
    places::{self, Place, denied},
};
use crate::{
    conditions::{Current, Stretch},
    faults::{Fault, Kind},
    listing::Names as _,
    merkle::hex,
    object::{Content, Object},
    sharing::Access,
};

/// Most parts of a manifest.
const PARTS: usize = 10_000;

/// Where the parts of a manifest are, as a certain user sees them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    account: String,
    container: String,
    prefix: String,
    /// The manifest itself, which may be among those names and is no part.
    uuid: String,
    user: String,
}

/// The parts of a manifest, in order.
#[derive(Debug)]
pub struct Manifest {
    /// Their contents.
    pub parts: Vec<Content>,
    /// Bytes in all.
    pub size: u64,
    /// MD5 over the parts' tags, one after the other.
    pub etag: String,
}

impl Parts {
    /// Those of an object; none if it is no manifest.
    pub fn of(object: &Object, user: &str) -> Option<Parts> {
        let value = object.presentation.get("x-object-manifest")?;
        let (container, prefix) = value.trim_start_matches('/').split_once('/')?;
        Some(Parts {
            account: object.account.clone(),
            container: container.to_owned(),
            prefix: prefix.to_owned(),
            uuid: object.uuid.clone(),
            user: user.to_owned(),
        })
    }

    /// Find them. One that the user may not read is a 403.
    pub fn find(&self) -> Result<Manifest, Fault> {
        let Parts { account, container, prefix, uuid, user } = self;
        let mut manifest = Manifest { parts: Vec::new(), size: 0, etag: String::new() };
        let mut tags = String::new();
        if let Some(place) = Place::find(account, container, prefix)? {
            let mut stream = Stream::new('o', &place.record.value.id);
            stream.seek(prefix)?;
            while let Some((name, value)) = stream.next()? {
                if !name.starts_with(prefix.as_str()) {
                    break;
                }
                let part: Object = db::read_json(&value)?;
                if part.uuid == *uuid {
                    continue;
                }
                if account != user {
                    let place = Place::find(account, container, &name)?.ok_or_else(places::missing)?;
                    if places::access(&place, Some(&part), user)? < Access::Read {
                        return Err(denied());
                    }
                }
                if manifest.parts.len() == PARTS {
                    return Err(Fault::new(Kind::Conflict, format!("A manifest has at most {PARTS} parts")));
                }
                tags.push_str(part.etag());
                manifest.size = manifest.size.saturating_add(part.content.size);
                manifest.parts.push(part.content);
            }
        }
        let digest = plugbay_sdk::crypto::digest(DigestAlgorithm::Md5, tags.as_bytes()).map_err(|error| {
            plugbay_sdk::error!("digest: {error:?}");
            Fault::new(Kind::Internal, "The store failed")
        })?;
        manifest.etag = hex(&digest);
        Ok(manifest)
    }
}

impl Manifest {
    /// What conditions compare with.
    pub fn current(&self, object: &Object) -> Current {
        Current { tags: vec![self.etag.clone()], modified: object.modified }
    }

    /// The stretches of the parts that a stretch of the whole is made of.
    pub fn stretches(&self, stretch: Stretch) -> Vec<(&Content, Stretch)> {
        let (mut skip, mut left) = (stretch.offset, stretch.length);
        let mut found = Vec::new();
        for part in &self.parts {
            let length = part.size.saturating_sub(skip).min(left);
            if length > 0 {
                found.push((part, Stretch { offset: skip, length }));
            }
            skip = skip.saturating_sub(part.size);
            left -= length;
        }
        found
    }
}
