//! Archives of assets: gzip over GNU tar, the same bytes for the same assets.

use std::io::{self, Write as _};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::asset::Rendered;

/// Bytes of a name that a header holds.
const NAME: usize = 100;

/// The archive of these assets, in their order: regular files of nobody in particular from 1970.
///
/// # Errors
/// Those of the compressor.
pub fn pack(assets: &[Rendered]) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::default()));
    for asset in assets {
        let path = asset.path.as_bytes();
        if path.len() > NAME {
            let mut long = header("././@LongLink".as_bytes(), 0o644, path.len() + 1);
            long.set_entry_type(EntryType::GNULongName);
            long.set_cksum();
            builder.append(&long, [path, b"\0"].concat().as_slice())?;
        }
        builder.append(&header(path, asset.mode, asset.content.len()), asset.content.as_slice())?;
    }
    let mut gzip = builder.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

/// A header with the name as it is, its leading slash included.
fn header(path: &[u8], mode: u32, size: usize) -> Header {
    let mut header = Header::new_gnu();
    if let Some(gnu) = header.as_gnu_mut() {
        for (place, byte) in gnu.name.iter_mut().zip(path) {
            *place = *byte;
        }
    }
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size as u64);
    header.set_cksum();
    header
}
