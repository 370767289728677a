//! Lists of images as Glance v1 and v2 give them: what is asked, and what of the answer is taken.
//!
//! Pure. An image is taken if it is active, a disk as it is (`bare`), raw or qcow2, of a known size within the bound, with a digest.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::{Algorithm, Digest, Image};
use crate::model::templates::Format;

/// Images of a page.
pub const PAGE: usize = 100;

/// The versions of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `/v1/images/detail`, `/v1/images/ID`.
    One,
    /// `/v2/images`, `/v2/images/ID/file`.
    Two,
}

impl Version {
    /// Of a URL that ends in it; none if it does not.
    pub fn of(url: &str) -> Option<Version> {
        let last = url.trim_end_matches('/').rsplit('/').next()?;
        match last.split('.').next()? {
            "v1" => Some(Version::One),
            "v2" => Some(Version::Two),
            _ => None,
        }
    }

    /// URL of a page of the list, after this image.
    pub fn list(self, base: &str, after: Option<&str>) -> String {
        let path = match self {
            Version::One => "images/detail",
            Version::Two => "images",
        };
        let after = after.map(|id| format!("&marker={}", utf8_percent_encode(id, NON_ALPHANUMERIC)));
        format!("{}/{path}?limit={PAGE}&status=active{}", base.trim_end_matches('/'), after.unwrap_or_default())
    }

    /// URL of an image's data.
    pub fn data(self, base: &str, id: &str) -> String {
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
        let end = if self == Version::Two { "/file" } else { "" };
        format!("{}/images/{id}{end}", base.trim_end_matches('/'))
    }
}

/// A page of a list.
#[derive(Debug, Default, Deserialize)]
pub struct Page {
    /// In its order.
    pub images: Vec<Listed>,
}

impl Page {
    /// Of the body of an answer.
    ///
    /// # Errors
    /// If it is no such list.
    pub fn parse(body: &[u8]) -> Result<Page, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

/// An image in a list. What is not known of it does not matter.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Listed {
    /// Its id.
    pub id: String,
    name: Option<String>,
    status: String,
    disk_format: Option<String>,
    container_format: Option<String>,
    size: Option<u64>,
    checksum: Option<String>,
    os_hash_algo: Option<String>,
    os_hash_value: Option<String>,
}

impl Listed {
    /// The image, if it is one for machines here.
    pub fn image(self, most: u64) -> Option<Image> {
        let format = match self.disk_format.as_deref() {
            Some("raw") => Format::Raw,
            Some("qcow2") => Format::Qcow2,
            _ => return None,
        };
        let bare = self.container_format.as_deref().is_none_or(|format| format == "bare");
        let size = self.size.filter(|size| (1..=most).contains(size))?;
        let strong = match self.os_hash_algo.as_deref() {
            Some("sha256") => Some((Algorithm::Sha256, 64)),
            Some("sha512") => Some((Algorithm::Sha512, 128)),
            _ => None,
        };
        let strong = strong.zip(self.os_hash_value);
        let weak = self.checksum.map(|hex| ((Algorithm::Md5, 32), hex));
        let ((algorithm, digits), hex) = strong.or(weak)?;
        let hex = hex.to_ascii_lowercase();
        let fits = hex.len() == digits && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !fits || !bare || self.status != "active" {
            return None;
        }
        let name = self.name.filter(|name| !name.is_empty()).unwrap_or_else(|| self.id.clone());
        let name = name.chars().filter(|char| !char.is_control()).take(255).collect();
        let digest = Digest { algorithm, hex };
        Some(Image { id: self.id, name, format, size, digest, file: None, wanted: false, failed: None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MD5: &str = "0123456789abcdef0123456789ABCDEF";

    fn listed(json: &serde_json::Value) -> Option<Image> {
        serde_json::from_value::<Listed>(json.clone()).unwrap().image(1_000)
    }

    #[test]
    fn the_version_is_the_end_of_the_url() {
        let base = "https://glance.example/x/v1.0/";
        assert_eq!(Version::of(base), Some(Version::One));
        assert_eq!(Version::of("http://h:9292/v2"), Some(Version::Two));
        assert_eq!((Version::of("http://h:9292"), Version::of("")), (None, None));
        assert_eq!(
            Version::One.list(base, Some("a b/c")),
            "https://glance.example/x/v1.0/images/detail?limit=100&status=active&marker=a%20b%2Fc"
        );
        assert_eq!(Version::Two.list("http://h/v2", None), "http://h/v2/images?limit=100&status=active");
        assert_eq!(Version::One.data("http://h/v1", "../x"), "http://h/v1/images/%2E%2E%2Fx");
        assert_eq!(Version::Two.data("http://h/v2", "1"), "http://h/v2/images/1/file");
    }

    #[test]
    fn an_image_is_taken_if_a_machine_can_boot_from_it_and_it_can_be_checked() {
        let good = serde_json::json!({"id": "1", "name": "Plum\n", "status": "active", "disk_format": "qcow2",
            "container_format": "bare", "size": 1000, "checksum": MD5, "is_public": true, "owner": null});
        let image = listed(&good).unwrap();
        assert_eq!((image.name.as_str(), image.format, image.size), ("Plum", Format::Qcow2, 1_000));
        assert_eq!(image.digest, Digest { algorithm: Algorithm::Md5, hex: MD5.to_ascii_lowercase() });
        for (field, value) in [
            ("status", serde_json::json!("queued")),
            ("disk_format", "iso".into()),
            ("disk_format", ().into()),
            ("container_format", "ovf".into()),
            ("size", 1001.into()),
            ("size", 0.into()),
            ("size", ().into()),
            ("checksum", "12".into()),
            ("checksum", ().into()),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            assert_eq!(listed(&bad), None, "{bad}");
        }
        let mut strong = good.clone();
        (strong["os_hash_algo"], strong["os_hash_value"]) = ("sha512".into(), "ab".repeat(64).into());
        assert_eq!(listed(&strong).unwrap().digest.algorithm, Algorithm::Sha512);
        strong["os_hash_algo"] = "blake2b".into();
        assert_eq!(listed(&strong).unwrap().digest.algorithm, Algorithm::Md5);
    }

    proptest! {
        #[test]
        fn an_id_stays_one_part_of_the_path(id in "\\PC{1,20}") {
            let url = Version::Two.data("http://h/v2", &id);
            let part = url.strip_prefix("http://h/v2/images/").unwrap().strip_suffix("/file").unwrap();
            prop_assert!(part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%'));
        }
    }
}
