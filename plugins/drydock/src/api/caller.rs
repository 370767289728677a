//! Who is calling, and what they may do.
//!
//! The host validates tokens; identity headers of clients are looked at by nobody, so they cannot be forged. The operator
//! says which roles satisfy a rule.

use plugbay_sdk::{Caller, Plugin, User, identity};

use super::Call;
use super::refusal::Refusal;
use crate::fault::Broken;
use crate::store::ids;
use crate::task::action::POSTED;

/// Roles that satisfy every rule unless the operator says otherwise.
const ADMIN: &[&str] = &["admin"];

pub(super) const READ_TASK: &str = "physical_provisioner:read_task";
pub(super) const CREATE_TASK: &str = "physical_provisioner:create_task";
pub(super) const DELETE_TASKS: &str = "physical_provisioner:delete_tasks";
pub(super) const READ_BUILD_DATA: &str = "physical_provisioner:read_build_data";
pub(super) const READ_DATA: &str = "physical_provisioner:read_data";
pub(super) const INGEST_DATA: &str = "physical_provisioner:ingest_data";
pub(super) const HEALTH_DATA: &str = "physical_provisioner:health_data";
pub(super) const VALIDATE_SITE_DESIGN: &str = "physical_provisioner:validate_site_design";

/// Declare every rule.
pub(super) fn rules(plugin: Plugin) -> Plugin {
    let own = [
        "admin_required",
        READ_TASK,
        CREATE_TASK,
        DELETE_TASKS,
        READ_BUILD_DATA,
        READ_DATA,
        INGEST_DATA,
        HEALTH_DATA,
        VALIDATE_SITE_DESIGN,
    ];
    let of_actions = POSTED.iter().map(|(_, _, rule)| *rule);
    own.into_iter().chain(of_actions).fold(plugin, |plugin, rule| plugin.access_rule(rule, ADMIN))
}

/// The caller, if it is a user whom the rule lets in: else 401, or 403.
pub(super) fn admit<'a>(call: &Call<'a>, rule: &str) -> Result<&'a User, Refusal> {
    let user = match &call.request.caller {
        Caller::User(user) => user,
        Caller::Anonymous | Caller::Rejected(_) => {
            return Err(Refusal::error(401, "Unauthenticated").header("www-authenticate", challenge(call)?));
        }
        Caller::Unverified(_) => {
            let refusal = Refusal::error(503, "The identity service cannot be asked now").retry();
            return Err(refusal.header("retry-after", "5".to_owned()));
        }
    };
    allow(rule).map(|()| user)
}

/// Where to log in. Where no Keystone looks at tokens, clients of Drydock still expect one to be named.
fn challenge(call: &Call<'_>) -> Result<String, Refusal> {
    let challenge = identity::challenge().map_err(Broken::from)?;
    let named = challenge.starts_with("Keystone ");
    Ok(if named { challenge } else { format!("Keystone uri=\"{}\"", call.settings.identity_url) })
}

/// 403 unless the rule lets the caller in.
pub(super) fn allow(rule: &str) -> Result<(), Refusal> {
    if identity::allowed(rule).map_err(Broken::from)? { Ok(()) } else { Err(Refusal::error(403, "Forbidden")) }
}

/// Log who stands behind the request, and by which name they find it again.
pub(super) fn note(call: &Call<'_>) {
    let marker = call.request.header_text("x-context-marker").filter(|marker| ids::is_uuid4(marker));
    let end_user =
        call.request.header_text("x-end-user").or_else(|| call.request.user().map(|user| user.name.as_str()));
    if marker.is_some() || end_user.is_some() {
        let (marker, end_user) = (marker.unwrap_or("-"), end_user.unwrap_or("-"));
        plugbay_sdk::debug!("{} {} context={marker} end-user={end_user:?}", call.request.method, call.request.path);
    }
}
