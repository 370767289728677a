//! Compiled components, kept in a private directory.
//!
//! The key is the SHA-256 of the component and the engine's own compatibility hash (version, target,
//! settings), so a changed file, host or flag misses. Artifacts are machine code that is trusted when
//! loaded: the directory has mode 0700 and is never one that plugins arrive in. Files are written
//! aside and renamed, because they are mapped into memory when used.

use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::Digest;

/// Artifacts kept; beyond that the ones used longest ago go.
const KEEP: usize = 64;

/// The cache in one directory.
#[derive(Debug, Clone)]
pub struct CompileCache {
    directory: PathBuf,
}

impl CompileCache {
    /// The cache in `directory`, made if need be.
    pub fn open(directory: PathBuf) -> std::io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700))?;
        Ok(Self { directory })
    }

    /// The component of these bytes, compiled now or taken from the cache; true if it was there.
    ///
    /// Blocks for as long as compiling takes. Only WebAssembly is taken, never precompiled code.
    pub fn component(&self, engine: &Engine, digest: &Digest, wasm: &[u8]) -> wasmtime::Result<(Component, bool)> {
        let path = self.path(engine, digest);
        if let Some(component) = load(engine, &path) {
            return Ok((component, true));
        }
        let component = Component::from_binary(engine, wasm)?;
        if let Err(error) = self.save(&path, &component) {
            tracing::warn!(%error, "a compiled plugin could not be kept: it will be compiled again");
        }
        Ok((component, false))
    }

    fn path(&self, engine: &Engine, digest: &Digest) -> PathBuf {
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.directory.join(format!("{digest}-{:016x}.compiled", hasher.finish()))
    }

    fn save(&self, path: &Path, component: &Component) -> wasmtime::Result<()> {
        // Two plugins made of the same component may be compiled at once.
        let aside = path.with_extension(format!("{:016x}.part", getrandom::u64().unwrap_or_default()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        let written = component.serialize().and_then(|code| Ok(file.write_all(&code)?));
        let kept = written.and_then(|()| Ok(file.sync_all()?)).and_then(|()| Ok(std::fs::rename(&aside, path)?));
        if kept.is_err() {
            let _ = std::fs::remove_file(&aside);
        }
        self.evict();
        kept
    }

    fn evict(&self) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        let mut files: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort_unstable();
        let excess = files.len().saturating_sub(KEEP);
        for (_, path) in files.into_iter().take(excess) {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[expect(unsafe_code, reason = "artifacts in the private directory were written by this host alone")]
fn load(engine: &Engine, path: &Path) -> Option<Component> {
    let file = std::fs::File::open(path).ok()?;
    // Marks the artifact as used, for eviction.
    let _ = file.set_modified(SystemTime::now());
    // SAFETY: only `save` writes here, into a directory that no other user can enter, and never over
    // a file that exists; wasmtime checks version and settings itself.
    match unsafe { Component::deserialize_file(engine, path) } {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "a compiled plugin does not load: compiling again");
            let _ = std::fs::remove_file(path);
            None
        }
    }
}
