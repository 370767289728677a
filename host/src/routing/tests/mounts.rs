//! Tests of `mounts`.

use proptest::prelude::*;

use super::super::mounts::{Mount, MountError, Routes, host_name};

fn mount(listener: &str, host: Option<&str>, prefix: &str) -> Mount<()> {
    Mount {
        listener: listener.to_owned(),
        host: host.map(str::to_owned),
        prefix: prefix.to_owned(),
        owner: format!("{}@{}", prefix, host.unwrap_or("any")),
        target: (),
    }
}

fn find<'a>(routes: &'a Routes<()>, authority: &str, path: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
    let (mount, below, prefix) = routes.resolve("main", authority, path)?;
    Some((&mount.owner, below, prefix))
}

#[test]
fn the_longest_prefix_wins_whatever_the_order() {
    let mounts = ["/", "/a/b", "/a", "/ab"].map(|prefix| mount("main", None, prefix));
    for order in [mounts.to_vec(), mounts.iter().rev().cloned().collect()] {
        let routes = Routes::build(order).unwrap();
        assert_eq!(find(&routes, "h", "/a/b/c"), Some(("/a/b@any", "/c", "/a/b")));
        assert_eq!(find(&routes, "h", "/a/c"), Some(("/a@any", "/c", "/a")));
        assert_eq!(find(&routes, "h", "/abc"), Some(("/@any", "/abc", "")));
        assert_eq!(find(&routes, "h", "/ab"), Some(("/ab@any", "/", "/ab")));
        assert_eq!(find(&routes, "h", "/ab/"), Some(("/ab@any", "/", "/ab")));
        assert_eq!(find(&routes, "h", "/ab//"), Some(("/ab@any", "//", "/ab")));
        assert_eq!(find(&routes, "h", "//a/b"), Some(("/@any", "//a/b", "")));
    }
}

#[test]
fn prefixes_are_compared_raw() {
    let routes = Routes::build([mount("main", None, "/a")]).unwrap();
    assert_eq!(find(&routes, "h", "/%61/x"), None);
    assert_eq!(find(&routes, "h", "/a%2Fx"), None);
    assert_eq!(find(&routes, "h", "/A/x"), None);
    assert_eq!(find(&routes, "h", "*"), None);
}

#[test]
fn a_mount_for_the_host_wins_over_one_for_any() {
    let routes = Routes::build([
        mount("main", None, "/a/b"),
        mount("main", Some("API.example.org"), "/a"),
        mount("main", Some("[::1]"), "/"),
    ])
    .unwrap();
    for authority in ["api.example.org", "api.EXAMPLE.org:8443"] {
        assert_eq!(find(&routes, authority, "/a/b/c").unwrap().2, "/a");
        assert_eq!(find(&routes, authority, "/x"), None);
    }
    assert_eq!(find(&routes, "other.example.org", "/a/b/c").unwrap().2, "/a/b");
    assert_eq!(find(&routes, "[::1]:80", "/x").unwrap().0, "/@[::1]");
    assert_eq!(find(&routes, "", "/a/b").unwrap().2, "/a/b");
}

#[test]
fn listeners_are_apart() {
    let routes = Routes::build([mount("main", None, "/"), mount("other", None, "/")]).unwrap();
    assert!(routes.resolve("other", "h", "/").is_some());
    assert!(routes.resolve("third", "h", "/").is_none());
    assert_eq!(routes.mounts().count(), 2);
}

#[test]
fn clashes_are_refused_with_both_owners_named() {
    let refused = Routes::build([mount("main", None, "/a"), mount("main", None, "/a/")]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "'/a@any' and '/a/@any' are both mounted at path '/a' on listener 'main'; move one of them"
    );
    let hosts = [mount("main", Some("H"), "/"), mount("main", Some("h"), "")];
    let refused = Routes::build(hosts).unwrap_err().to_string();
    assert!(refused.contains("path '/' of host 'h' on listener 'main'"), "{refused}");
}

#[test]
fn odd_prefixes_and_hosts_are_refused() {
    for prefix in ["a", "//", "/a//b", "/a//", "/.", "/a/../b", "/%2e", "/a?b", "/a b", "/%", "/%2F"] {
        let refused = Routes::build([mount("main", None, prefix)]).unwrap_err();
        assert!(matches!(refused, MountError::Prefix { .. }), "{prefix}");
    }
    for host in ["", "a:80", "http://a", "a/b", "[1]", "a b", "*"] {
        let refused = Routes::build([mount("main", Some(host), "/")]).unwrap_err();
        assert!(matches!(refused, MountError::Host { .. }), "{host}");
    }
}

#[test]
fn the_port_is_no_part_of_the_host() {
    for (authority, host) in
        [("a", "a"), ("a:1", "a"), ("[::1]:1", "[::1]"), ("[::1]", "[::1]"), ("[x", "[x"), (":1", "")]
    {
        assert_eq!(host_name(authority), host);
    }
}

proptest! {
    #[test]
    fn what_is_below_and_the_prefix_make_the_path(
        prefixes in prop::collection::btree_set("(/[ab]){0,3}", 0..8),
        path in "(/[ab]?){1,5}",
    ) {
        let mounts = prefixes.iter().map(|prefix| mount("main", None, prefix));
        let routes = Routes::build(mounts).unwrap();
        let covers = |prefix: &&String| {
            path == **prefix || path.starts_with(&format!("{prefix}/"))
        };
        let longest = prefixes.iter().filter(covers).max_by_key(|prefix| prefix.len());
        match routes.resolve("main", "h", &path) {
            None => prop_assert_eq!(longest, None),
            Some((mount, below, prefix)) => {
                prop_assert_eq!(Some(&mount.prefix), longest);
                prop_assert!(below.starts_with('/'));
                let whole = format!("{prefix}{below}");
                let with_slash = format!("{path}/");
                prop_assert!(whole == path || (whole == with_slash && below == "/"));
            }
        }
    }

    #[test]
    fn any_request_is_looked_up_without_panic(authority in any::<String>(), path in any::<String>()) {
        let routes = Routes::build([mount("main", Some("h"), "/a"), mount("main", None, "/")]).unwrap();
        let _ = routes.resolve("main", &authority, &path);
    }
}
