//! What a guest is given at its first start: keys, user data and its name, on a disk that cloud-init knows.
//!
//! cloud-init's NoCloud source reads the files `meta-data` and `user-data` of a volume called `cidata`. The volume is ISO
//! 9660 (ECMA-119) without extensions: Linux shows the names of such volumes in small letters and without versions.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::disk::{self, Disks};
use crate::{
    entity::Entity,
    model::openstack::{OLD_USERDATA, USERDATA},
    provider::Failure,
};

const SECTOR: usize = 2048;

/// Attributes with a public key.
const KEYS: [&str; 2] = ["occi.credentials.ssh.publickey", "org.openstack.credentials.publickey.data"];

/// Sectors of the volume's parts; the first 16 are the system's.
const VOLUME: u32 = 16;
const END: u32 = 17;
const TABLE_LITTLE: u32 = 18;
const TABLE_BIG: u32 = 19;
const ROOT: u32 = 20;
const FILES: u32 = 21;

/// Write the volume of a machine. Whether it has one.
///
/// # Errors
/// If it cannot be written.
pub fn write(disks: &Disks<'_>, machine: &Entity) -> Result<bool, Failure> {
    let data = user_data(machine);
    let key = KEYS.iter().find_map(|name| machine.text(name));
    if data.is_none() && key.is_none() {
        return Ok(false);
    }
    let meta = meta_data(machine, key);
    let volume = volume(&[("META-DATA.;1", meta.as_bytes()), ("USER-DATA.;1", &data.unwrap_or_default())]);
    disks.write(&format!("{}/seed.iso", disk::machine(&machine.seq)), &volume)?;
    Ok(true)
}

/// The bytes that the client gave: base64 in both mixins, or else the text itself.
fn user_data(machine: &Entity) -> Option<Vec<u8>> {
    let text = [USERDATA, OLD_USERDATA].iter().find_map(|name| machine.text(name))?;
    Some(STANDARD.decode(text.trim()).unwrap_or_else(|_| text.as_bytes().to_vec()))
}

/// YAML, with values as JSON, which is YAML too.
fn meta_data(machine: &Entity, key: Option<&str>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut meta = format!("instance-id: {}\n", quoted(&machine.id()));
    if let Some(name) = machine.text("occi.compute.hostname") {
        meta += &format!("local-hostname: {}\n", quoted(name));
    }
    if let Some(key) = key {
        meta += &format!("public-keys:\n  - {}\n", quoted(key.trim()));
    }
    meta
}

/// A number in both byte orders.
fn both(number: u32) -> [u8; 8] {
    let ([a, b, c, d], [e, f, g, h]) = (number.to_le_bytes(), number.to_be_bytes());
    [a, b, c, d, e, f, g, h]
}

fn both_short(number: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (number.to_le_bytes(), number.to_be_bytes());
    [a, b, c, d]
}

fn sectors(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(SECTOR)).unwrap_or(u32::MAX)
}

/// A directory's record of something (ECMA-119, 9.1).
fn entry(name: &[u8], at: u32, bytes: usize, is_folder: bool) -> Vec<u8> {
    let mut entry = vec![0, 0];
    entry.extend(both(at));
    entry.extend(both(u32::try_from(bytes).unwrap_or(u32::MAX)));
    // 1 January 2000: a volume is the same each time it is written.
    entry.extend([100, 1, 1, 0, 0, 0, 0]);
    entry.extend([if is_folder { 2 } else { 0 }, 0, 0]);
    entry.extend(both_short(1));
    entry.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    entry.extend(name);
    if entry.len() % 2 == 1 {
        entry.push(0);
    }
    let length = u8::try_from(entry.len()).unwrap_or(u8::MAX);
    if let Some(first) = entry.first_mut() {
        *first = length;
    }
    entry
}

fn pad(volume: &mut Vec<u8>, sector: u32) {
    volume.resize(usize::try_from(sector).unwrap_or_default() * SECTOR, 0);
}

/// A volume called `cidata` with these files, which are in the order of their names.
fn volume(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut root = [entry(&[0], ROOT, SECTOR, true), entry(&[1], ROOT, SECTOR, true)].concat();
    let mut at = FILES;
    for (name, bytes) in files {
        root.extend(entry(name.as_bytes(), at, bytes.len(), false));
        at += sectors(bytes.len()).max(1);
    }
    let mut volume = Vec::new();
    pad(&mut volume, VOLUME);
    volume.extend(description(at));
    pad(&mut volume, END);
    volume.extend(b"\xffCD001\x01");
    let mut table = vec![1, 0];
    table.extend(ROOT.to_le_bytes());
    table.extend([1, 0, 0, 0]);
    pad(&mut volume, TABLE_LITTLE);
    volume.extend(&table);
    let mut table = vec![1, 0];
    table.extend(ROOT.to_be_bytes());
    table.extend([0, 1, 0, 0]);
    pad(&mut volume, TABLE_BIG);
    volume.extend(&table);
    pad(&mut volume, ROOT);
    volume.extend(root);
    let mut at = FILES;
    for (_, bytes) in files {
        pad(&mut volume, at);
        volume.extend(*bytes);
        at += sectors(bytes.len()).max(1);
    }
    pad(&mut volume, at);
    volume
}

/// The volume's description (ECMA-119, 8.4).
fn description(sectors: u32) -> Vec<u8> {
    let mut text = b"\x01CD001\x01\x00".to_vec();
    text.extend([b' '; 32]);
    text.extend(format!("{:<32}", "cidata").as_bytes());
    text.extend([0; 8]);
    text.extend(both(sectors));
    text.extend([0; 32]);
    text.extend(both_short(1));
    text.extend(both_short(1));
    text.extend(both_short(2048));
    text.extend(both(10));
    text.extend(TABLE_LITTLE.to_le_bytes());
    text.extend([0; 4]);
    text.extend(TABLE_BIG.to_be_bytes());
    text.extend([0; 4]);
    text.extend(entry(&[0], ROOT, SECTOR, true));
    // Names of sets, publisher, preparer, application and three files: none.
    text.extend([b' '; 4 * 128 + 3 * 37]);
    // Four dates: none.
    for _ in 0..4 {
        text.extend([b'0'; 16]);
        text.push(0);
    }
    text.extend([1, 0]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_its_files_where_it_says() {
        let volume = volume(&[("META-DATA.;1", b"one"), ("USER-DATA.;1", &[7; 5000])]);
        assert_eq!(volume.len() % SECTOR, 0);
        assert_eq!(&volume[16 * SECTOR + 1..16 * SECTOR + 6], b"CD001");
        assert_eq!(&volume[16 * SECTOR + 40..16 * SECTOR + 46], b"cidata");
        assert_eq!(volume[16 * SECTOR + 156], 34);
        assert_eq!(volume[16 * SECTOR + 881], 1);
        let root = &volume[20 * SECTOR..21 * SECTOR];
        let first = 2 * 34;
        assert_eq!(&root[first + 33..first + 45], b"META-DATA.;1");
        let at = u32::from_le_bytes(root[first + 2..first + 6].try_into().unwrap()) as usize;
        assert_eq!(&volume[at * SECTOR..at * SECTOR + 3], b"one");
        assert_eq!(volume.len(), (21 + 1 + 3) * SECTOR);
    }

    #[test]
    fn clients_texts_do_not_leave_their_place() {
        let attributes = [
            ("occi.compute.hostname".to_owned(), "plum\nusers: all".into()),
            (KEYS[0].to_owned(), "ssh-ed25519 AAAA \"me\"\n".into()),
        ];
        let machine = Entity {
            seq: "0".repeat(32),
            path: "/compute/x".to_owned(),
            kind: crate::model::infrastructure::id("compute"),
            mixins: Vec::new(),
            attributes: attributes.into(),
            links: Vec::new(),
            ends: None,
        };
        let meta = meta_data(&machine, machine.text(KEYS[0]));
        assert_eq!(meta.lines().count(), 4, "{meta}");
        assert!(
            meta.contains(r#"local-hostname: "plum\nusers: all""#) && meta.contains(r#"- "ssh-ed25519 AAAA \"me\"""#)
        );
    }
}
