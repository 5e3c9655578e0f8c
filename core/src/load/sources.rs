//! Where objects and their fields stand in the texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node::{Kind, Mark, Node};
use crate::diagnostic::{Diagnostic, ObjectRef, Position};

/// Remembers where the fields of loaded objects stand.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    objects: BTreeMap<ObjectRef, Source>,
}

/// Places of one object: path and mark of every field, sorted by path.
#[derive(Clone, Debug)]
struct Source {
    file: Arc<str>,
    places: Arc<[(Box<str>, Mark)]>,
}

impl Sources {
    pub(super) fn add(&mut self, object: ObjectRef, file: Arc<str>, root: &Arc<Node>) {
        let mut places = vec![(Box::default(), root.mark)];
        collect(root, &mut String::new(), &mut places);
        places.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.objects.insert(object, Source { file, places: places.into() });
    }

    /// The place of a field, or of the nearest field around it that is written.
    pub fn position(&self, object: &ObjectRef, path: &str) -> Option<Position> {
        let source = self.objects.get(object)?;
        let mut path = path;
        loop {
            if let Ok(at) = source.places.binary_search_by(|(other, _)| (**other).cmp(path)) {
                let (_, mark) = source.places.get(at)?;
                return Some(Position { file: Arc::clone(&source.file), line: mark.line, column: mark.column });
            }
            path = path.rfind(['.', '[']).and_then(|at| path.get(..at)).unwrap_or("");
        }
    }

    /// Fills in the place of a diagnostic about a loaded object.
    pub fn locate(&self, diagnostic: &mut Diagnostic) {
        if let (None, Some(object)) = (&diagnostic.position, &diagnostic.object) {
            diagnostic.position = self.position(object, &diagnostic.path);
        }
    }
}

/// The mark of a value: a collection is where its key stands, a scalar where it stands itself.
fn place(key: Mark, value: &Node) -> Mark {
    match value.kind {
        Kind::Scalar { .. } if !value.is_null() => value.mark,
        _ => key,
    }
}

fn collect(node: &Node, path: &mut String, places: &mut Vec<(Box<str>, Mark)>) {
    let length = path.len();
    match &node.kind {
        Kind::Scalar { .. } => {}
        Kind::List(items) => {
            for (n, item) in items.iter().enumerate() {
                path.push_str(&format!("[{n}]"));
                places.push((path.as_str().into(), item.mark));
                collect(item, path, places);
                path.truncate(length);
            }
        }
        Kind::Map(entries) => {
            for entry in entries {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(&entry.key);
                places.push((path.as_str().into(), place(entry.mark, &entry.value)));
                collect(&entry.value, path, places);
                path.truncate(length);
            }
        }
    }
}

/// The mark of the key at the end of a path of keys and indices.
pub(super) fn find(root: &Node, path: &str) -> Option<Mark> {
    let mut places = Vec::new();
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut node = root;
    for step in parent.split(['.', '[']).filter(|step| !step.is_empty()) {
        node = match (&node.kind, step.strip_suffix(']').map(str::parse::<usize>)) {
            (Kind::List(items), Some(Ok(n))) => items.get(n)?,
            _ => &node.get(step)?.value,
        };
    }
    places.extend(node.get(key).map(|entry| entry.mark));
    places.pop()
}
