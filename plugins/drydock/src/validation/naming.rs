//! Rules about names, boot actions and packages.

use std::collections::BTreeSet;

use super::{Context, Findings, of_node};
use crate::design::DocumentRef;
use crate::design::bootaction::{AssetData, AssetKind};

/// DD3003: names are names of hosts.
pub(super) fn host_names(context: &Context<'_>, findings: &mut Findings) {
    for node in &context.site.nodes {
        let full = format!("{}.{}", node.name, node.domain);
        if full.len() > 255 {
            findings.error(of_node(node), format!("{full} is longer than 255 characters"));
        }
        let wrong = |label: &str| {
            label.is_empty()
                || label.len() > 63
                || !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if let Some(label) = full.split('.').find(|label| wrong(label)) {
            findings.error(of_node(node), format!("{label:?} in {full} is no label of a host name"));
        }
    }
}

/// DD4001: never an error; a node in no boot action is worth a look.
pub(super) fn boot_actions(context: &Context<'_>, findings: &mut Findings) {
    let targets: BTreeSet<&str> =
        context.site.boot_actions.iter().flat_map(|action| &action.nodes).map(String::as_str).collect();
    for node in context.site.nodes.iter().filter(|node| !targets.contains(node.name.as_str())) {
        findings.warn(of_node(node), format!("node {} is in no boot action", node.name));
    }
}

/// DD4002: package lists name packages, and versions are complete.
pub(super) fn packages(context: &Context<'_>, findings: &mut Findings) {
    for targeted in &context.site.boot_actions {
        let about = || [DocumentRef::of("BootAction", &targeted.name)];
        for asset in targeted.action.assets.iter().filter(|asset| asset.kind == AssetKind::PkgList) {
            let packages = match &asset.data {
                Some(AssetData::Packages(packages)) if !packages.is_empty() => packages,
                _ => {
                    findings.error(about(), format!("boot action {} has an empty package list", targeted.name));
                    continue;
                }
            };
            for (package, version) in packages {
                if let Some(version) = version.as_ref().filter(|version| !is_debian_version(version)) {
                    let text = format!("{version:?} of package {package} is not a Debian version with a revision");
                    findings.error(about(), text);
                }
            }
        }
    }
}

/// `[epoch:]upstream-revision`, see deb-version(7).
fn is_debian_version(text: &str) -> bool {
    let (epoch, rest) = text.split_once(':').map_or((None, text), |(epoch, rest)| (Some(epoch), rest));
    let Some((upstream, revision)) = rest.rsplit_once('-') else { return false };
    let allowed = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|at| at.is_ascii_alphanumeric() || more.contains(at))
    };
    epoch.is_none_or(|epoch| !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()))
        && upstream.starts_with(|first: char| first.is_ascii_digit())
        && allowed(upstream, ".+-~:")
        && allowed(revision, ".+~")
}
