//! The layout of the key space. Every key the plugin reads or writes is made here.
//!
//! | key | value | for |
//! | --- | --- | --- |
//! | `a/ACCOUNT` | account record, JSON | metadata and groups of an account |
//! | `q/USER/OWNER/GROUP` | empty | groups a user is in |
//! | `c/ACCOUNT/NAME…` | container record, JSON | containers of an account, in the order of their names |
//! | `o/CONTAINER/NAME…` | object record, JSON: the **head** | objects as they are, in the order of their names |
//! | `n/CONTAINER/NAME…` | empty | names that an object was removed from, for listings of the past |
//! | `h/CONTAINER/NODE/VERSION` | object record, JSON | what an object was, oldest first, and when it was deleted |
//! | `i/UUID` | key of the head | from uuid to object |
//! | `u/ACCOUNT/CONTAINER/SHARD` | count, bytes, time, JSON | usage; an object's shard follows from its name, so that writers of different objects seldom meet |
//! | `b/HASH` | block record, JSON | a block that is kept as blob `block/HASH` |
//! | `r/HASH/MAP` | empty | the block is used by that map |
//! | `m/MAP/CHUNK` | packed blocks | block list of an object of more than 16 blocks |
//! | `g/TIME/MAP` | JSON | for the collector: the map of an upload under way or of content no longer used, a removed container, doomed blocks |
//! | `s/PRINCIPAL/ACCOUNT/CONTAINER/UUID` | key of the head | objects shared with a principal |
//! | `w/ACCOUNT/s/CONTAINER/UUID` | key of the head | objects of an account with permissions of their own |
//! | `w/ACCOUNT/p/CONTAINER/UUID` | key of the head | published objects of an account |
//! | `p/ID` | key of the head | from public id to object |
//! | `l/o/OWNER/TIME/UUID` | key of the head | images of an owner, by time of registration |
//! | `l/s/PRINCIPAL/TIME/UUID` | key of the head | images shared with a principal, likewise |
//! | `l/p/TIME/UUID` | key of the head | public images, likewise |
//!
//! `CONTAINER` is a random id of 32 hexadecimal digits, so a container made again starts empty.
//! `NODE` is derived from container and name: a path keeps its history over deletion. `ACCOUNT`,
//! `OWNER` and `PRINCIPAL` are the id itself where it is short and plain, else `~` and its hash.
//!
//! **Long names.** A key holds 1,024 bytes, a name up to 4,096. A name goes into its key up to 240
//! characters. The rest of a longer one is a key in a space of its own, named by a hash of what came
//! before; where it would stand, a marker key (the 240 characters and a NUL, which no name holds)
//! tells listings to go down there. Byte order over all names is kept. Markers are never removed
//! while the container lives: an empty space below one costs a listing one read.
//!
//! **Invariants.**
//! 1. The head is the truth. `i`, `s`, `w`, `p` and `l` keys are a superset of what the heads imply: they are
//!    written before or with a head, removed with or after it, and readers check what they lead to.
//!    The same holds for `q` keys and account records. `n` keys are a superset of the names that have
//!    a history and no head.
//! 2. A version's block map has its `r` keys before the version is written; a `b` key and its blob
//!    appear and vanish in one commit. A crash in between leaves a `g` key that leads to the rest.
//! 3. Every commit that adds an object to a container checks the container's key and writes a usage
//!    shard; removing a container checks all shards. So no object is left in a removed container.
//!
//! **Collecting blocks.** [`super::collector`] takes the `g` keys that are older than an hour, removes
//! the `r` keys of maps that no version at the path uses, and marks blocks without an `r` key as
//! doomed (a write to `b`, listed in a new `g` key). An hour later, blocks still doomed and still
//! without an `r` key are dropped. Everything is checked by `b`: whoever adds an `r` key checks that
//! `b` is as it was read, and takes a doom away; whoever drops a block checks that `b` is as it was
//! doomed, and looks for `r` keys after reading that. So a reference added before the doom is seen by
//! the drop, and one added after it makes the drop fail. The hour is not for safety: it is how long
//! uploaded blocks wait for the object that uses them, and how long an answer may take to be read.
//! An upload that writes ahead checks its own `g` key in the commit of the object, so it fails rather
//! than use what the collector has begun to take back.

use sha2::{Digest as _, Sha256};

use crate::{merkle::hex, time::Moment};

/// Characters of a name that go into one key.
const SEGMENT: usize = 240;

/// Longest id that stands for itself.
const PLAIN_ID: usize = 64;

/// Number of usage shards of a container.
pub const SHARDS: u8 = 8;

/// An id as it stands in keys.
pub fn id(id: &str) -> String {
    let plain = !id.is_empty()
        && id.len() <= PLAIN_ID
        && (id == "*" || id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@:".contains(&b)));
    if plain { id.to_owned() } else { format!("~{}", digest(id)) }
}

/// 128 bits of a hash, hexadecimal.
fn digest(text: &str) -> String {
    let whole = Sha256::digest(text.as_bytes());
    hex(whole.get(..16).unwrap_or_default())
}

/// Where a name stands in a space of ordered names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// `SPACE/REST`, without the class in front.
    pub place: String,
    /// Places of the markers that lead there, outermost first.
    pub markers: Vec<String>,
}

impl Slot {
    /// The slot of a name; the name must not hold NUL.
    pub fn of(space: &str, name: &str) -> Slot {
        let mut space = space.to_owned();
        let mut rest = name;
        let mut markers = Vec::new();
        while let Some((head, tail)) = split_segment(rest) {
            markers.push(format!("{space}/{head}\0"));
            space = below(&space, head);
            rest = tail;
        }
        Slot { place: format!("{space}/{rest}"), markers }
    }

    /// Key of the container record in this slot.
    pub fn container(&self) -> String {
        format!("c/{}", self.place)
    }

    /// Key of the object head in this slot.
    pub fn head(&self) -> String {
        format!("o/{}", self.place)
    }

    /// Key that says an object was removed here.
    pub fn departed(&self) -> String {
        format!("n/{}", self.place)
    }

    /// Prefix of the history of the object in this slot of this container.
    pub fn history(&self, container: &str) -> String {
        format!("h/{container}/{}/", digest(&self.place))
    }

    /// Number of the usage shard of the object in this slot.
    pub fn shard(&self) -> u8 {
        let first = Sha256::digest(self.place.as_bytes()).first().copied();
        first.unwrap_or_default() % SHARDS
    }
}

/// The first segment and the rest of a name that is longer than a segment.
pub(super) fn split_segment(name: &str) -> Option<(&str, &str)> {
    let (end, _) = name.char_indices().nth(SEGMENT)?;
    name.split_at_checked(end)
}

/// The space of the names in `space` that start with `head` and go on.
pub(super) fn below(space: &str, head: &str) -> String {
    format!("^{}", digest(&format!("{space}/{head}")))
}

/// Prefix of the keys of a class in a space of names.
pub(super) fn space(class: char, space: &str) -> String {
    format!("{class}/{space}/")
}

/// Prefix of the histories of all objects of a container.
pub fn histories(container: &str) -> String {
    format!("h/{container}/")
}

/// Key of one version in a history.
pub fn version(history: &str, version: u64) -> String {
    format!("{history}{version:020}")
}

/// Key from uuid to object.
pub fn uuid(uuid: &str) -> String {
    format!("i/{uuid}")
}

/// Prefix of an account's usage.
pub fn account_usage(account: &str) -> String {
    format!("u/{}/", id(account))
}

/// Key of one usage shard.
pub fn usage(account: &str, container: &str, shard: u8) -> String {
    format!("u/{}/{container}/{shard:x}", id(account))
}

/// Key of a block record.
pub fn block(hash: &str) -> String {
    format!("b/{hash}")
}

/// Name of a block's blob.
pub fn blob(hash: &str) -> String {
    format!("block/{hash}")
}

/// Prefix of the keys that say which maps use a block.
pub fn references(hash: &str) -> String {
    format!("r/{hash}/")
}

/// Key that says a map uses a block.
pub fn reference(hash: &str, map: &str) -> String {
    format!("r/{hash}/{map}")
}

/// Key of one chunk of a block list.
pub fn chunk(map: &str, chunk: usize) -> String {
    format!("m/{map}/{chunk:08x}")
}

/// Key of a map to look at.
pub fn garbage(time: Moment, map: &str) -> String {
    format!("g/{:016}/{map}", time.0)
}

/// Prefix of what the collector looks at.
pub const GARBAGE: &str = "g/";

/// The first key after everything that was written for the collector up to a moment.
pub fn garbage_until(time: Moment) -> String {
    format!("g/{:016}0", time.0)
}

/// Prefix of what is shared with a principal.
pub fn shared(principal: &str) -> String {
    format!("s/{}/", id(principal))
}

/// Prefix of what an account shares with a principal.
pub fn shared_by(principal: &str, account: &str) -> String {
    format!("s/{}/{}/", id(principal), id(account))
}

/// Prefix of what an account shares, by container.
pub fn sharing(account: &str) -> String {
    format!("w/{}/s/", id(account))
}

/// Prefix of what an account has published, by container.
pub fn publishing(account: &str) -> String {
    format!("w/{}/p/", id(account))
}

/// Key from public id to object.
pub fn public(id: &str) -> String {
    format!("p/{id}")
}

/// Key of an account record.
pub fn account(account: &str) -> String {
    format!("a/{}", id(account))
}

/// Prefix of the groups that a user is in.
pub fn groups_of(user: &str) -> String {
    format!("q/{}/", id(user))
}

/// Prefix of an owner's images.
pub fn owned_images(owner: &str) -> String {
    format!("l/o/{}/", id(owner))
}

/// Prefix of the images shared with a principal.
pub fn shared_images(principal: &str) -> String {
    format!("l/s/{}/", id(principal))
}

/// Prefix of the public images.
pub fn public_images() -> String {
    "l/p/".to_owned()
}

/// Where an image stands below such a prefix.
pub fn image_place(created: Moment, uuid: &str) -> String {
    format!("{:016}/{uuid}", created.0)
}

/// The first key after all that start with this prefix, which ends in `/`.
pub fn end_of(prefix: &str) -> String {
    let trunk = prefix.strip_suffix('/').unwrap_or(prefix);
    // `0` is the character after `/`.
    format!("{trunk}0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_that_could_disturb_a_key_are_hashed() {
        assert_eq!(id("9a2e10a2-3d2c"), "9a2e10a2-3d2c");
        assert_eq!(id("owner:group"), "owner:group");
        for odd in ["", "a/b", "é", "~x", &"a".repeat(65)] {
            assert!(id(odd).starts_with('~') && id(odd).len() == 33, "{odd}");
        }
    }

    #[test]
    fn a_long_name_goes_down_one_space_per_segment() {
        let slot = Slot::of("s", &"☂".repeat(1024));
        assert_eq!(slot.markers.len(), 4);
        assert!(Slot::of("s", &"a".repeat(240)).markers.is_empty());
        let pair = [Slot::of("s", &"a".repeat(241)), Slot::of("s", &format!("{}b", "a".repeat(240)))];
        assert_eq!(pair[0].markers, pair[1].markers);
        assert_ne!(pair[0].place, pair[1].place);
    }

    proptest! {
        #[test]
        fn every_key_of_a_legal_name_fits(name in "[^\0]{1,1024}", account in ".{0,300}") {
            let containers = Slot::of(&id(&account), &name);
            let objects = Slot::of(&digest("x"), &name);
            let keys = [containers.container(), objects.head(), version(&objects.history(&digest("x")), u64::MAX)];
            for key in keys.iter().chain(&objects.markers).chain(&containers.markers) {
                prop_assert!(key.len() <= 1022, "{}", key.len());
            }
        }

        #[test]
        fn different_names_have_different_slots(a in "[ab]{235,245}", b in "[ab]{235,245}") {
            prop_assert_eq!(a == b, Slot::of("s", &a) == Slot::of("s", &b));
        }
    }
}
