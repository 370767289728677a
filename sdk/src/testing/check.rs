//! What a host refuses at load: checks of the descriptor, all faults at once.

use std::collections::BTreeSet;

use crate::contract::{Access, Descriptor, Surface};
use crate::params::names;

/// Every fault, in words; empty if there is none.
pub(super) fn faults(descriptor: &Descriptor) -> Vec<String> {
    let mut faults = Vec::new();
    if descriptor.surfaces.is_empty() {
        faults.push("the plugin has no surface".to_owned());
    }
    let mut surfaces = BTreeSet::new();
    for surface in &descriptor.surfaces {
        if !surfaces.insert(&surface.name) {
            faults.push(format!("there are two surfaces named `{}`", surface.name));
        }
        check_surface(descriptor, surface, &mut faults);
    }
    for periodic in &descriptor.periodic {
        if periodic.every == 0 {
            faults.push(format!("the job `{}` is to run every 0 seconds", periodic.name));
        }
    }
    faults
}

fn check_surface(descriptor: &Descriptor, surface: &Surface, faults: &mut Vec<String>) {
    let mut shapes = BTreeSet::new();
    for route in &surface.routes {
        let told = format!("{} {}", route.method, route.path);
        if !is_token(&route.method) {
            faults.push(format!("`{told}`: the method is no token"));
        }
        if let Some(fault) = template_fault(&route.path) {
            faults.push(format!("`{told}`: {fault}"));
        }
        if !shapes.insert((&route.method, shape(&route.path))) {
            faults.push(format!("`{told}`: another route has the same method and path"));
        }
        if let Access::RoleRule(rule) = &route.access
            && !descriptor.rules.iter().any(|known| known.name == *rule)
        {
            faults.push(format!("`{told}`: there is no rule `{rule}`; declare it with `access_rule`"));
        }
    }
}

fn template_fault(template: &str) -> Option<String> {
    let Some(body) = template.strip_prefix('/') else { return Some("the path does not start with `/`".to_owned()) };
    let segments: Vec<&str> = body.split('/').collect();
    for (position, segment) in segments.iter().enumerate() {
        let inner = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        if inner.unwrap_or(segment).contains(['{', '}']) {
            return Some(format!("in `{segment}` the braces do not enclose the whole segment"));
        }
        if inner.is_some_and(|inner| inner.starts_with('*')) && position + 1 < segments.len() {
            return Some(format!("`{segment}` is not the last segment"));
        }
        if inner.is_some_and(|inner| inner.trim_start_matches('*').is_empty()) {
            return Some(format!("`{segment}` has no name"));
        }
    }
    let mut known = BTreeSet::new();
    names(template).find(|name| !known.insert(*name)).map(|name| format!("the parameter `{name}` occurs twice"))
}

/// The template with its parameters' names left out.
fn shape(template: &str) -> String {
    let segments = template.split('/').map(|segment| match segment {
        rest if rest.starts_with("{*") => "{*}",
        parameter if parameter.starts_with('{') => "{}",
        literal => literal,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Whether this may be a method or a header name (RFC 9110, section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
