//! Medians, ratios, and the bars beside them.

use std::collections::BTreeMap;

use super::amphora::Details;
use super::cases::Case;
use super::drydock::{NODES, Validations};
use super::idle::Idle;
use super::images::{COUNTS, Pages};
use super::objects::Objects;
use super::occi::{self, Clouds};

/// What the host is held to: one case is at least so many times another.
const BARS: [(Case, Case, f64); 6] = [
    (Case::Reused, Case::Native, 0.6),
    (Case::Reused, Case::ServeReused, 1.2),
    (Case::Fresh, Case::Native, 0.3),
    (Case::Fresh, Case::ServeFresh, 1.9),
    (Case::OneKey, Case::Native, 0.5),
    (Case::ManyCommitters, Case::OneCommitter, 5.0),
];

/// Milliseconds from start to ready with a warm cache.
const WARM_START: u128 = 300;

/// KiB of resident memory with one plugin: 60 MB.
const RESIDENT: u64 = 60_000_000 / 1024;

/// Print the tables.
pub fn print(measured: &BTreeMap<Case, Vec<f64>>, idle: &Idle) {
    let median_of = |case: Case| measured.get(&case).and_then(|rates| median(rates));
    let ratio_to = |rate: f64, case: Case| match median_of(case) {
        Some(other) => format!("{:.2}", rate / other),
        None => "-".into(),
    };
    println!("\n{:<29}{:>11}{:>22}{:>11}{:>11}", "", "req/s", "lowest..highest", "of native", "of layered");
    for (case, rates) in measured {
        let Some(rate) = median(rates) else { continue };
        let lowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = rates.iter().copied().fold(0.0, f64::max);
        let (native, layered) = (ratio_to(rate, Case::Native), ratio_to(rate, Case::Layered));
        let spread = format!("{lowest:.0}..{highest:.0}");
        println!("{:<29}{rate:>11.0}{spread:>22}{native:>11}{layered:>11}", case.name());
    }

    println!("\n{:<60}{:>10}{:>11}", "", "measured", "bar");
    for (case, other, bar) in BARS {
        let name = format!("{} / {}", case.name(), other.name());
        match (median_of(case), median_of(other)) {
            (Some(rate), Some(of)) => line(&name, &format!("{:.2}", rate / of), &format!(">= {bar}"), rate / of >= bar),
            _ => println!("{name:<60}{:>10}{:>11}  not measured", "-", format!(">= {bar}")),
        }
    }
    let warm = idle.warm.as_millis();
    line("start to ready, warm cache", &format!("{warm} ms"), &format!("<= {WARM_START} ms"), warm <= WARM_START);
    let resident = idle.warm_resident;
    let bar = format!("< {}", mebibytes(RESIDENT));
    line("idle resident memory, one plugin", &mebibytes(resident), &bar, resident < RESIDENT);
    println!("cold: ready in {} ms, {} resident", idle.cold.as_millis(), mebibytes(idle.cold_resident));
}

/// How many times as much a page may cost in the larger registry.
const PAGE_COST: f64 = 2.0;

/// Print what a page of images took.
pub fn pages(measured: &Pages) {
    let [Some(few), Some(many)] = [0, 1].map(|which| measured.rates.get(which).and_then(|rates| median(rates))) else {
        return;
    };
    println!("\n{:<60}{:>10}{:>11}", "a page of 100 images, one client", "measured", "bar");
    let [small, large] = COUNTS;
    let name = format!("cost with {large} ({many:.0}/s) / with {small} ({few:.0}/s)");
    line(&name, &format!("{:.2}", few / many), &format!("<= {PAGE_COST}"), few / many <= PAGE_COST);
}

/// KiB of memory that an object may cost the host: 64 MB.
const GROWTH: u64 = 64_000_000 / 1024;

/// What an object's way costs is held to this part of the native rate.
const OBJECT_RATE: f64 = 0.7;

/// Print what moving an object took.
pub fn objects(measured: &Objects) {
    println!("\n{:<60}{:>10}{:>11}", "1 GiB", "measured", "bar");
    let ways =
        [("up", &measured.plugin_up, &measured.native_up), ("down", &measured.plugin_down, &measured.native_down)];
    for (way, ours, theirs) in ways {
        let (Some(our), Some(their)) = (median(ours), median(theirs)) else { continue };
        let name = format!("{way}: {our:.2} s, native {their:.2} s");
        let rate = their / our;
        line(&name, &format!("{rate:.2}"), &format!(">= {OBJECT_RATE}"), rate >= OBJECT_RATE);
    }
    let bar = format!("< {}", mebibytes(GROWTH));
    line("growth of the host's memory", &mebibytes(measured.growth), &bar, measured.growth < GROWTH);
}

/// The plugin's `GET details` is this many times the agent's.
const DETAILS_RATE: f64 = 20.0;

/// Print how often details were told.
pub fn details(measured: &Details) {
    println!("\n{:<60}{:>10}{:>11}", "GET details, four clients with certificates", "measured", "bar");
    let ways =
        [("connections kept", &measured.kept, &measured.agent_kept), ("new ones", &measured.new, &measured.agent_new)];
    for (way, ours, theirs) in ways {
        let (Some(our), Some(their)) = (median(ours), median(theirs)) else { continue };
        let rate = our / their;
        let name = format!("{way}: {our:.0}/s, octavia's agent {their:.1}/s");
        line(&name, &format!("{rate:.1}"), &format!(">= {DETAILS_RATE}"), rate >= DETAILS_RATE);
    }
}

/// A page is rendered so many times as often as pyssf renders it.
const RENDERED: f64 = 10.0;

/// Print what pages of machines took.
pub fn occi(measured: &Clouds) {
    let [small, large] = occi::COUNTS;
    println!("\n{:<60}{:>10}{:>11}", format!("100 of {large} machines / of {small}: cost"), "measured", "bar");
    for (name, [few, many]) in &measured.pages {
        let (Some(few), Some(many)) = (median(few), median(many)) else { continue };
        let name = format!("{name}: {many:.0}/s, {few:.0}/s");
        line(&name, &format!("{:.2}", few / many), &format!("<= {PAGE_COST}"), few / many <= PAGE_COST);
    }
    let Some(beside) = &measured.beside else { return };
    println!("\n{:<60}{:>10}{:>11}", "a page of 100 machines, four clients", "measured", "bar");
    for (rendering, [ours, theirs]) in occi::RENDERINGS.iter().zip(beside) {
        let (Some(our), Some(their)) = (median(ours), median(theirs)) else { continue };
        let name = format!("{rendering}: {our:.0}/s, pyssf {their:.0}/s");
        line(&name, &format!("{:.1}", our / their), &format!(">= {RENDERED}"), our / their >= RENDERED);
    }
}

/// How many times as long as natively the plugin may take over a design.
const VALIDATION_COST: f64 = 3.0;

/// Print what validating a large design took.
pub fn validations(measured: &Validations) {
    let (Some(plugin), Some(native)) = (median(&measured.plugin), median(&measured.native)) else { return };
    println!("\n{:<60}{:>10}{:>11}", format!("validating a design of {NODES} nodes"), "measured", "bar");
    let name = format!("plugin, request and all: {plugin:.0} ms, native rules: {native:.0} ms");
    let cost = plugin / native;
    line(&name, &format!("{cost:.2}"), &format!("<= {VALIDATION_COST}"), cost <= VALIDATION_COST);
}

fn line(name: &str, value: &str, bar: &str, passed: bool) {
    println!("{name:<60}{value:>10}{bar:>11}  {}", if passed { "PASS" } else { "BELOW" });
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{} MiB", kibibytes.div_ceil(1024))
}

/// The one in the middle, or the mean of the two.
fn median(rates: &[f64]) -> Option<f64> {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some((sorted.get(low)? + sorted.get(high)?) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}
