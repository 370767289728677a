//! Header fields by which programs behind OpenStack's own middleware know callers.
//!
//! The middleware sets them; a client that sets them itself wants to be taken for somebody else. Plugins get callers as
//! a record, and these fields not at all.

use http::{HeaderMap, HeaderName};

/// Every field that `keystonemiddleware` 13.0 sets.
const FIELDS: [&str; 32] = [
    "x-identity-status",
    "x-user-id",
    "x-user-name",
    "x-user-domain-id",
    "x-user-domain-name",
    "x-project-id",
    "x-project-name",
    "x-project-domain-id",
    "x-project-domain-name",
    "x-domain-id",
    "x-domain-name",
    "x-roles",
    "x-is-admin-project",
    "x-service-identity-status",
    "x-service-user-id",
    "x-service-user-name",
    "x-service-user-domain-id",
    "x-service-user-domain-name",
    "x-service-project-id",
    "x-service-project-name",
    "x-service-project-domain-id",
    "x-service-project-domain-name",
    "x-service-domain-id",
    "x-service-domain-name",
    "x-service-roles",
    "x-service-catalog",
    "openstack-system-scope",
    "x-user",
    "x-role",
    "x-tenant",
    "x-tenant-id",
    "x-tenant-name",
];

/// Take them away, also where they are spelt with `_`, which some programs take for `-`.
pub(super) fn strip(headers: &mut HeaderMap) {
    let folded = |name: &&HeaderName| {
        let name = name.as_str();
        name.contains('_') && FIELDS.contains(&name.replace('_', "-").as_str())
    };
    let other: Vec<HeaderName> = headers.keys().filter(folded).cloned().collect();
    for field in other {
        headers.remove(field);
    }
    for field in FIELDS {
        headers.remove(field);
    }
}
