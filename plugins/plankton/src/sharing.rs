//! Who may read and write an object besides its owner.
//!
//! Owns the grammar of `X-Object-Sharing`, the two sets it stands for, and the rule by which
//! directory objects pass them down. An image's publicity and members are the read set seen from
//! the image registry: `*` makes it public, every other name is a member.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::faults::Fault;

/// Everyone.
pub const EVERYONE: &str = "*";

/// What a caller may do with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing.
    None,
    /// Read it.
    Read,
    /// Read and write it.
    Write,
}

/// Two sets of principals: user ids, `owner:group`, or `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// May read.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub read: BTreeSet<String>,
    /// May read and write; who is here is not in `read`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub write: BTreeSet<String>,
    /// Members that the other image API lets pass the image on. Says nothing of reading or writing.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub share: BTreeSet<String>,
}

impl Permissions {
    /// Read the header `read=u1,u2;write=u3`. Blanks are ignored, `*` swallows the rest of its
    /// list, an empty value is no permission at all; any other form is a 400.
    pub fn parse(text: &str) -> Result<Permissions, Fault> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let mut permissions = Permissions::default();
        if text.is_empty() {
            return Ok(permissions);
        }
        for part in text.split(';') {
            let (set, list) = if let Some(list) = part.strip_prefix("read=") {
                (&mut permissions.read, list)
            } else if let Some(list) = part.strip_prefix("write=") {
                (&mut permissions.write, list)
            } else {
                return Err(Fault::bad_request("Bad X-Object-Sharing header value: missing prefix"));
            };
            *set = list.split(',').filter(|name| !name.is_empty()).map(principal).collect();
            if set.is_empty() {
                return Err(Fault::bad_request("Bad X-Object-Sharing header value: invalid length"));
            }
            if set.contains(EVERYONE) {
                *set = BTreeSet::from([EVERYONE.to_owned()]);
            }
        }
        let Permissions { read, write, .. } = &mut permissions;
        read.retain(|name| name == EVERYONE || !write.contains(name));
        Ok(permissions)
    }

    /// Neither list has a name.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.write.is_empty()
    }

    /// `*` may read: what the image registry calls a public image.
    pub fn is_public(&self) -> bool {
        self.read.contains(EVERYONE)
    }

    /// Who may read, without `*`: what the image registry calls members.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.read.iter().map(String::as_str).filter(|name| *name != EVERYONE)
    }

    /// Every name in either set, once.
    pub fn principals(&self) -> BTreeSet<&str> {
        self.read.iter().chain(&self.write).map(String::as_str).collect()
    }

    /// What a user who is not the owner may do. `in_group` says whether the user belongs to an
    /// `owner:group`; it is asked only for groups that would make a difference.
    pub fn access<E>(&self, user: &str, mut in_group: impl FnMut(&str) -> Result<bool, E>) -> Result<Access, E> {
        for (set, access) in [(&self.write, Access::Write), (&self.read, Access::Read)] {
            if set.contains(EVERYONE) || set.contains(user) {
                return Ok(access);
            }
            for group in set.iter().filter(|name| name.contains(':')) {
                if in_group(group)? {
                    return Ok(access);
                }
            }
        }
        Ok(Access::None)
    }
}

/// The header form, `read=u1,u2; write=u3`; empty if there is no permission.
impl std::fmt::Display for Permissions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut lead = "";
        for (name, set) in [("read", &self.read), ("write", &self.write)] {
            if !set.is_empty() {
                let names: Vec<&str> = set.iter().map(String::as_str).collect();
                write!(f, "{lead}{name}={}", names.join(","))?;
                lead = "; ";
            }
        }
        Ok(())
    }
}

/// The stored form of a user id or `user:group`. Uuids are lower-cased, as the original does with
/// every name; other ids are kept, because providers here may tell them apart by case. Groups are
/// named by header fields, which have no case.
pub fn principal(name: &str) -> String {
    let (user, group) = match name.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (name, None),
    };
    let user = if is_uuid(user) { user.to_ascii_lowercase() } else { user.to_owned() };
    match group {
        Some(group) => format!("{user}:{}", group.to_lowercase()),
        None => user,
    }
}

/// Whether the text has the 8-4-4-4-12 form of a uuid.
pub fn is_uuid(text: &str) -> bool {
    let mut lengths = text.split('-').map(|part| part.bytes().all(|b| b.is_ascii_hexdigit()).then_some(part.len()));
    [8, 4, 4, 4, 12].iter().all(|length| lengths.next() == Some(Some(*length))) && lengths.next().is_none()
}

/// Whether an object of this content type passes its permissions down to the names below it.
pub fn is_directory(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind == "application/directory" || kind == "application/folder"
}

/// The names whose permissions may reach an object, nearest first: its own, then for each parent
/// `a/b/` and `a/b`. Whichever exists first, is a directory and has permissions of its own, wins.
pub fn inheritance(name: &str) -> Vec<String> {
    let mut names = vec![name.to_owned()];
    let trimmed = name.trim_end_matches('/');
    for (at, _) in trimmed.rmatch_indices('/') {
        for end in [at + 1, at] {
            if let Some(parent) = trimmed.get(..end)
                && !parent.is_empty()
            {
                names.push(parent.to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const U1: &str = "9a2e10a2-3d2c-4fd4-8bd9-0d9a4b1f7a01";

    fn allowed(header: &str, user: &str) -> Access {
        Permissions::parse(header).unwrap().access::<()>(user, |_| Ok(false)).unwrap()
    }

    #[test]
    fn blanks_are_ignored_and_uuids_lower_cased() {
        let permissions = Permissions::parse(&format!(" read = {}, u2 ; write=u3 ", U1.to_uppercase())).unwrap();
        assert_eq!(permissions.to_string(), format!("read={U1},u2; write=u3"));
    }

    #[test]
    fn everyone_swallows_the_rest_of_its_list() {
        assert_eq!(Permissions::parse("read=u1,*;write=u2").unwrap().to_string(), "read=*; write=u2");
    }

    #[test]
    fn who_is_in_both_lists_is_kept_in_write_only() {
        assert_eq!(Permissions::parse("read=u1,u2;write=u1").unwrap().to_string(), "read=u2; write=u1");
        assert_eq!(Permissions::parse("read=u1;write=u1").unwrap().to_string(), "write=u1");
    }

    #[test]
    fn an_empty_value_removes_all_and_other_forms_are_refused() {
        assert!(Permissions::parse("").unwrap().is_empty());
        for bad in ["u1", "read=", "read=u1;", "read=u1;own=u2", "write=,"] {
            assert_eq!(Permissions::parse(bad).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn write_implies_read_and_groups_are_asked() {
        assert_eq!(allowed("read=u1;write=u2", "u2"), Access::Write);
        assert_eq!(allowed("read=u1;write=u2", "u1"), Access::Read);
        assert_eq!(allowed("read=u1", "u9"), Access::None);
        assert_eq!(allowed("read=*", "u9"), Access::Read);
        let group = Permissions::parse("read=owner:friends").unwrap();
        assert_eq!(group.access::<()>("u9", |name| Ok(name == "owner:friends")).unwrap(), Access::Read);
    }

    #[test]
    fn the_nearest_directory_comes_first() {
        assert_eq!(inheritance("a/b/c"), ["a/b/c", "a/b/", "a/b", "a/", "a"].map(str::to_owned));
        assert_eq!(inheritance("a/"), ["a/"].map(str::to_owned));
        assert!(is_directory("application/folder; charset=x") && !is_directory("text/plain"));
    }

    #[test]
    fn the_form_of_a_uuid() {
        assert!(is_uuid(U1));
        for bad in ["", "9a2e10a2", &U1.replace('-', ""), &format!("{U1}-")] {
            assert!(!is_uuid(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_and_prints_what_parses_again(text in any::<String>()) {
            if let Ok(permissions) = Permissions::parse(&text) {
                prop_assert_eq!(Permissions::parse(&permissions.to_string()).unwrap(), permissions);
            }
        }

        #[test]
        fn headers_of_the_right_shape_print_what_parses_again(
            read in prop::collection::vec("[a-z0-9*:]{1,3}", 1..5),
            write in prop::collection::vec("[a-z0-9*:]{1,3}", 1..5),
        ) {
            let text = format!("read={};write={}", read.join(","), write.join(","));
            let permissions = Permissions::parse(&text).unwrap();
            prop_assert_eq!(Permissions::parse(&permissions.to_string()).unwrap(), permissions);
        }
    }
}
