//! Pipelines: what is done to an asset's content, segment by segment.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::template::{Scope, render};
use crate::design::bootaction::{DataSegment, LocationSegment};

/// Content on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Data {
    Bytes(Vec<u8>),
    Text(String),
}

/// Run content through a pipeline. Text at its end is encoded.
///
/// # Errors
/// A sentence if a segment gets what it does not take, or a template fails.
pub fn run(content: Vec<u8>, segments: &[DataSegment], scope: &Scope<'_>) -> Result<Vec<u8>, String> {
    let mut data = Data::Bytes(content);
    for segment in segments {
        data = step(data, *segment, scope)?;
    }
    Ok(match data {
        Data::Bytes(bytes) => bytes,
        Data::Text(text) => text.into_bytes(),
    })
}

/// Run a location through its pipeline.
///
/// # Errors
/// A sentence if a template fails.
pub fn locate(location: &str, segments: &[LocationSegment], scope: &Scope<'_>) -> Result<String, String> {
    segments.iter().try_fold(location.to_owned(), |text, segment| match segment {
        LocationSegment::Template => render(&text, scope),
    })
}

fn step(data: Data, segment: DataSegment, scope: &Scope<'_>) -> Result<Data, String> {
    use DataSegment::{Base64Decode, Base64Encode, Template, Utf8Decode, Utf8Encode};
    match (segment, data) {
        (Base64Decode, Data::Bytes(bytes)) => decode(&bytes).map(Data::Bytes),
        (Base64Decode, Data::Text(text)) => decode(text.as_bytes()).map(Data::Bytes),
        (Base64Encode, Data::Bytes(bytes)) => Ok(Data::Bytes(STANDARD.encode(bytes).into_bytes())),
        (Utf8Decode, Data::Bytes(bytes)) => {
            String::from_utf8(bytes).map(Data::Text).map_err(|_| "utf8_decode: the content is not UTF-8".to_owned())
        }
        (Utf8Encode, Data::Text(text)) => Ok(Data::Bytes(text.into_bytes())),
        (Template, Data::Text(text)) => render(&text, scope).map(Data::Text),
        (Base64Encode | Utf8Encode | Utf8Decode | Template, _) => {
            let name = serde_json::to_string(&segment).unwrap_or_default();
            Err(format!("the pipeline's segment {name} does not take what comes before it"))
        }
    }
}

/// Characters outside the alphabet are passed over, line ends above all.
fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let kept: Vec<u8> =
        bytes.iter().copied().filter(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte)).collect();
    STANDARD.decode(kept).map_err(|error| format!("base64_decode: {error}"))
}
