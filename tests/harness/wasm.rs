//! Components to load, and changes made to them.

/// The bytes of a built component: a plugin, an example or a guest of the tests.
pub fn component(name: &str) -> Vec<u8> {
    let target = crate::target();
    let candidates = ["plugins", "guests"].map(|folder| target.join(folder).join(format!("{name}.wasm")));
    let found = candidates.iter().find_map(|path| std::fs::read(path).ok());
    found.unwrap_or_else(|| panic!("{name}.wasm is not built: run `cargo xtask build` (looked at {candidates:?})"))
}

/// The guest `trouble` with this schema and label in its marker.
pub fn marked(schema: u32, label: u32) -> Vec<u8> {
    let mut wasm = component("trouble");
    let marker = b"schema=001 label=001";
    let start = wasm.windows(marker.len()).position(|window| window == marker).expect("the guest has its marker");
    let changed = format!("schema={schema:03} label={label:03}");
    wasm[start..start + marker.len()].copy_from_slice(changed.as_bytes());
    wasm
}

/// The same component with one more custom section: other bytes, same behaviour.
pub fn with_section(wasm: &[u8], content: &[u8]) -> Vec<u8> {
    let name = b"test";
    let mut section = vec![u8::try_from(name.len()).unwrap()];
    section.extend_from_slice(name);
    section.extend_from_slice(content);
    assert!(section.len() < 128, "one byte of length is enough here");
    let mut changed = wasm.to_vec();
    changed.extend_from_slice(&[0, u8::try_from(section.len()).unwrap()]);
    changed.extend(section);
    changed
}
