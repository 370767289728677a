//! Tests of providers, token files and access rules.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let fields = fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()));
    // Appending, so that repeated fields stay repeated.
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name, value);
    }
    map
}

/// Who sent these, from a provider that knows at once.
fn who(provider: &Provider, headers: &HeaderMap, loopback: bool) -> Identity {
    match provider.authenticate(headers, loopback) {
        Caller::Known(identity) => identity,
        Caller::Awaited(_) => panic!("somebody else is asked"),
    }
}

fn lookup(provider: &Provider, token: &str, local: bool) -> Option<TokenInfo> {
    provider.lookup(token, local).now_or_never().unwrap().unwrap()
}

/// A token file in a directory that goes with it.
struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("tokens.toml")
    }

    fn issue(&self, new: NewToken) -> String {
        issue(&self.file(), &new).unwrap().expose().to_owned()
    }

    fn provider(&self) -> Provider {
        Provider::Tokens(Tokens::open(&self.file()).unwrap())
    }
}

fn alice() -> NewToken {
    NewToken {
        id: "u-1".to_owned(),
        name: Some("alice".to_owned()),
        project: Some("demo".to_owned()),
        roles: vec!["admin".to_owned()],
        ..NewToken::default()
    }
}

fn bearer(token: &str) -> HeaderMap {
    headers(&[("authorization", &format!("Bearer {token}"))])
}

mod credentials {
    use super::*;

    #[test]
    fn both_headers_carry_a_token() {
        for fields in [
            headers(&[("x-auth-token", "T")]),
            headers(&[("authorization", "Bearer T")]),
            headers(&[("authorization", "bEARER   T ")]),
            headers(&[("authorization", "Bearer T"), ("x-auth-token", "T")]),
            headers(&[("authorization", "Basic dTpw"), ("x-auth-token", "T")]),
        ] {
            assert_eq!(credential::find(&fields), Credential::Token(b"T"), "{fields:?}");
        }
    }

    #[test]
    fn nothing_and_other_schemes_are_no_credential() {
        for fields in [
            headers(&[]),
            headers(&[("x-auth-token", "")]),
            headers(&[("authorization", "Bearer")]),
            headers(&[("authorization", "Bearer ")]),
            headers(&[("authorization", "Basic dTpw")]),
            headers(&[("authorization", "BearerT")]),
            headers(&[("authorization", "")]),
        ] {
            assert_eq!(credential::find(&fields), Credential::Absent, "{fields:?}");
        }
    }

    #[test]
    fn different_tokens_in_one_request_are_refused() {
        for fields in [
            headers(&[("x-auth-token", "A"), ("x-auth-token", "B")]),
            headers(&[("x-auth-token", "A"), ("authorization", "Bearer B")]),
            headers(&[("authorization", "Bearer A"), ("authorization", "Bearer B")]),
        ] {
            let refused = Credential::Refused(Rejection::Ambiguous);
            assert_eq!(credential::find(&fields), refused, "{fields:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_unhashed() {
        for value in ["a b", "ü", &"a".repeat(1025)] {
            let fields = headers(&[("x-auth-token", value)]);
            let refused = Credential::Refused(Rejection::Malformed);
            assert_eq!(credential::find(&fields), refused, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_value_breaks_the_reader(value in proptest::collection::vec(any::<u8>(), 0..40), plain: bool) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                let name = if plain { "x-auth-token" } else { "authorization" };
                let mut fields = HeaderMap::new();
                fields.insert(name, value);
                if let Credential::Token(token) = credential::find(&fields) {
                    prop_assert!(!token.is_empty() && token.iter().all(u8::is_ascii_graphic));
                }
            }
        }

        #[test]
        fn every_token_is_found_as_sent(token in "[!-~]{1,64}") {
            let fields = bearer(&token);
            prop_assert_eq!(credential::find(&fields), Credential::Token(token.as_bytes()));
        }
    }
}

mod tokens {
    use super::*;

    #[test]
    fn a_token_names_its_user() {
        let fixture = Fixture::new();
        let token = fixture.issue(alice());
        let provider = fixture.provider();
        let Identity::User(user) = who(&provider, &bearer(&token), false) else { panic!("not taken") };
        assert_eq!((user.id.as_str(), user.name.as_str()), ("u-1", "alice"));
        assert_eq!(user.project.as_deref(), Some("demo"));
        assert_eq!(user.roles, ["admin"]);
        assert!(!user.unrestricted);
        let plain = headers(&[("x-auth-token", &token)]);
        assert_eq!(who(&provider, &plain, false), Identity::User(user));
    }

    #[test]
    fn other_tokens_are_rejected_and_no_token_is_anonymous() {
        let fixture = Fixture::new();
        let token = fixture.issue(alice());
        let provider = fixture.provider();
        let unknown = Identity::Rejected(Rejection::Unknown);
        assert_eq!(who(&provider, &bearer("plugbay_x"), false), unknown);
        assert_eq!(who(&provider, &bearer(&token[..token.len() - 1]), false), unknown);
        assert_eq!(who(&provider, &headers(&[]), false), Identity::Anonymous);
    }

    #[test]
    fn an_expired_token_is_rejected() {
        let fixture = Fixture::new();
        let expires = |text: &str| Some(text.parse().unwrap());
        let old = fixture.issue(NewToken { expires: expires("2020-01-01T00:00:00Z"), ..alice() });
        let new = fixture.issue(NewToken { expires: expires("2120-01-01T00:00:00Z"), ..alice() });
        let provider = fixture.provider();
        assert_eq!(who(&provider, &bearer(&old), false), Identity::Rejected(Rejection::Expired));
        assert_eq!(lookup(&provider, &new, false).unwrap().expires, Some(4_733_510_400));
        assert_eq!(lookup(&provider, &old, false), None);
    }

    #[test]
    fn a_loopback_token_is_good_on_this_machine_only() {
        let fixture = Fixture::new();
        let token = fixture.issue(NewToken { loopback_only: true, ..alice() });
        let provider = fixture.provider();
        let rejected = Identity::Rejected(Rejection::LoopbackOnly);
        let mut fields = bearer(&token);
        assert!(matches!(who(&provider, &fields, true), Identity::User(_)));
        assert_eq!(who(&provider, &fields, false), rejected);
        // Somebody else's request, brought here by a proxy on this machine.
        fields.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.1"));
        assert_eq!(who(&provider, &fields, true), rejected);
        assert!(lookup(&provider, &token, true).is_some());
        assert!(lookup(&provider, &token, false).is_none());
    }

    #[test]
    fn loopback_is_told_by_the_address() {
        let loopback = |text: &str| is_loopback(Some(text.parse().unwrap()));
        assert!(loopback("127.0.0.1") && loopback("127.9.9.9") && loopback("::1"));
        assert!(loopback("::ffff:127.0.0.1") && is_loopback(None));
        assert!(!loopback("10.0.0.1") && !loopback("::ffff:10.0.0.1") && !loopback("0.0.0.0"));
    }

    #[test]
    fn users_are_found_by_id_and_by_name() {
        let fixture = Fixture::new();
        fixture.issue(alice());
        fixture.issue(NewToken { roles: vec!["reader".to_owned()], ..alice() });
        fixture.issue(NewToken { id: "u-2".to_owned(), ..NewToken::default() });
        let provider = fixture.provider();
        let names = |users: Vec<Arc<User>>| -> Vec<String> {
            users.iter().map(|user| format!("{} {:?}", user.name, user.roles)).collect()
        };
        let ids = ["u-2", "u-9", "u-1"].map(str::to_owned);
        assert_eq!(names(provider.users_by_id(&ids).unwrap()), ["u-2 []", "alice [\"admin\"]"]);
        let asked = ["alice", "bob", "u-2"].map(str::to_owned);
        assert_eq!(names(provider.users_by_name(&asked).unwrap()), ["alice [\"admin\"]", "u-2 []"]);
    }

    #[test]
    fn without_authentication_everybody_is_the_local_user() {
        let settings = config::Auth { provider: config::Provider::None, ..config::Auth::default() };
        let provider = Provider::open(&settings).unwrap();
        let Identity::User(user) = who(&provider, &bearer("whatever"), false) else { panic!("not taken") };
        assert!(user.unrestricted);
        assert_eq!(who(&provider, &headers(&[]), false), Identity::User(user.clone()));
        assert_eq!(provider.users_by_id(&["local".to_owned(), "x".to_owned()]), Some(vec![user]));
    }
}

mod following {
    use super::*;

    fn tokens(fixture: &Fixture) -> Tokens {
        Tokens::open(&fixture.file()).unwrap()
    }

    fn good(tokens: &Tokens, token: &str) -> bool {
        tokens.check(token.as_bytes(), || false).is_ok()
    }

    #[test]
    fn the_file_is_looked_at_once_a_second_and_read_when_it_changed() {
        let fixture = Fixture::new();
        let tokens = tokens(&fixture);
        let token = fixture.issue(alice());
        tokens.follow(999);
        assert!(!good(&tokens, &token));
        tokens.follow(1000);
        assert!(good(&tokens, &token));
        fs::write(fixture.file(), "").unwrap();
        tokens.follow(1999);
        assert!(good(&tokens, &token));
        tokens.follow(2000);
        assert!(!good(&tokens, &token));
    }

    #[test]
    fn a_broken_file_leaves_the_tokens_read_before() {
        let fixture = Fixture::new();
        let token = fixture.issue(alice());
        let tokens = tokens(&fixture);
        fs::write(fixture.file(), "[[token]]\nhash = ").unwrap();
        tokens.follow(1000);
        assert!(good(&tokens, &token));
        fs::write(fixture.file(), "").unwrap();
        tokens.follow(2000);
        assert!(!good(&tokens, &token));
    }

    #[test]
    fn a_removed_file_takes_its_tokens_along() {
        let fixture = Fixture::new();
        let token = fixture.issue(alice());
        let tokens = tokens(&fixture);
        fs::remove_file(fixture.file()).unwrap();
        tokens.follow(1000);
        assert!(!good(&tokens, &token));
    }

    #[test]
    fn a_replaced_file_is_noticed_though_size_and_time_are_the_same() {
        let fixture = Fixture::new();
        let token = fixture.issue(alice());
        let tokens = tokens(&fixture);
        let time = fs::metadata(fixture.file()).unwrap().modified().unwrap();
        let text = fs::read_to_string(fixture.file()).unwrap();
        let (_, digits) = text.split_once("sha256:").unwrap();
        let text = text.replace(&digits[..64], &"0".repeat(64));
        let aside = fixture.dir.path().join("aside");
        fs::write(&aside, text).unwrap();
        fs::File::options().write(true).open(&aside).unwrap().set_modified(time).unwrap();
        fs::rename(&aside, fixture.file()).unwrap();
        tokens.follow(1000);
        assert!(!good(&tokens, &token));
    }
}

mod file {
    use super::*;

    fn wrong(text: &str) -> String {
        token_file::parse(text, Path::new("t")).unwrap_err().to_string()
    }

    fn entry(hash: char, rest: &str) -> String {
        format!("[[token]]\nhash = \"sha256:{}\"\n{rest}\n", hash.to_string().repeat(64))
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let hash = "t:1: hash has to be sha256: and 64 hex digits";
        assert!(wrong("[[token]]\nhash = \"plain\"\nid = \"a\"").starts_with(hash));
        assert!(wrong("[[token]]\nhash = \"sha256:12\"\nid = \"a\"").starts_with(hash));
        assert!(wrong(&entry('a', "")).starts_with("t:1: missing field `id`"));
        assert!(wrong(&entry('a', "id = \"\"")).starts_with("t:1: id and name"));
        assert!(wrong(&entry('a', "id = \"a\"\nrole = [\"x\"]")).starts_with("t:4: unknown field `role`"));
        let local = entry('a', "id = \"a\"\nexpires = 2027-01-01");
        assert!(wrong(&local).starts_with("t:1: expires has to be"));
        let twice = entry('a', "id = \"a\"") + &entry('a', "id = \"b\"");
        assert_eq!(wrong(&twice), "t:4: this hash stands in the file already");
    }

    #[test]
    fn a_wrong_value_is_not_repeated() {
        let message = wrong("[[token]]\nhash = 5\nid = \"a\"\nroles = \"secret\"");
        assert_eq!(message, "t:2: a value of the wrong type");
        assert!(!wrong("[[token]]\nhash = \"secret\"\nid = \"a\"").contains("secret"));
    }

    #[test]
    fn ids_and_names_go_together_one_to_one() {
        let first = entry('a', "id = \"a\"\nname = \"n\"");
        assert!(wrong(&(first.clone() + &entry('b', "id = \"a\"\nname = \"m\""))).starts_with("t:5: another token"));
        assert!(wrong(&(first.clone() + &entry('b', "id = \"b\"\nname = \"n\""))).starts_with("t:5: another token"));
        let text = first + &entry('b', "id = \"a\"\nname = \"n\"");
        assert_eq!(token_file::parse(&text, Path::new("t")).unwrap().len(), 2);
    }

    #[test]
    fn a_new_file_is_private_and_holds_no_token() {
        let fixture = Fixture::new();
        let token = fixture.issue(alice());
        let text = fs::read_to_string(fixture.file()).unwrap();
        assert!(!text.contains(&token) && text.contains("sha256:"));
        assert_eq!(fs::metadata(fixture.file()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(fixture.dir.path()).unwrap().count(), 1);
        assert_eq!(token.len(), "plugbay_".len() + 43);
    }

    #[test]
    fn adding_keeps_comments_mode_and_links() {
        let fixture = Fixture::new();
        let target = fixture.dir.path().join("target.toml");
        fs::write(&target, "# ours").unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&target, fixture.file()).unwrap();
        fixture.issue(alice());
        assert!(fs::read_to_string(&target).unwrap().starts_with("# ours\n\n[[token]]\n"));
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(fixture.file()).unwrap().is_symlink());
    }

    #[test]
    fn a_broken_file_and_a_bad_entry_change_nothing() {
        let fixture = Fixture::new();
        fs::write(fixture.file(), "[[token]").unwrap();
        assert!(issue(&fixture.file(), &alice()).is_err());
        assert_eq!(fs::read_to_string(fixture.file()).unwrap(), "[[token]");
        fs::write(fixture.file(), "").unwrap();
        assert!(issue(&fixture.file(), &NewToken::default()).is_err());
        assert_eq!(fs::read_to_string(fixture.file()).unwrap(), "");
    }

    #[test]
    fn of_many_who_add_at_once_none_is_lost() {
        let fixture = Fixture::new();
        std::thread::scope(|scope| {
            for at in 0..8 {
                let fixture = &fixture;
                let id = format!("u-{at}");
                scope.spawn(move || fixture.issue(NewToken { id, ..NewToken::default() }));
            }
        });
        assert_eq!(token_file::read(&fixture.file()).unwrap().unwrap().len(), 8);
    }

    #[test]
    fn a_file_everybody_may_write_is_refused() {
        let fixture = Fixture::new();
        fs::write(fixture.file(), "").unwrap();
        fs::set_permissions(fixture.file(), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(Tokens::open(&fixture.file()), Err(TokenFileError::Writable(_))));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            let _ = token_file::parse(&text, Path::new("t"));
        }

        #[test]
        fn what_is_added_is_read_back(id in "[^\\p{Cc}]{1,20}", role in any::<String>()) {
            let fixture = Fixture::new();
            fixture.issue(NewToken { id: id.clone(), roles: vec![role.clone()], ..NewToken::default() });
            let entries = token_file::read(&fixture.file()).unwrap().unwrap();
            prop_assert_eq!(&entries[0].id, &id);
            prop_assert_eq!(&entries[0].roles[0], &role);
        }
    }
}

mod access {
    use super::*;
    use crate::routing::Access;
    use std::collections::BTreeMap;

    fn user(roles: &[&str], unrestricted: bool) -> Identity {
        Identity::User(Arc::new(User {
            id: "u".to_owned(),
            name: "u".to_owned(),
            project: None,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            extra: Vec::new(),
            unrestricted,
        }))
    }

    fn rules(overrides: &[(&str, &[&str])]) -> Result<Rules, AccessError> {
        let own = |roles: &[&str]| roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>();
        let overrides: BTreeMap<_, _> =
            overrides.iter().map(|(rule, roles)| ((*rule).to_owned(), own(roles))).collect();
        Rules::new([("write".to_owned(), own(&["admin", "member"]))], &overrides)
    }

    #[test]
    fn the_table_of_decisions() {
        use Decision::{Allow, Forbidden, Unauthenticated};
        let rules = rules(&[]).unwrap();
        let write = Access::RoleRule("write".to_owned());
        let callers = [
            Identity::Anonymous,
            Identity::Rejected(Rejection::Unknown),
            user(&["reader"], false),
            user(&["reader", "member"], false),
            user(&[], true),
        ];
        for (access, expected) in [
            (Access::Open, [Allow; 5]),
            (Access::Plugin, [Allow; 5]),
            (Access::Authenticated, [Unauthenticated, Unauthenticated, Allow, Allow, Allow]),
            (write, [Unauthenticated, Unauthenticated, Forbidden, Allow, Allow]),
            (
                Access::RoleRule("unheard-of".to_owned()),
                [Unauthenticated, Unauthenticated, Forbidden, Forbidden, Forbidden],
            ),
        ] {
            let decided = callers.each_ref().map(|caller| rules.decide(&access, caller));
            assert_eq!(decided, expected, "{access:?}");
        }
    }

    #[test]
    fn whoever_cannot_be_verified_comes_in_only_where_everybody_does() {
        let unverified = Identity::Unverified(Unverified::Away);
        let rules = rules(&[("write", &["member"])]).unwrap();
        for (access, expected) in [
            (Access::Open, Decision::Allow),
            (Access::Plugin, Decision::Allow),
            (Access::Authenticated, Decision::Unverified),
            (Access::RoleRule("write".to_owned()), Decision::Unverified),
        ] {
            assert_eq!(rules.decide(&access, &unverified), expected, "{access:?}");
        }
    }

    #[test]
    fn the_operators_roles_replace_the_plugins() {
        let rules = rules(&[("write", &["ops"])]).unwrap();
        let write = Access::RoleRule("write".to_owned());
        assert_eq!(rules.decide(&write, &user(&["member"], false)), Decision::Forbidden);
        assert_eq!(rules.decide(&write, &user(&["ops"], false)), Decision::Allow);
    }

    #[test]
    fn roles_for_a_rule_that_is_not_there_are_an_error() {
        let error = rules(&[("wirte", &["ops"])]).unwrap_err().to_string();
        assert!(error.contains("`wirte`") && error.ends_with("it has: write"), "{error}");
    }

    #[test]
    fn a_rejected_credential_is_told_so_in_the_challenge() {
        let provider = Fixture::new().provider();
        assert_eq!(provider.challenge(&Identity::Anonymous), "Bearer realm=\"plugbay\"");
        let rejected = provider.challenge(&Identity::Rejected(Rejection::Expired));
        assert_eq!(rejected, "Bearer realm=\"plugbay\", error=\"invalid_token\"");
    }
}

mod rate {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn taken(limit: &RateLimit, now: u64, tries: usize) -> usize {
        (0..tries).filter(|_| limit.take_at(now)).count()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let limit = RateLimit::new(10, 20);
        assert_eq!(taken(&limit, 0, 100), 20);
        assert_eq!(taken(&limit, SECOND / 10, 100), 1);
        assert_eq!(taken(&limit, SECOND, 100), 9);
        assert_eq!(taken(&limit, 60 * SECOND, 100), 20);
    }

    #[test]
    fn a_rate_of_nothing_lets_nothing_through() {
        assert!(!RateLimit::new(0, 5).take());
        assert!(RateLimit::new(1, 0).take());
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_rate_allow(rate in 1u32..1000, burst in 1u32..1000, steps in proptest::collection::vec(0..SECOND, 1..200)) {
            let limit = RateLimit::new(rate, burst);
            let mut now = 0;
            let mut count = 0;
            for step in steps {
                now += step;
                count += taken(&limit, now, 50) as u128;
            }
            let refilled = u128::from(now) * u128::from(rate) / u128::from(SECOND);
            prop_assert!(count <= u128::from(burst) + refilled + 1);
        }
    }
}
