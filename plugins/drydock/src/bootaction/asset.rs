//! Assets of a boot action, rendered for one node.

use super::pipeline;
use super::template::Scope;
use crate::design::bootaction::{Asset, AssetData, AssetKind, BootAction};
use crate::reference;
use crate::settings::Settings;
use crate::world::World;

/// An asset as it goes to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Where it goes.
    pub path: String,
    /// With which mode.
    pub mode: u32,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Mode of what says none.
const MODE: u32 = 0o600;

/// The assets of one kind.
///
/// # Errors
/// A sentence that says which asset cannot be rendered, and why.
pub fn render_all(
    action: &BootAction,
    kind: AssetKind,
    scope: &Scope<'_>,
    world: &World,
    settings: &Settings,
) -> Result<Vec<Rendered>, String> {
    let wanted = action.assets.iter().filter(|asset| asset.kind == kind);
    wanted.map(|asset| one(asset, scope, world, settings)).collect()
}

fn one(asset: &Asset, scope: &Scope<'_>, world: &World, settings: &Settings) -> Result<Rendered, String> {
    let path = asset.path.clone().ok_or("an asset has no path")?;
    let failed = |text: String| format!("{path}: {text}");
    let content = match (&asset.location, &asset.data) {
        (Some(location), _) => {
            let segments = asset.location_pipeline.as_deref().unwrap_or_default();
            let location = pipeline::locate(location, segments, scope).map_err(failed)?;
            reference::fetch(world, settings, &location).map_err(|error| failed(error.to_string()))?
        }
        (None, Some(AssetData::Text(text))) => text.clone().into_bytes(),
        (None, _) => return Err(failed("there is neither data nor location".to_owned())),
    };
    let segments = asset.data_pipeline.as_deref().unwrap_or_default();
    let content = pipeline::run(content, segments, scope).map_err(failed)?;
    Ok(Rendered { path, mode: asset.permissions.map_or(MODE, |permissions| permissions.0), content })
}

/// The packages of an action: names, and versions where they are given.
pub fn packages(action: &BootAction) -> Vec<(String, Option<String>)> {
    let lists = action.assets.iter().filter(|asset| asset.kind == AssetKind::PkgList);
    let of = |asset: &Asset| match &asset.data {
        Some(AssetData::Packages(packages)) => packages.clone().into_iter().collect(),
        _ => Vec::new(),
    };
    lists.flat_map(of).collect()
}
