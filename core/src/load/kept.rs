//! Objects of kinds that only the embedding program knows.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::node::Node;
use super::{de, is_object_frame, position, sources};
use crate::diagnostic::{Code, Diagnostic, ObjectRef, Position, Severity};

/// An object as it was written, for the program that knows its kind.
#[derive(Clone, Debug)]
pub struct Kept {
    pub(super) object: ObjectRef,
    pub(super) version: Box<str>,
    pub(super) file: Arc<str>,
    pub(super) root: Arc<Node>,
}

impl Kept {
    /// Its group, kind, namespace and name.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// The version of its API.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it begins.
    pub fn position(&self) -> Position {
        position(&self.file, self.root.mark)
    }

    /// Reads it, and what is to be told of fields that the type does not have.
    ///
    /// # Errors
    ///
    /// What is wrong, with the path of the field and its place.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Limit {
    ///     spec: Spec,
    /// }
    /// #[derive(serde::Deserialize)]
    /// struct Spec {
    ///     most: u32,
    /// }
    ///
    /// let mut loader = gatewright::load::Loader::new().keep(&[("x.io", "Limit")]);
    /// loader.add_text("a.yaml", "{apiVersion: x.io/v1, kind: Limit, metadata: {name: a}, spec: {most: many}}");
    /// let kept = loader.finish().kept.remove(0);
    /// let error = kept.read::<Limit>().err().unwrap();
    /// assert_eq!((error.path.as_str(), error.found.as_deref()), ("spec.most", Some("string \"many\"")));
    /// ```
    pub fn read<T: DeserializeOwned>(&self) -> Result<(T, Vec<Diagnostic>), Box<Diagnostic>> {
        let notes = de::Notes::default();
        let read = T::deserialize(de::deserializer(&self.root, &notes));
        let located = |severity, code, path: &str, mark, message: String| {
            let mut diagnostic = Diagnostic::new(severity, code, Some(self.object.clone()), path, message);
            diagnostic.position = Some(position(&self.file, mark));
            diagnostic
        };
        match read {
            Ok(value) => {
                let unknown = notes.unknown.into_inner().into_iter().filter(|(path, _)| path != "metadata" && !is_object_frame(path));
                let told = unknown.map(|(path, mark)| {
                    let mark = sources::find(&self.root, &path).unwrap_or(mark);
                    let message = "the kind has no such field: it is ignored".to_owned();
                    located(Severity::Warning, Code::UnknownField, &path, mark, message)
                });
                Ok((value, told.collect()))
            }
            Err(error) => {
                let (path, mark) = error.place.unwrap_or_else(|| (String::new(), self.root.mark));
                let mut diagnostic = located(Severity::Error, Code::Schema, &path, mark, error.message);
                (diagnostic.found, diagnostic.expected) = (error.found, error.expected);
                Err(Box::new(diagnostic))
            }
        }
    }
}
