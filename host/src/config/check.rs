//! What a file of the right shape can still have wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use tracing_subscriber::EnvFilter;

use super::auth::{Auth, Provider};
use super::error::{Problems, hint};
use super::listener::{Bind, ClientAuth, HttpLimits, Listener};
use super::locate::KeyPath;
use super::plugin::{Mount, PluginConfig};
use super::resolve::is_name;
use super::sections::AdminBind;
use super::{Config, DEFAULT_AUTH, DEFAULT_LISTENER, NO_AUTH};
use crate::outbound::{OutboundConfig, Target};
use crate::secret::Given;

/// Interfaces a plugin has only if the operator grants them.
const GRANTED: [&str; 6] = ["filesystem", "http-client", "process", "secrets", "system", "udp"];
/// Interfaces every plugin has.
const GIVEN: [&str; 9] = ["blobs", "clocks", "config", "crypto", "identity", "jobs", "kv", "log", "random"];

/// The longest path that fits a socket address of the system, which ends in a NUL.
const SOCKET_PATH: usize = 107;

/// Checks that need to know what was written and what is a default.
pub(super) fn written(config: &Config, problems: &mut Problems) {
    for (name, auth) in &config.auth {
        let key = KeyPath::top("auth").key(name);
        let default = Auth::default();
        // Which keys were written, and the only provider that looks at them.
        let keys = [
            ("file", Provider::Tokens, auth.file != default.file),
            ("anyone_on_the_network_may_call", Provider::None, auth.anyone_on_the_network_may_call),
            ("url", Provider::Keystone, auth.url != default.url),
            ("public_url", Provider::Keystone, auth.public_url != default.public_url),
            ("user", Provider::Keystone, auth.user != default.user),
            ("user_domain", Provider::Keystone, auth.user_domain != default.user_domain),
            ("project", Provider::Keystone, auth.project != default.project),
            ("project_domain", Provider::Keystone, auth.project_domain != default.project_domain),
            ("password_file", Provider::Keystone, auth.password_file != default.password_file),
            ("ca", Provider::Keystone, auth.ca != default.ca),
            ("deadline", Provider::Keystone, auth.deadline != default.deadline),
            ("validations", Provider::Keystone, auth.validations != default.validations),
            ("cache", Provider::Keystone, auth.cache != default.cache),
        ];
        for (written, of, _) in keys.into_iter().filter(|(_, of, written)| *written && *of != auth.provider) {
            problems.add(key.key(written), format!("has a meaning with provider `{of}` only"));
        }
        if auth.provider == Provider::Keystone {
            keystone(auth, &key, problems);
        }
        if name == NO_AUTH && auth.provider != Provider::None {
            let message = "the table called `none` stands for no authentication; give this one another name";
            problems.add(key.key("provider"), message);
        }
    }
}

fn keystone(auth: &Auth, key: &KeyPath, problems: &mut Problems) {
    let needed = [
        ("url", auth.url.is_empty(), "the URL of its version 3, such as https://keystone.example.org:5000/v3"),
        ("user", auth.user.is_empty(), "the service account that validates tokens"),
        ("project", auth.project.is_empty(), "the project that the service account logs in to, such as service"),
        ("password_file", auth.password_file.as_os_str().is_empty(), "the file of the service account's password"),
    ];
    for (name, _, what) in needed.into_iter().filter(|(_, missing, _)| *missing) {
        problems.add(key.key(name), format!("provider `keystone` needs it: {what}"));
    }
    for (name, url) in [("url", Some(&auth.url)), ("public_url", auth.public_url.as_ref())] {
        let Some(url) = url.filter(|url| !url.is_empty()) else { continue };
        match Target::parse(url) {
            Err(error) => problems.add(key.key(name), error),
            Ok(_) if url.contains(['?', '#', '"']) || !url.trim_end_matches('/').ends_with("/v3") => {
                let message = "has to be the URL of version 3, such as https://keystone.example.org:5000/v3";
                problems.add(key.key(name), message);
            }
            Ok(_) => {}
        }
    }
    positive(u64::from(auth.validations), &key.key("validations"), problems);
    positive(u64::from(auth.cache.entries), &key.key("cache").key("entries"), problems);
}

/// Everything else.
pub(super) fn resolved(config: &Config, problems: &mut Problems) {
    for name in config.auth.keys() {
        check_name(name, &KeyPath::top("auth").key(name), problems);
    }
    host(config, problems);
    listeners(config, problems);
    let mut places = BTreeMap::new();
    for (name, plugin) in &config.plugin {
        let key = KeyPath::top("plugin").key(name);
        check_name(name, &key, problems);
        limits(config, plugin, &key, problems);
        interfaces(config, plugin, &key, problems);
        for (at, mount) in plugin.mounts().iter().enumerate() {
            let key = key.key("mounts").index(at);
            mount_names(config, mount, &key, problems);
            let place = (&mount.listener, &mount.host, &mount.path);
            if plugin.enabled
                && let Some(other) = places.insert(place, &plugin.name)
            {
                let message = format!("plugin `{other}` is mounted at the same listener, host and path");
                problems.add(key.key("path"), message);
            }
        }
    }
    let defaults = config.listeners.iter().filter(|listener| listener.name == DEFAULT_LISTENER);
    for listener in defaults {
        if exposed(config, listener, DEFAULT_AUTH) {
            let message = format!("plugins dropped into the folder would {}", words(DEFAULT_AUTH, listener));
            problems.add(KeyPath::top("auth").key(DEFAULT_AUTH).key("provider"), message);
        }
    }
}

fn check_name(name: &str, key: &KeyPath, problems: &mut Problems) {
    if !is_name(name) {
        let message = "a name is 1 to 64 letters, digits, `-`, `_` and `.`, and starts with a letter or digit";
        problems.add(key.clone(), message);
    }
}

fn host(config: &Config, problems: &mut Problems) {
    for (at, source) in config.plugins.keys.iter().enumerate() {
        if let Err(error) = source.read() {
            problems.add(KeyPath::top("plugins").key("keys").index(at), error);
        }
    }
    if let Err(error) = EnvFilter::try_new(&config.log.filter) {
        problems.add(KeyPath::top("log").key("filter"), error);
    }
    let request_id = &config.server.request_id;
    if http::HeaderName::from_bytes(request_id.as_bytes()).is_err() {
        let message = format!("`{request_id}` cannot be the name of a header field");
        problems.add(KeyPath::top("server").key("request_id"), message);
    }
    let instances = KeyPath::top("instances");
    positive(u64::from(config.instances.slots), &instances.key("slots"), problems);
    positive(config.instances.stack.get(), &instances.key("stack"), problems);
    socket_path(&config.admin.socket, &KeyPath::top("admin").key("socket"), problems);
}

fn listeners(config: &Config, problems: &mut Problems) {
    let mut names = BTreeSet::new();
    let mut binds = BTreeSet::from([Bind::Unix(config.admin.socket.clone())]);
    if let AdminBind::Tcp(address) = config.admin.bind
        && takes_port(address)
    {
        binds.insert(Bind::Tcp(address));
    }
    for (at, listener) in config.listeners.iter().enumerate() {
        let key = KeyPath::top("listener").index(at);
        check_name(&listener.name, &key.key("name"), problems);
        if !names.insert(&listener.name) {
            let message = format!("another listener is called `{}`", listener.name);
            problems.add(key.key("name"), message);
        }
        let fixed = match &listener.bind {
            Bind::Tcp(address) => takes_port(*address),
            Bind::Unix(path) => {
                socket_path(path, &key.key("bind"), problems);
                true
            }
        };
        if fixed && !binds.insert(listener.bind.clone()) {
            let message = format!("another listener, or the admin one, has {}", listener.bind);
            problems.add(key.key("bind"), message);
        }
        tls(listener, &key.key("tls"), problems);
        http_limits(&listener.limits, &key.key("limits"), problems);
    }
}

fn takes_port(address: SocketAddr) -> bool {
    address.port() != 0
}

fn socket_path(path: &Path, key: &KeyPath, problems: &mut Problems) {
    let length = path.as_os_str().len();
    if length > SOCKET_PATH {
        let message = format!(
            "{} has {length} bytes, and the system allows {SOCKET_PATH} for a socket; choose a shorter path",
            path.display()
        );
        problems.add(key.clone(), message);
    }
}

fn tls(listener: &Listener, key: &KeyPath, problems: &mut Problems) {
    let Some(tls) = &listener.tls else { return };
    match (tls.client_auth, &tls.client_ca) {
        (ClientAuth::Required, None) => {
            let message = "client_auth = \"required\" needs client_ca, the authorities that sign clients";
            problems.add(key.key("client_ca"), message);
        }
        (ClientAuth::None | ClientAuth::OptionalAny, Some(_)) => {
            let message = "is looked at with client_auth = \"required\" only";
            problems.add(key.key("client_ca"), message);
        }
        _ => {}
    }
}

fn http_limits(limits: &HttpLimits, key: &KeyPath, problems: &mut Problems) {
    positive(u64::from(limits.max_headers), &key.key("max_headers"), problems);
    positive(u64::from(limits.max_connections), &key.key("max_connections"), problems);
    positive(u64::from(limits.max_streams), &key.key("max_streams"), problems);
    // The HTTP library wants room for at least one read.
    if limits.max_header_bytes.get() < 8192 {
        problems.add(key.key("max_header_bytes"), "less than 8KiB, which ordinary clients need");
    }
}

fn positive(value: u64, key: &KeyPath, problems: &mut Problems) {
    if value == 0 {
        problems.add(key.clone(), "has to be more than 0");
    }
}

fn limits(config: &Config, plugin: &PluginConfig, key: &KeyPath, problems: &mut Problems) {
    positive(u64::from(plugin.reuse.requests), &key.key("reuse").key("requests"), problems);
    let limits = &plugin.limits;
    let key = key.key("limits");
    positive(limits.memory.get(), &key.key("memory"), problems);
    positive(u64::from(limits.concurrency), &key.key("concurrency"), problems);
    positive(u64::from(limits.job_concurrency), &key.key("job_concurrency"), problems);
    positive(u64::from(limits.job_attempts), &key.key("job_attempts"), problems);
    let most = config.instances.max_memory;
    if limits.memory > most {
        let message = format!("{} is more than instances.max_memory, {most}", limits.memory);
        problems.add(key.key("memory"), message);
    }
    if limits.body > limits.memory {
        let message = format!("{} is more than the plugin's whole memory, {}", limits.body, limits.memory);
        problems.add(key.key("body"), message);
    }
    let slots = config.instances.slots;
    if limits.concurrency > slots {
        let message = format!("{} is more than instances.slots, {slots}", limits.concurrency);
        problems.add(key.key("concurrency"), message);
    }
}

fn interfaces(config: &Config, plugin: &PluginConfig, key: &KeyPath, problems: &mut Problems) {
    for (list, names) in [("grants", &plugin.grants), ("deny", &plugin.deny)] {
        for (at, name) in names.iter().enumerate() {
            if !GRANTED.contains(&name.as_str()) && !GIVEN.contains(&name.as_str()) {
                let message = format!("no interface `{name}`{}", hint(name, GRANTED.into_iter().chain(GIVEN)));
                problems.add(key.key(list).index(at), message);
            }
            if list == "deny" && plugin.grants.contains(name) {
                problems.add(key.key(list).index(at), format!("`{name}` is granted too; keep one of them"));
            }
        }
    }
    for (name, program) in &plugin.programs {
        if !program.path.is_absolute() {
            problems.add(key.key("programs").key(name).key("path"), "write an absolute path");
        }
    }
    let unused = [
        ("process", "programs", plugin.programs.is_empty()),
        ("udp", "udp", plugin.udp.is_empty()),
        ("http-client", "outbound", plugin.outbound == OutboundConfig::default()),
        ("secrets", "secrets", plugin.secrets.is_empty()),
    ];
    for (name, given) in &plugin.secrets {
        if let Given::Keystone { auth, .. } = given
            && config.auth.get(auth).is_none_or(|auth| auth.provider != Provider::Keystone)
        {
            let message = format!("no table [auth.{auth}] with provider `keystone`");
            problems.add(key.key("secrets").key(name).key("auth"), message);
        }
    }
    for (interface, list, _) in unused.iter().filter(|(interface, _, empty)| !empty && !plugin.grants(interface)) {
        problems.add(key.key(list), format!("has a meaning with \"{interface}\" among the grants only"));
    }
}

fn mount_names(config: &Config, mount: &Mount, key: &KeyPath, problems: &mut Problems) {
    if mount.surface == "operator" {
        let message = "the surface `operator` is reached through the admin socket and has no mount";
        problems.add(key.key("surface"), message);
    }
    if let Some(host) = &mount.host
        && !is_host(host)
    {
        let message = format!("`{host}` is no host name in lower case without port");
        problems.add(key.key("host"), message);
    }
    let listeners = || config.listeners.iter().map(|listener| listener.name.as_str());
    let listener = config.listeners.iter().find(|listener| listener.name == mount.listener);
    if listener.is_none() {
        let message = format!("no listener `{}`{}", mount.listener, hint(&mount.listener, listeners()));
        problems.add(key.key("listener"), message);
    }
    if !config.auth.contains_key(&mount.auth) {
        let names = config.auth.keys().map(String::as_str);
        let message = format!("no table [auth.{}]{}", mount.auth, hint(&mount.auth, names));
        problems.add(key.key("auth"), message);
    }
    if let Some(listener) = listener
        && exposed(config, listener, &mount.auth)
    {
        problems.add(key.key("auth"), format!("would {}", words(&mount.auth, listener)));
    }
}

/// A name or address as it stands in a `Host` header, without the port.
fn is_host(host: &str) -> bool {
    let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(part),
    }
}

/// Whether this table lets strangers in on this listener without the words that say so.
fn exposed(config: &Config, listener: &Listener, auth: &str) -> bool {
    config.auth.get(auth).is_some_and(|auth| {
        auth.provider == Provider::None && !auth.anyone_on_the_network_may_call && listener.open_to_strangers()
    })
}

fn words(auth: &str, listener: &Listener) -> String {
    format!(
        "obey everybody who reaches {}; choose another provider, or put \
         anyone_on_the_network_may_call = true into [auth.{auth}]",
        listener.bind
    )
}
