//! The interfaces of types: nothing to do, but they have to be there.

use crate::blob::Algorithm;
use crate::plugin::GuestState;
use crate::plugin::bindings::types::{DigestAlgorithm, Host};

impl Host for GuestState {}
impl crate::plugin::bindings::plugbay::plugin::descriptor::Host for GuestState {}

impl From<DigestAlgorithm> for Algorithm {
    fn from(algorithm: DigestAlgorithm) -> Self {
        match algorithm {
            DigestAlgorithm::Md5 => Self::Md5,
            DigestAlgorithm::Sha1 => Self::Sha1,
            DigestAlgorithm::Sha256 => Self::Sha256,
            DigestAlgorithm::Sha512 => Self::Sha512,
        }
    }
}
