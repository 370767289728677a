//! Certificates, lists of them, authorities and revocation lists: opaque files with their MD5.
//!
//! Content is not looked at: what comes through here is of four kinds, and haproxy's check at the next upload of a configuration finds
//! what is wrong with it. A load balancer need not be known yet; its certificates come first. The MD5 is that of the bytes as sent.

use plugbay_sdk::Answer;
use serde_json::json;

use crate::context::Context;
use crate::digest::md5_hex;
use crate::haproxy::store::bad_id;
use crate::names::{CertificateFile, Id};
use crate::refusal::{Refusal, ok, tagged};

fn checked(name: &str) -> Result<CertificateFile, Refusal> {
    CertificateFile::parse(name).ok_or_else(|| Refusal::fault(400, "Filename has wrong format"))
}

fn path(lb: &Id, file: &CertificateFile) -> String {
    format!("certs/{lb}/{}", file.text())
}

/// `PUT …/certificates/{file}`.
///
/// # Errors
/// 400 for a name of the wrong format.
pub fn upload(context: Context<'_>, id: &str, name: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let file = checked(name)?;
    let lb = Id::parse(id).ok_or_else(|| bad_id(id))?;
    context.files.write(&path(&lb, &file), body)?;
    Ok(tagged(ok(200), &md5_hex(body)))
}

/// `GET …/certificates/{file}`: the MD5, never the content.
///
/// # Errors
/// 400 for a name of the wrong format, 404 if there is no such file.
pub fn md5(context: Context<'_>, id: &str, name: &str) -> Result<Answer, Refusal> {
    let file = checked(name)?;
    let bytes = match Id::parse(id) {
        Some(lb) => context.files.read(&path(&lb, &file))?,
        None => None,
    };
    let missing =
        || Refusal::detailed(404, "Certificate Not Found", format!("No certificate with filename: {}", file.text()));
    let md5 = md5_hex(&bytes.ok_or_else(missing)?);
    Ok(tagged(Answer::json(200, &json!({"md5sum": md5})), &md5))
}

/// `DELETE …/certificates/{file}`, whether it is there or not.
///
/// # Errors
/// 400 for a name of the wrong format.
pub fn delete(context: Context<'_>, id: &str, name: &str) -> Result<Answer, Refusal> {
    let file = checked(name)?;
    if let Some(lb) = Id::parse(id) {
        context.files.remove(&path(&lb, &file))?;
    }
    Ok(ok(200))
}
