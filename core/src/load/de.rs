//! From a tree to the structures of [`resource`](crate::resource), with the field path of whatever is wrong.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer as _, Visitor};

use super::node::{Entry, Kind, Mark, Node};

/// What deserializing finds besides errors.
#[derive(Default)]
pub(super) struct Notes {
    /// Fields that the API does not have.
    pub(super) unknown: RefCell<Vec<(String, Mark)>>,
    /// Texts that are not quoted and that Kubernetes reads as something else.
    pub(super) unquoted: RefCell<Vec<(String, Mark, String, &'static str)>>,
    /// API groups written as `core`, which some documents do; read as the core group ([R-8]).
    pub(super) core: RefCell<Vec<(String, Mark)>>,
}

/// Deserializes an object.
pub(super) fn deserializer<'n>(node: &'n Node, notes: &'n Notes) -> impl de::Deserializer<'n, Error = Error> {
    NodeDeserializer { node, path: String::new(), notes }
}

/// Why an object cannot be read.
#[derive(Debug, Default)]
pub(super) struct Error {
    pub(super) message: String,
    pub(super) found: Option<String>,
    pub(super) expected: Option<String>,
    pub(super) place: Option<(String, Mark)>,
}

impl Error {
    /// Adds the place; the innermost stays.
    fn at(mut self, path: &str, mark: Mark) -> Self {
        self.place.get_or_insert_with(|| (path.to_owned(), mark));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), ..Self::default() }
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self { message: "wrong type".to_owned(), found: Some(found.to_string()), expected: Some(expected.to_string()), place: None }
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self { message: "wrong value".to_owned(), found: Some(found.to_string()), expected: Some(expected.to_string()), place: None }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { message: format!("the required field `{field}` is missing"), ..Self::default() }
    }
}

struct NodeDeserializer<'n> {
    node: &'n Node,
    path: String,
    notes: &'n Notes,
}

/// What Kubernetes takes a plain scalar for (YAML 1.1, as `sigs.k8s.io/yaml` reads it).
fn implied_type(text: &str) -> Option<&'static str> {
    let boolean = ["true", "false", "yes", "no", "on", "off", "y", "n"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if boolean {
        return Some("a boolean");
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return Some("an integer");
    }
    let in_base =
        |prefix, base| digits.strip_prefix(prefix).is_some_and(|rest: &str| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)));
    if in_base("0x", 16) || in_base("0o", 8) || in_base("0b", 2) {
        return Some("an integer");
    }
    digits.parse::<f64>().is_ok().then_some("a number")
}

/// Whether a path is that of an API group, and not of a label or option with that name.
fn is_group(path: &str) -> bool {
    let mut steps = path.split('.');
    let maps = ["labels", "annotations", "options", "matchLabels"];
    steps.next() == Some("spec") && path.ends_with(".group") && !steps.any(|step| maps.contains(&step))
}

impl<'n> NodeDeserializer<'n> {
    fn child(&self, node: &'n Node, path: String) -> Self {
        Self { node, path, notes: self.notes }
    }

    /// A text; what is not quoted and reads as another type is taken as written, and noted.
    fn string(&self) -> Result<&'n str, Error> {
        match &self.node.kind {
            Kind::Scalar { text, plain } if !self.node.is_null() => {
                if let Some(type_) = implied_type(text).filter(|_| *plain) {
                    self.notes.unquoted.borrow_mut().push((self.path.clone(), self.node.mark, text.to_string(), type_));
                }
                if &**text == "core" && is_group(&self.path) {
                    self.notes.core.borrow_mut().push((self.path.clone(), self.node.mark));
                    return Ok("");
                }
                Ok(text)
            }
            _ => Err(self.unexpected(&"a text")),
        }
    }

    fn unexpected(&self, expected: &dyn de::Expected) -> Error {
        let found = match &self.node.kind {
            _ if self.node.is_null() => de::Unexpected::Other("null"),
            Kind::Scalar { text, .. } => de::Unexpected::Str(text),
            Kind::List(_) => de::Unexpected::Seq,
            Kind::Map(_) => de::Unexpected::Map,
        };
        de::Error::invalid_type(found, expected)
    }

    fn located<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| error.at(&self.path, self.node.mark))
    }
}

impl<'n> de::Deserializer<'n> for NodeDeserializer<'n> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.node.kind {
            _ if self.node.is_null() => visitor.visit_unit(),
            Kind::Scalar { text, plain: true } => match (&**text, text.parse::<i64>(), text.parse::<f64>()) {
                ("true" | "True" | "TRUE", _, _) => visitor.visit_bool(true),
                ("false" | "False" | "FALSE", _, _) => visitor.visit_bool(false),
                (_, Ok(number), _) => visitor.visit_i64(number),
                (_, _, Ok(number)) if implied_type(text).is_some() => visitor.visit_f64(number),
                _ => visitor.visit_borrowed_str(text),
            },
            Kind::Scalar { text, .. } => visitor.visit_borrowed_str(text),
            Kind::List(items) => visitor.visit_seq(Items { items: items.iter().enumerate(), of: &self }),
            Kind::Map(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None, of: &self }),
        };
        self.located(result)
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = self.string().and_then(|text| visitor.visit_borrowed_str(text));
        self.located(result)
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    /// An empty list or map may be written as nothing; null is absent ([R-7]).
    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::List(_) => self.deserialize_any(visitor),
            _ => self.located(Err(self.unexpected(&visitor))),
        }
    }

    /// Serde asks this for the value of a field that the structure does not have.
    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.notes.unknown.borrow_mut().push((self.path, self.node.mark));
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_identifier<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'n>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        map struct enum
    }
}

struct Items<'d, 'n, I> {
    items: I,
    of: &'d NodeDeserializer<'n>,
}

impl<'n, I: Iterator<Item = (usize, &'n std::sync::Arc<Node>)>> de::SeqAccess<'n> for Items<'_, 'n, I> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((n, item)) = self.items.next() else { return Ok(None) };
        let path = format!("{}[{n}]", self.of.path);
        seed.deserialize(self.of.child(item, path.clone())).map(Some).map_err(|error| error.at(&path, item.mark))
    }
}

struct Entries<'d, 'n, I> {
    entries: I,
    value: Option<&'n Entry>,
    of: &'d NodeDeserializer<'n>,
}

impl<'n, I: Iterator<Item = &'n Entry>> de::MapAccess<'n> for Entries<'_, 'n, I> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        // A key whose value is null is absent ([R-7]).
        self.value = self.entries.by_ref().find(|entry| !entry.value.is_null());
        let Some(entry) = self.value else { return Ok(None) };
        seed.deserialize((*entry.key).into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(entry) = self.value.take() else { return Err(de::Error::custom("a value without key")) };
        let dot = if self.of.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{}", self.of.path, entry.key);
        // What a type refuses after it has been read is wrong here, not in what is around it.
        seed.deserialize(self.of.child(&entry.value, path.clone())).map_err(|error| error.at(&path, entry.value.mark))
    }
}
