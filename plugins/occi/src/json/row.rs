//! Records as they lie in the store, for lists in JSON: nothing is copied that is only passed on.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

/// The record of an entity.
#[derive(Debug, serde::Deserialize)]
pub struct Row<'a> {
    /// See [`Entity`](crate::entity::Entity), likewise the others.
    #[serde(borrow)]
    pub seq: Text<'a>,
    /// Its kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
    /// Its mixins.
    #[serde(borrow, default)]
    pub mixins: Vec<Text<'a>>,
    /// Its attributes.
    #[serde(borrow, default)]
    pub attributes: Pairs<'a>,
    /// Paths of its links.
    #[serde(borrow, default)]
    pub links: Vec<Text<'a>>,
    /// Its ends.
    #[serde(borrow, default)]
    pub ends: Option<RowEnds<'a>>,
}

/// Both ends of a link.
#[derive(Debug, serde::Deserialize)]
pub struct RowEnds<'a> {
    /// Path of the source.
    #[serde(borrow)]
    pub source: Text<'a>,
    /// Its kind.
    #[serde(borrow)]
    pub source_kind: Text<'a>,
    /// Path or URL of the target.
    #[serde(borrow)]
    pub target: Text<'a>,
    /// Its kind.
    #[serde(borrow, default)]
    pub target_kind: Option<Text<'a>>,
}

/// A text; borrowed if nothing in it is escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

/// Names and values, in their order.
#[derive(Debug, Default)]
pub struct Pairs<'a>(pub Vec<(Text<'a>, Scalar<'a>)>);

/// The value of an attribute.
#[derive(Debug)]
pub enum Scalar<'a> {
    /// A text.
    Text(Text<'a>),
    /// Anything else.
    Other(Value),
}

impl<'a> Row<'a> {
    /// Of the value of a key.
    ///
    /// # Errors
    /// If it is no record.
    pub fn parse(bytes: &'a [u8]) -> Result<Row<'a>, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// An attribute's text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.0.iter().find(|(known, _)| known.0 == name).and_then(|(_, value)| match value {
            Scalar::Text(text) => Some(&*text.0),
            Scalar::Other(_) => None,
        })
    }
}

struct OfText;

impl<'de> Visitor<'de> for OfText {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        deserializer.deserialize_str(OfText)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

struct OfScalar;

impl<'de> Visitor<'de> for OfScalar {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        OfText.visit_borrowed_str(text).map(Scalar::Text)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar<'de>, E> {
        OfText.visit_str(text).map(Scalar::Text)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(value.into()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Scalar<'de>, A::Error> {
        Value::deserialize(de::value::SeqAccessDeserializer::new(list)).map(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar<'de>, A::Error> {
        Value::deserialize(de::value::MapAccessDeserializer::new(map)).map(Scalar::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other(Value::Null))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar<'a>, D::Error> {
        deserializer.deserialize_any(OfScalar)
    }
}

impl Serialize for Scalar<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Scalar::Text(text) => text.serialize(serializer),
            Scalar::Other(value) => value.serialize(serializer),
        }
    }
}

struct OfPairs;

impl<'de> Visitor<'de> for OfPairs {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
        let mut pairs = Vec::with_capacity(8);
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs<'a>, D::Error> {
        deserializer.deserialize_map(OfPairs)
    }
}
