//! Tests of the configuration: shapes, defaults, and the words for what is wrong.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

const DIR: &str = "/etc/plugbay";

fn read(text: &str) -> Config {
    Config::parse(text, Path::new(DIR)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// The problems as `line key: message`.
fn problems(text: &str) -> Vec<String> {
    let problems = Config::parse(text, Path::new(DIR)).expect_err("a configuration with a problem");
    problems
        .iter()
        .map(|problem| format!("{} {}: {}", problem.line.unwrap_or_default(), problem.key, problem.message))
        .collect()
}

#[track_caller]
fn refuses(text: &str, start: &str) {
    let problems = problems(text);
    assert!(problems.iter().any(|problem| problem.starts_with(start)), "{start}\n{problems:#?}");
}

mod reference {
    use super::*;

    #[test]
    fn reference_changes_nothing() {
        let mut written = read(Config::reference());
        let defaults = Config::default_in(Path::new(DIR));
        assert_eq!(written.plugin("example"), defaults.plugin("example"));
        written.plugin.clear();
        assert_eq!(written, defaults);
    }

    /// The commented-out table.
    fn table() -> &'static str {
        let (_, rest) = Config::reference().split_once("\n#[").unwrap();
        rest.split_once("\n\n").unwrap().0
    }

    #[test]
    fn the_commented_table_is_a_good_one() {
        let text = format!("[{}", table().replace("\n#", "\n"));
        assert!(text.lines().count() > 10, "{text}");
        let config = read(&text);
        let public_url = Some("https://cloud.example.org/identity/v3".to_owned());
        let written = config.auth.get("cloud").unwrap();
        let defaults = Auth { provider: Provider::Keystone, ..Auth::default() };
        assert_eq!(
            (written.deadline, written.validations, &written.cache, &written.user_domain, &written.public_url),
            (defaults.deadline, defaults.validations, &defaults.cache, &defaults.user_domain, &public_url)
        );
    }

    /// The other commented-out lines, each in place of nothing.
    fn uncommented() -> Vec<String> {
        let text = Config::reference().replace(table(), "");
        let lines: Vec<&str> = text.lines().collect();
        let commented = lines.iter().enumerate().filter(|(_, line)| {
            line.strip_prefix('#').is_some_and(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        });
        let replaced = commented.map(|(at, line)| {
            let key = line[1..].split('=').next().unwrap_or_default();
            let without = lines.iter().enumerate().filter(|(_, other)| !other.starts_with(key));
            without
                .map(|(other, text)| if other == at { text[1..].to_owned() } else { (*text).to_owned() })
                .collect::<Vec<_>>()
                .join("\n")
        });
        replaced.collect()
    }

    #[test]
    fn commented_lines_are_good_ones() {
        let texts = uncommented();
        assert_eq!(texts.len(), 8);
        for text in texts {
            read(&text.replace("\ngrants = []", "\ngrants = [\"process\", \"udp\", \"secrets\", \"http-client\"]"));
        }
    }

    #[test]
    fn every_key_is_in_the_reference() {
        // An unknown key is answered with the known ones; ask in every table.
        for table in [
            "",
            "store",
            "blobs",
            "plugins",
            "auth.dev",
            "[listener]",
            "listener.limits",
            "admin",
            "log",
            "server",
            "instances",
            "plugin.example",
            "plugin.example.reuse",
            "plugin.example.limits",
            "plugin.example.breaker",
            "plugin.example.outbound",
            "plugin.example.outbound.limits",
        ] {
            let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
            let header = if table == "listener.limits" { format!("[[listener]]\n{header}") } else { header };
            let found = problems(&format!("{header}zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz = 1"));
            let (_, known) = found[0].split_once("known are ").unwrap_or_else(|| panic!("{found:?}"));
            for key in known.split('`').skip(1).step_by(2) {
                let named = [
                    format!("\n{key} = "),
                    format!("\n#{key} = "),
                    format!("\n#{key}."),
                    format!("[{key}"),
                    format!("[[{key}"),
                    format!(".{key}]"),
                ];
                assert!(
                    named.iter().any(|text| Config::reference().contains(text)),
                    "{key} of [{table}] is not in the reference"
                );
            }
        }
    }
}

mod shape {
    use super::*;

    #[test]
    fn no_text_is_the_default() {
        assert_eq!(read(""), Config::default_in(Path::new(DIR)));
    }

    #[test]
    fn unknown_keys_are_errors_with_key_line_and_the_nearest_name() {
        assert_eq!(
            problems("data_dir = \"d\"\n\n[[listener]]\nname = \"a\"\nbnd = \"127.0.0.1:1\""),
            ["5 listener[0].bnd: unknown key `bnd`; did you mean `bind`?"]
        );
        refuses(
            "[plugin.p.limits]\nmemroy = 1",
            "2 plugin.p.limits.memroy: unknown key `memroy`; did you mean `memory`?",
        );
        refuses("[stor]", "1 stor: unknown key `stor`; did you mean `store`?");
        refuses("[plugin.a]\n[plugin.b]\nmounts = [{}, { pth = \"/\" }]", "3 plugin.b.mounts[1].pth: unknown key");
    }

    #[test]
    fn wrong_values_name_key_and_line() {
        refuses("\n[store]\nengine = \"sledd\"", "3 store.engine: unknown value `sledd`; did you mean `sled`?");
        refuses("[log]\nfilter = 3", "2 log.filter: invalid type: integer `3`, expected a string");
        refuses("[[listener]]\n[[listener]]\ntls = { key = \"a\" }", "3 listener[1].tls: missing field `cert`");
        refuses("[[listener]]\nlimits.max_headers = -1", "2 listener[0].limits.max_headers: invalid value");
    }

    #[test]
    fn text_that_is_no_toml_names_the_line() {
        refuses("a = 1\nb = ", "2 ");
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let text = "[plugin.a]\ngrants = [\"sytem\"]\n[plugin.b.limits]\nconcurrency = 0";
        assert_eq!(
            problems(text),
            [
                "2 plugin.a.grants[0]: no interface `sytem`; did you mean `system`?",
                "4 plugin.b.limits.concurrency: has to be more than 0",
            ]
        );
    }

    #[test]
    fn errors_display_as_file_line_key_and_message() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plugbay.toml");
        std::fs::write(&file, "\n[store]\ncache = \"much\"\n").unwrap();
        let error = Config::load(&file).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{}:3: store.cache: invalid value: string \"much\", expected a size such as \"64MiB\", \
                 \"1GB\" or a number of bytes",
                file.display()
            )
        );
        let missing = Config::load(&dir.path().join("none.toml")).unwrap_err();
        assert!(matches!(missing, ConfigError::Read { .. }));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            let _ = Config::parse(&text, Path::new(DIR));
        }

        #[test]
        fn no_change_of_one_line_breaks_the_reader(at in 0usize..130, line in "[a-z.\\[\\]=\"{}0-9# ]{0,20}") {
            let mut lines: Vec<&str> = Config::reference().lines().collect();
            if let Some(place) = lines.get_mut(at) {
                *place = &line;
            }
            if let Err(problems) = Config::parse(&lines.join("\n"), Path::new(DIR)) {
                prop_assert!(!problems.is_empty());
            }
        }
    }
}

mod units {
    use super::*;

    fn size(value: &str) -> Result<u64, Vec<Problem>> {
        let text = format!("[store]\ncache = {value}");
        Config::parse(&text, Path::new(DIR)).map(|config| config.store.cache.get())
    }

    fn period(value: &str) -> Result<std::time::Duration, Vec<Problem>> {
        let text = format!("[server]\ndrain = {value}");
        Config::parse(&text, Path::new(DIR)).map(|config| config.server.drain.get())
    }

    #[test]
    fn sizes_are_numbers_or_have_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("\"4096\"", 4096),
            ("\"64MiB\"", 64 << 20),
            ("\"64 MiB\"", 64 << 20),
            ("\"1GB\"", 1_000_000_000),
            ("\"1.5KiB\"", 1536),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["-1", "1.5", "\"\"", "\"-1\"", "\"1 parsec\"", "\"MiB\"", "\"99999999EiB\"", "\"1e400B\"", "true"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn periods_have_a_unit_and_are_neither_zero_nor_endless() {
        for (text, millis) in [("\"500ms\"", 500), ("\"30s\"", 30_000), ("\"5m\"", 300_000), ("\"1h 30m\"", 5_400_000)]
        {
            assert_eq!(period(text), Ok(std::time::Duration::from_millis(millis)), "{text}");
        }
        for text in ["30", "0", "\"30\"", "\"0s\"", "\"-5s\"", "\"5s ago\"", "\"99999999999h\"", "\"400000h\"", "\"\""]
        {
            assert!(period(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn sizes_read_back_what_was_meant(bytes in 0..=i64::MAX.unsigned_abs()) {
            prop_assert_eq!(size(&format!("\"{bytes}B\"")), Ok(bytes));
            prop_assert_eq!(size(&bytes.to_string()), Ok(bytes));
        }

        #[test]
        fn periods_read_back_what_is_displayed(millis in 1..31_000_000_000u64) {
            let written = format!("\"{}\"", Period::millis(millis));
            prop_assert_eq!(period(&written), Ok(std::time::Duration::from_millis(millis)));
        }

        #[test]
        fn no_text_breaks_sizes_and_periods(text in "[ -!#-\\[\\]-~]{0,24}") {
            let _ = (size(&format!("\"{text}\"")), period(&format!("\"{text}\"")));
        }
    }
}

#[test]
fn a_plugin_behind_client_certificates_with_programs_of_its_own() {
    let config = read(
        r#"
        [[listener]]
        name = "appliance"
        bind = "0.0.0.0:9443"
        tls = { cert = "s.pem", key = "s.key", client_auth = "required", client_ca = "c.pem" }

        [plugin.balancer]
        mounts = [{ listener = "appliance", path = "/", auth = "none" }]
        limits = { memory = "32MiB", deadline = "10s", concurrency = 16 }
        grants = ["process", "system", "udp", "filesystem"]
        programs.haproxy = { path = "/usr/sbin/haproxy" }
        roles = { operate = ["admin"] }
        config = { heartbeat = "127.0.0.1:5555" }
        "#,
    );
    let plugin = config.plugin("balancer");
    assert_eq!(plugin.limits.concurrency, 16);
    assert_eq!(plugin.limits.queue, Limits::default().queue);
    assert_eq!(plugin.programs["haproxy"].path, Path::new("/usr/sbin/haproxy"));
    assert_eq!(plugin.roles["operate"], ["admin"]);
    assert_eq!(plugin.config["heartbeat"], "127.0.0.1:5555");
}

mod paths {
    use super::*;

    #[test]
    fn relative_paths_start_at_the_file() {
        let config = read(
            "data_dir = \"d\"\n[blobs]\nurl = \"file:b\"\n[auth.x]\nfile = \"t.toml\"\n\
             [[listener]]\nbind = \"unix:s.sock\"\ntls = { cert = \"c\", key = \"/k\" }\n\
             [admin]\nsocket = \"a.sock\"",
        );
        let here = |name: &str| Path::new(DIR).join(name);
        assert_eq!(config.data_dir, here("d"));
        assert_eq!(config.plugins_dir, here("plugins.d"));
        assert_eq!(config.blobs.url, BlobUrl::File(here("b")));
        assert_eq!(config.auth["x"].file, here("t.toml"));
        assert_eq!(config.auth["dev"].file, here("d/tokens.toml"));
        assert_eq!(config.admin.socket, here("a.sock"));
        assert_eq!(config.listeners[0].bind, Bind::Unix(here("s.sock")));
        let tls = config.listeners[0].tls.as_ref().unwrap();
        assert_eq!((tls.cert.clone(), tls.key.clone()), (here("c"), Some(PathBuf::from("/k"))));
    }

    #[test]
    fn a_file_url_is_a_directory() {
        for (url, path) in [("file:/b", "/b"), ("file:///b", "/b"), ("file:b", "/etc/plugbay/b")] {
            let config = read(&format!("[blobs]\nurl = \"{url}\""));
            assert_eq!(config.blobs.url, BlobUrl::File(path.into()));
        }
        for url in ["s3://bucket", "b", "file:", "file://host/b"] {
            refuses(&format!("[blobs]\nurl = \"{url}\""), "2 blobs.url: ");
        }
    }

    #[test]
    fn load_starts_at_the_directory_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("plugbay.toml");
        std::fs::write(&file, "").unwrap();
        assert_eq!(Config::load(&file).unwrap(), Config::default_in(dir.path()));
    }
}

mod plugins {
    use super::*;

    #[test]
    fn a_plugin_without_a_table_is_served_below_its_name() {
        let plugin = read("").plugin("images");
        let mount = Mount { path: "/images".to_owned(), ..Mount::default() };
        assert_eq!(plugin.mounts(), [mount]);
        assert_eq!(plugin.file, Path::new("/etc/plugbay/plugins.d/images.wasm"));
    }

    #[test]
    fn without_a_listener_called_default_nothing_is_mounted_unasked() {
        let config = read("[[listener]]\nname = \"mtls\"\n[plugin.a]");
        assert!(config.plugin("images").mounts().is_empty());
        assert!(config.plugin("a").mounts().is_empty());
    }

    #[test]
    fn a_file_belongs_to_the_tables_that_name_it() {
        let config =
            read("[plugin.a]\nfile = \"shared.wasm\"\n[plugin.b]\nfile = \"shared.wasm\"\n[plugin.c]\nenabled = false");
        let of = |name: &str| -> Vec<String> {
            let file = config.plugins_dir.join(name);
            config.plugins_of(&file).into_iter().map(|plugin| plugin.name).collect()
        };
        assert_eq!(of("shared.wasm"), ["a", "b"]);
        assert_eq!(of("free.wasm"), ["free"]);
        // A table by that name that names another file, and one that is disabled.
        assert_eq!(of("a.wasm"), [""; 0]);
        assert_eq!(of("c.wasm"), [""; 0]);
        assert_eq!(of(".hidden.wasm"), [""; 0]);
        assert_eq!(of("notes.txt"), [""; 0]);
        let configured: Vec<&str> = config.configured().map(|plugin| plugin.name.as_str()).collect();
        assert_eq!(configured, ["a", "b"]);
    }

    #[test]
    fn prefixes_have_one_form() {
        for (written, path) in [("/", ""), ("/a", "/a"), ("/a/", "/a"), ("/a/b-1.0/", "/a/b-1.0")] {
            let config = read(&format!("[plugin.p]\nmounts = [{{ path = \"{written}\" }}]"));
            assert_eq!(config.plugin("p").mounts()[0].path, path);
        }
        for written in ["", "a", "//", "/a//b", "/a//", "/..", "/a/./b", "/{id}", "/a%20b", "/a?b", "/ü"] {
            refuses(&format!("[plugin.p]\nmounts = [{{ path = \"{written}\" }}]"), "2 plugin.p.mounts[0].path: ");
        }
    }

    #[test]
    fn mounts_name_what_exists() {
        let text = "[plugin.p]\nmounts = [\n  { listener = \"defualt\" },\n  { auth = \"ldap\", path = \"/a\" },\n  { surface = \"operator\", path = \"/b\" },\n  { host = \"A.org:80\" },\n  { public_url = \"ftp://a\" },\n]";
        refuses(text, "7 plugin.p.mounts[4].public_url: `ftp://a` is no base URL");
        let text = text.replace("ftp://a", "https://a.org/x/");
        refuses(&text, "3 plugin.p.mounts[0].listener: no listener `defualt`; did you mean `default`?");
        refuses(&text, "4 plugin.p.mounts[1].auth: no table [auth.ldap]");
        refuses(&text, "5 plugin.p.mounts[2].surface: ");
        refuses(&text, "6 plugin.p.mounts[3].host: ");
    }

    #[test]
    fn two_plugins_at_one_place_are_refused_unless_one_is_disabled() {
        let text = "[plugin.a]\nmounts = [{ path = \"/x\" }]\n[plugin.b]\nmounts = [{ path = \"/x/\" }]";
        refuses(text, "4 plugin.b.mounts[0].path: plugin `a` is mounted");
        read(&format!("{text}\nenabled = false"));
    }

    #[test]
    fn settings_become_json() {
        let config = read("[plugin.p.config]\na = 1\nb = [true, 1.5]\nc.d = 2027-01-01T00:00:00Z");
        let json = serde_json::to_value(config.plugin("p").config).unwrap();
        assert_eq!(json, serde_json::json!({ "a": 1, "b": [true, 1.5], "c": { "d": "2027-01-01T00:00:00Z" } }));
        refuses("[plugin.p]\nconfig = { a = nan }", "2 plugin.p.config");
    }

    #[test]
    fn limits_fit_each_other() {
        refuses("[plugin.p]\nlimits.memory = \"2GiB\"", "2 plugin.p.limits.memory: ");
        refuses("[plugin.p]\nlimits.concurrency = 513", "2 plugin.p.limits.concurrency: ");
        refuses("[plugin.p]\nlimits.body = \"65MiB\"", "2 plugin.p.limits.body: ");
        assert_eq!(read("").plugin("p").reuse_memory(), Size::mib(32));
    }

    #[test]
    fn grants_and_denials_name_interfaces_and_do_not_contradict() {
        refuses("[plugin.p]\ngrants = [\"udp\"]\ndeny = [\"udp\"]", "3 plugin.p.deny[0]: `udp` is granted too");
        refuses("[plugin.p]\ndeny = [\"telepathy\"]", "2 plugin.p.deny[0]: no interface `telepathy`; known are");
        refuses("[plugin.p]\nprograms.x = { path = \"haproxy\" }", "2 plugin.p.programs.x.path: ");
        refuses(
            "[plugin.p]\nprograms.x = { path = \"/bin/sh\" }",
            "2 plugin.p.programs: has a meaning with \"process\"",
        );
        refuses(
            "[plugin.p]\noutbound.allow = [\"https://a.example\"]",
            "2 plugin.p.outbound: has a meaning with \"http-client\"",
        );
        refuses("[plugin.p]\nudp = [\"192.0.2.1:1\"]", "2 plugin.p.udp: has a meaning with \"udp\"");
        refuses("[plugin.p]\ngrants = [\"udp\"]\nudp = [\"localhost:1\"]", "3 plugin.p.udp");
        read("[plugin.p]\ngrants = [\"udp\"]\nudp = [\"127.0.0.1:5555\"]");
        read("[plugin.p]\ngrants = [\"udp\"]\ndeny = [\"process\"]");
    }

    #[test]
    fn names_are_safe_in_paths() {
        refuses("[plugin.\"../x\"]", "1 plugin.../x: a name is");
        assert!(is_name("a.b-c_1") && !is_name("") && !is_name(".a") && !is_name("a/b") && !is_name(&"a".repeat(65)));
    }
}

mod listeners {
    use super::*;

    #[test]
    fn names_and_sockets_are_told_apart() {
        refuses("[[listener]]\n[[listener]]\nbind = \"127.0.0.1:1\"", "2 listener[1].name: another listener is called");
        refuses("[[listener]]\n[[listener]]\nname = \"b\"", "2 listener[1].bind: another listener");
        refuses("[[listener]]\nbind = \"127.0.0.1:9080\"", "2 listener[0].bind: another listener, or the admin one");
        refuses(
            "[[listener]]\nbind = \"unix:data/admin.sock\"",
            "2 listener[0].bind: another listener, or the admin one",
        );
        read("[[listener]]\nbind = \"127.0.0.1:0\"\n[[listener]]\nname = \"b\"\nbind = \"127.0.0.1:0\"");
    }

    #[test]
    fn addresses_are_addresses() {
        for bind in ["localhost:80", "127.0.0.1", ":80", "unix:", ""] {
            refuses(&format!("[[listener]]\nbind = \"{bind}\""), "2 listener[0].bind: ");
        }
        refuses(&format!("[[listener]]\nbind = \"unix:/{}\"", "a".repeat(107)), "2 listener[0].bind: ");
        read(&format!("[[listener]]\nbind = \"unix:/{}\"", "a".repeat(106)));
    }

    #[test]
    fn client_certificates_and_their_authorities_go_together() {
        let tls = |rest: &str| format!("[[listener]]\ntls = {{ cert = \"c\", key = \"k\", {rest} }}");
        refuses(&tls("client_auth = \"required\""), "2 listener[0].tls.client_ca: ");
        refuses(&tls("client_ca = \"a\""), "2 listener[0].tls.client_ca: ");
        refuses(&tls("client_auth = \"optional-any\", client_ca = \"a\""), "2 listener[0].tls.client_ca: ");
        refuses(&tls("client_auth = \"optional\""), "2 listener[0].tls.client_auth: ");
        refuses(&tls("min_version = \"1.1\""), "2 listener[0].tls.min_version: ");
        read(&tls("client_auth = \"required\", client_ca = \"a\", min_version = \"1.3\""));
    }

    #[test]
    fn the_admin_listener_stays_on_this_machine() {
        refuses("[admin]\nbind = \"0.0.0.0:9080\"", "2 admin.bind: not a loopback address");
        assert_eq!(read("[admin]\nbind = \"off\"").admin.bind, AdminBind::Off);
    }

    #[test]
    fn limits_leave_room_to_work() {
        refuses("[[listener]]\nlimits.max_header_bytes = 100", "2 listener[0].limits.max_header_bytes: ");
        refuses("[[listener]]\nlimits.max_streams = 0", "2 listener[0].limits.max_streams: ");
    }
}

mod openness {
    use super::*;

    const OPEN: &str = "[[listener]]\nbind = \"0.0.0.0:80\"\n";
    const MOUNT: &str = "[plugin.p]\nmounts = [{ auth = \"none\" }]\n";
    const WORDS: &str = "[auth.none]\nprovider = \"none\"\nanyone_on_the_network_may_call = true\n";

    #[test]
    fn no_authentication_for_strangers_takes_words() {
        refuses(&format!("{OPEN}{MOUNT}"), "4 plugin.p.mounts[0].auth: would obey everybody");
        read(&format!("{OPEN}{MOUNT}{WORDS}"));
    }

    #[test]
    fn neighbours_on_this_machine_and_certified_clients_are_no_strangers() {
        read(MOUNT);
        read(&format!("[[listener]]\nbind = \"unix:s\"\n{MOUNT}"));
        let tls = "tls = { cert = \"c\", key = \"k\", client_auth = \"required\", client_ca = \"a\" }\n";
        read(&format!("{OPEN}{tls}{MOUNT}"));
        let optional = tls.replace("required", "optional-any").replace(", client_ca = \"a\"", "");
        refuses(&format!("{OPEN}{optional}{MOUNT}"), "5 plugin.p.mounts[0].auth: would obey everybody");
    }

    #[test]
    fn plugins_yet_to_come_are_not_opened_either() {
        refuses(
            &format!("{OPEN}[auth.dev]\nprovider = \"none\""),
            "4 auth.dev.provider: plugins dropped into the folder would obey everybody",
        );
    }

    #[test]
    fn providers_that_are_not_there_yet_say_so() {
        refuses("[auth.k]\nprovider = \"client-cert\"", "2 auth.k.provider: provider `client-cert` is not served yet");
        refuses(
            "[auth.k]\nprovider = \"token\"",
            "2 auth.k.provider: unknown provider `token`; did you mean `tokens`?",
        );
    }

    #[test]
    fn keys_of_the_other_provider_are_errors() {
        refuses("[auth.k]\nprovider = \"none\"\nfile = \"t\"", "3 auth.k.file: ");
        refuses("[auth.k]\nanyone_on_the_network_may_call = true", "2 auth.k.anyone_on_the_network_may_call: ");
        refuses("[auth.none]\nprovider = \"tokens\"", "2 auth.none.provider: ");
        refuses("[auth.k]\nuser = \"u\"", "2 auth.k.user: has a meaning with provider `keystone` only");
        refuses(
            "[auth.k]\nprovider = \"none\"\ncache.good = \"1s\"",
            "3 auth.k.cache: has a meaning with provider `keystone` only",
        );
    }

    const KEYSTONE: &str = "[auth.k]\nprovider = \"keystone\"\nurl = \"https://k.test:5000/v3/\"\nuser = \"plugbay\"\n\
                            project = \"service\"\npassword_file = \"k.password\"\n";

    #[test]
    fn a_keystone_has_a_url_an_account_and_a_password() {
        let config = read(&format!("{KEYSTONE}ca = \"k.pem\"\ncache = {{ entries = 5, bad = \"1s\" }}"));
        let keystone = config.auth.get("k").unwrap();
        assert_eq!(keystone.url, "https://k.test:5000/v3");
        assert_eq!(keystone.password_file, Path::new("/etc/plugbay/k.password"));
        assert_eq!(keystone.ca.as_deref(), Some(Path::new("/etc/plugbay/k.pem")));
        assert_eq!((keystone.cache.entries, keystone.cache.good), (5, Period::secs(60)));
        refuses("[auth.k]\nprovider = \"keystone\"", "1 auth.k.url: provider `keystone` needs it");
        refuses("[auth.k]\nprovider = \"keystone\"", "1 auth.k.password_file: provider `keystone` needs it");
        for wrong in
            ["k.test", "ftp://k.test/v3", "https://u:p@k.test/v3", "https://k.test/v2.0", "https://k.test/v3?a"]
        {
            refuses(&KEYSTONE.replace("https://k.test:5000/v3/", wrong), "3 auth.k.url: ");
        }
        refuses(&format!("{KEYSTONE}public_url = \"https://k.test\""), "7 auth.k.public_url: ");
        refuses(&format!("{KEYSTONE}validations = 0"), "7 auth.k.validations: ");
    }

    #[test]
    fn a_secret_that_is_a_service_token_names_a_keystone() {
        let secret = |auth: &str| {
            format!(
                "{KEYSTONE}[plugin.p]\ngrants = [\"secrets\"]\nsecrets.s = {{ kind = \"keystone\", auth = \"{auth}\", \
                 destinations = [\"http://d.test\"] }}\n"
            )
        };
        read(&secret("k"));
        refuses(&secret("dev"), "9 plugin.p.secrets.s.auth: no table [auth.dev] with provider `keystone`");
    }
}

mod keys {
    use super::*;

    const RAW: &str = "1SnGWPgVsAqRzHqCFqGgDmjXmL5NzRBx0hxh/Kl8h3s=";

    fn key_file(text: &str) -> Result<[u8; 32], KeyError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.pub");
        std::fs::write(&file, text).unwrap();
        KeySource::from(file.display().to_string()).read()
    }

    #[test]
    fn keys_stand_in_the_configuration_or_in_files() {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::STANDARD;
        let key: [u8; 32] = engine.decode(RAW).unwrap().try_into().unwrap();
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend_from_slice(&key);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", engine.encode(der));
        assert_eq!(KeySource::from(RAW.to_owned()).read().unwrap(), key);
        assert_eq!(key_file(&format!("{RAW}\n")).unwrap(), key);
        assert_eq!(key_file(&pem).unwrap(), key);
        assert!(matches!(key_file("something else"), Err(KeyError::Form(_))));
    }

    #[test]
    fn a_key_that_cannot_be_read_is_a_problem_of_its_line() {
        refuses(
            "[plugins]\nkeys = [\n  \"missing.pub\",\n]",
            "3 plugins.keys[0]: cannot read /etc/plugbay/missing.pub",
        );
    }
}
