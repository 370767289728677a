//! Whom the facade trusts, and with what.

use plugbay_sdk::{Problem, Request, crypto};

use crate::api::{bearer, is_operator};
use crate::certificate::Certificate;
use crate::outside::Outside;
use crate::store::{index, keys, relations};

/// What a caller sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything, for operators.
    All,
    /// What one relation wants.
    Relation(String),
}

impl Scope {
    /// The caller's; none for one who is not trusted.
    ///
    /// # Errors
    /// Those of the host.
    pub fn of(outside: &Outside, request: &Request) -> Result<Option<Scope>, Problem> {
        if is_operator(request)? {
            return Ok(Some(Scope::All));
        }
        if let Some(relation) = bearer(request).map(relations::by_token).transpose()?.flatten() {
            return Ok(Some(Scope::Relation(relation)));
        }
        let Some(der) = &request.peer.certificate else { return Ok(None) };
        let fingerprint = crypto::hex(&crypto::sha256(der)?);
        let valid = Certificate::from_der(der).is_ok_and(|known| known.unfit(outside.now()).is_none());
        let owners = if valid { index::owners(&fingerprint)? } else { Vec::new() };
        let enrolled = owners.iter().find(|(_, unit)| unit == keys::FACADE_UNIT).or(owners.first());
        Ok(enrolled.map(|(relation, _)| Scope::Relation(relation.clone())))
    }

    /// Who in scope wants a certificate.
    ///
    /// # Errors
    /// Those of the store.
    pub fn owners(&self, fingerprint: &str) -> Result<Vec<(String, String)>, Problem> {
        let mut owners = index::owners(fingerprint)?;
        if let Scope::Relation(id) = self {
            owners.retain(|(relation, _)| relation == id);
        }
        Ok(owners)
    }
}
