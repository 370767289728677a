//! The operator's words about listeners, in the terms of the listener module.

use std::path::Path;

use super::listener as own;
use crate::listener as theirs;

impl theirs::ListenerConfig {
    /// `plugins` is the folder of the plugins' directories.
    pub fn configured(listener: &own::Listener, plugins: &Path) -> Self {
        let bind = match &listener.bind {
            own::Bind::Tcp(address) => theirs::Bind::Tcp(*address),
            own::Bind::Unix(path) => theirs::Bind::Unix { path: path.clone(), mode: None },
        };
        let tls = listener.tls.as_ref().map(|tls| theirs::TlsConfig {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            client_auth: match tls.client_auth {
                own::ClientAuth::None => theirs::ClientAuth::None,
                own::ClientAuth::Required => theirs::ClientAuth::Required,
                own::ClientAuth::OptionalAny => theirs::ClientAuth::OptionalAny,
            },
            client_ca: tls.client_ca.clone(),
            min_version: match tls.min_version {
                own::TlsVersion::V1_2 => theirs::TlsVersion::V1_2,
                own::TlsVersion::V1_3 => theirs::TlsVersion::V1_3,
            },
            plugins: Some(plugins.to_owned()),
        });
        let limits = &listener.limits;
        let limits = theirs::HttpLimits {
            max_header_bytes: limits.max_header_bytes.as_usize(),
            max_headers: limits.max_headers as usize,
            header_timeout: limits.header_timeout.get(),
            idle_timeout: limits.idle_timeout.get(),
            body_idle_timeout: limits.body_idle_timeout.get(),
            body_min_rate: limits.body_min_rate.get(),
            write_idle_timeout: limits.write_idle_timeout.get(),
            max_connections: limits.max_connections as usize,
            max_streams: limits.max_streams,
            ..theirs::HttpLimits::default()
        };
        Self { name: listener.name.clone(), bind, tls, limits }
    }
}
