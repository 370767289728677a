//! What the operator decided: the plugin's `config` table.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use plugbay_sdk::config;
use serde::Deserialize;

use crate::{
    fault::Fault,
    model::templates::{Flavor, Image},
};

/// The `config` table. Every key has a default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What runs the machines.
    pub backend: Backend,
    /// How QEMU runs them.
    pub qemu: Qemu,
    /// Who sees whose entities.
    pub space: SpaceRule,
    /// What machines boot from.
    pub images: Vec<Image>,
    /// The service that has more of that; none: no other.
    pub glance: Option<Glance>,
    /// Sizes beside the standard ones.
    pub flavors: Vec<Flavor>,
    /// Most entities of one page.
    pub page_limit: usize,
    /// Most bytes of a data object that come in one CDMI document.
    pub cdmi_value_limit: usize,
    /// Where CDMI is mounted, for storage that is a container: a URL, or a path below the server's root.
    pub cdmi: String,
}

/// What runs the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Nothing does: states change as if.
    Embedded,
    /// QEMU, through the programs that the operator lists.
    Qemu,
}

/// Who sees whose entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpaceRule {
    /// Each project has a name space of its own; so has each user without one.
    Project,
    /// All callers have one name space.
    Shared,
}

/// A service of images: Glance, or Plankton in its flavour.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Glance {
    /// Its URL, which ends in the version of the API: `/v1` or `/v2`.
    pub url: String,
    /// Name of the operator's secret that is shown there; none: no credential.
    #[serde(default)]
    pub credential: Option<String>,
    /// Seconds between two looks at its list.
    #[serde(default = "Glance::refresh")]
    pub refresh: u64,
    /// Most images that are seen.
    #[serde(default = "Glance::most_images")]
    pub most_images: usize,
    /// Most of an image, in GiB.
    #[serde(default = "Glance::most_size")]
    pub most_size: f64,
}

impl Glance {
    fn refresh() -> u64 {
        300
    }

    fn most_images() -> usize {
        1_000
    }

    fn most_size() -> f64 {
        2.0
    }
}

/// How QEMU runs machines.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Qemu {
    /// QEMU's type of machine, with its version: a hibernated machine needs the one it was made with.
    pub machine: String,
    /// What executes the guests' code.
    pub accelerator: Accelerator,
    /// QEMU's name of the processor that machines with 64 bits have.
    pub processor: String,
    /// Folder below the plugin's directory whose `.qcow2`, `.raw` and `.img` files are images.
    pub images: String,
    /// Most cores of a machine.
    pub most_cores: u64,
    /// Most memory of a machine, in GiB.
    pub most_memory: f64,
    /// Most disk of a machine, and of a storage, in GiB.
    pub most_disk: f64,
    /// Seconds that a guest has to power itself off when it is asked to.
    pub patience: u64,
    /// Bridges of the operator, by the label of the networks that they are.
    pub bridges: BTreeMap<String, String>,
    /// What connects a machine to a bridge.
    pub bridge_helper: String,
    /// What networks without a bridge lead to.
    pub user_network: UserNetwork,
}

/// What executes the guests' code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// QEMU itself.
    Tcg,
    /// The processor; `/dev/kvm` is to be among what the program may write.
    Kvm,
}

/// What QEMU's own network leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserNetwork {
    /// An address for the guest, and nothing else.
    Isolated,
    /// Whatever the program reaches, the host's loopback addresses among it. Give the program a network namespace.
    Open,
}

impl Default for Qemu {
    fn default() -> Qemu {
        Qemu {
            machine: "pc-i440fx-7.2".to_owned(),
            accelerator: Accelerator::Tcg,
            processor: "qemu64".to_owned(),
            images: "images".to_owned(),
            most_cores: 4,
            most_memory: 8.0,
            most_disk: 64.0,
            patience: 60,
            bridges: BTreeMap::new(),
            bridge_helper: "/usr/lib/qemu/qemu-bridge-helper".to_owned(),
            user_network: UserNetwork::Isolated,
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        let flavor = |name: &str, cores, memory, disk| Flavor { name: name.to_owned(), cores, memory, disk };
        Settings {
            backend: Backend::Embedded,
            qemu: Qemu::default(),
            space: SpaceRule::Project,
            images: vec![Image::empty("empty", "An empty disk")],
            glance: None,
            flavors: vec![flavor("m1.tiny", 1, 0.5, 0.0), flavor("m1.small", 1, 2.0, 20.0)],
            page_limit: 1_000,
            cdmi_value_limit: 1 << 20,
            cdmi: "/cdmi".to_owned(),
        }
    }
}

thread_local! {
    /// As they were last read, with their text.
    static READ: RefCell<Option<(String, Rc<Settings>)>> = const { RefCell::new(None) };
}

impl Settings {
    /// The settings as they are now. What is wrong with them is logged for the operator.
    ///
    /// # Errors
    /// 500 if they do not read.
    pub fn load() -> Result<Rc<Settings>, Fault> {
        let text = config::all();
        let known =
            READ.with_borrow(|read| read.as_ref().filter(|(of, _)| *of == text).map(|(_, read)| Rc::clone(read)));
        if let Some(known) = known {
            return Ok(known);
        }
        let read: Rc<Settings> = Rc::new(config::load().map_err(Fault::internal)?);
        READ.set(Some((text, Rc::clone(&read))));
        Ok(read)
    }
}
