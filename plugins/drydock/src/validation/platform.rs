//! Rules about operating systems and management controllers.

use super::{Context, Findings, Offer, of_node};
use crate::design::Node;

/// DD1008: the number of huge pages and their size come together.
pub(super) fn hugepages(context: &Context<'_>, findings: &mut Findings) {
    for node in &context.site.nodes {
        let has = |name: &str| node.kernel_params.contains_key(name);
        if has("hugepages") != has("hugepagesz") {
            let text = format!("node {} has one of hugepages and hugepagesz without the other", node.name);
            findings.error(of_node(node), text);
        }
    }
}

/// DD3001: images and kernels are offered.
pub(super) fn selection(context: &Context<'_>, findings: &mut Findings) {
    let images = match context.offer {
        Offer::Any => return,
        Offer::Unknown(why) => {
            return findings.warn([], format!("the node provisioner cannot be asked for its images: {why}"));
        }
        Offer::Images(images) => images,
    };
    for node in &context.site.nodes {
        let image = node.image.as_deref().unwrap_or_default();
        match images.get(image) {
            None => findings.error(of_node(node), format!("image {image:?} of node {} is not offered", node.name)),
            Some(kernels) => {
                if let Some(kernel) = node.kernel.as_ref().filter(|kernel| !kernels.contains(kernel)) {
                    let text = format!("kernel {kernel} of node {} is not offered for image {image}", node.name);
                    findings.error(of_node(node), text);
                }
            }
        }
    }
}

/// DD4001: what IPMI needs is there.
pub(super) fn ipmi(context: &Context<'_>, findings: &mut Findings) {
    for node in of_type(context, "ipmi") {
        for parameter in ["account", "credential", "network"] {
            if node.oob.get(parameter).is_none_or(String::is_empty) {
                findings.error(of_node(node), format!("node {} has no oob parameter {parameter}", node.name));
            }
        }
        if let Some(network) = node.oob.get("network")
            && node.address_on(network).is_none()
        {
            findings.error(of_node(node), format!("node {} has no address on network {network}", node.name));
        }
    }
}

/// DD4002: what libvirt needs is there.
pub(super) fn libvirt(context: &Context<'_>, findings: &mut Findings) {
    for node in of_type(context, "libvirt") {
        match node.oob.get("libvirt_uri") {
            None => findings.error(of_node(node), format!("node {} has no libvirt_uri", node.name)),
            Some(uri) if !uri.starts_with("qemu+ssh://") => {
                findings.error(of_node(node), format!("the libvirt_uri of node {} is not qemu+ssh", node.name));
            }
            Some(_) => {}
        }
        if node.boot_mac.is_none() {
            findings.error(of_node(node), format!("node {} has no boot_mac", node.name));
        }
    }
}

fn of_type<'a>(context: &'a Context<'_>, kind: &'static str) -> impl Iterator<Item = &'a Node> {
    context.site.nodes.iter().filter(move |node| node.oob_type.as_deref() == Some(kind))
}
