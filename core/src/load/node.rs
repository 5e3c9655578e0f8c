//! A document as a tree with positions.

use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::Limits;

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: u32,
    pub(super) column: u32,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) kind: Kind,
    /// Number of nodes below and including this one, aliases expanded.
    size: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar { text: Box<str>, plain: bool },
    List(Vec<Arc<Node>>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<str>,
    pub(super) mark: Mark,
    pub(super) value: Arc<Node>,
}

impl Node {
    /// The value of a key, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| &*entry.key == key),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// What is wrong with a document, and where.
pub(super) struct Broken {
    pub(super) mark: Mark,
    pub(super) message: String,
    /// A bound was broken, not the syntax.
    pub(super) limit: bool,
}

/// A collection that is being read.
struct Open {
    mark: Mark,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Arc<Node>>),
    Map { entries: Vec<Entry>, key: Option<(Arc<str>, Mark)> },
}

/// Reads one document; `None` if it is empty. Lines are counted from `first_line`.
pub(super) fn read(text: &str, first_line: u32, limits: &Limits) -> Result<Option<Arc<Node>>, Broken> {
    let mut reader = Reader { limits, open: Vec::new(), anchors: BTreeMap::new(), nodes: 0, root: None };
    let mark = |span: &Span| Mark {
        line: u32::try_from(span.start.line()).unwrap_or(u32::MAX).saturating_add(first_line).saturating_sub(1),
        column: u32::try_from(span.start.col()).unwrap_or(u32::MAX).saturating_add(1),
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            let line = u32::try_from(at.line()).unwrap_or(u32::MAX).saturating_add(first_line).saturating_sub(1);
            let column = u32::try_from(at.col()).unwrap_or(u32::MAX).saturating_add(1);
            Broken { mark: Mark { line, column }, message: error.info(), limit: false }
        })?;
        reader.event(event, mark(&span))?;
    }
    Ok(reader.root)
}

struct Reader<'l> {
    limits: &'l Limits,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Arc<Node>>,
    nodes: usize,
    root: Option<Arc<Node>>,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, mark: Mark) -> Result<(), Broken> {
        let broken = |message: String, limit: bool| Err(Broken { mark, message, limit });
        match event {
            Event::Scalar(text, style, anchor, _) => {
                if text.len() > self.limits.scalar {
                    return broken(format!("a value is longer than {} bytes", self.limits.scalar), true);
                }
                if let Some(Open { kind: OpenKind::Map { key: key @ None, .. }, .. }) = self.open.last_mut() {
                    *key = Some((Arc::from(&*text), mark));
                    return Ok(());
                }
                let kind = Kind::Scalar { text: text.into(), plain: style == ScalarStyle::Plain };
                self.add(Arc::new(Node { mark, kind, size: 1 }), anchor)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => self.add(node, 0),
                None => broken("an alias refers to the collection that it stands in".to_owned(), false),
            },
            Event::SequenceStart(_, anchor, _) => self.start(OpenKind::List(Vec::new()), anchor, mark),
            Event::MappingStart(_, anchor, _) => self.start(OpenKind::Map { entries: Vec::new(), key: None }, anchor, mark),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.close(open),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn start(&mut self, kind: OpenKind, anchor: usize, mark: Mark) -> Result<(), Broken> {
        if let Some(Open { kind: OpenKind::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Broken { mark, message: "a key must be a text".to_owned(), limit: false });
        }
        if self.open.len() >= self.limits.depth {
            return Err(Broken { mark, message: format!("collections are nested deeper than {}", self.limits.depth), limit: true });
        }
        self.open.push(Open { mark, anchor, kind });
        Ok(())
    }

    fn close(&mut self, open: Open) -> Result<(), Broken> {
        let (kind, size) = match open.kind {
            OpenKind::List(items) => {
                let size = items.iter().fold(1_usize, |sum, item| sum.saturating_add(item.size));
                (Kind::List(items), size)
            }
            OpenKind::Map { entries, .. } => {
                let entries = merge(entries);
                let size = entries.iter().fold(1_usize, |sum, entry| sum.saturating_add(entry.value.size));
                (Kind::Map(entries), size)
            }
        };
        self.add(Arc::new(Node { mark: open.mark, kind, size }), open.anchor)
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, node: Arc<Node>, anchor: usize) -> Result<(), Broken> {
        // A collection's children are counted already; an alias counts as all that it stands for.
        self.nodes = self.nodes.saturating_add(if anchor == 0 && Arc::strong_count(&node) > 1 { node.size } else { 1 });
        if self.nodes > self.limits.nodes {
            return Err(Broken {
                mark: node.mark,
                message: format!("the document has more than {} values, aliases expanded", self.limits.nodes),
                limit: true,
            });
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, key }) => {
                let Some((key, mark)) = key.take() else {
                    return Err(Broken { mark: node.mark, message: "a key must be a text".to_owned(), limit: false });
                };
                if &*key != "<<" && entries.iter().any(|entry| entry.key == key) {
                    return Err(Broken { mark, message: format!("the key `{}` is given twice", key.escape_debug()), limit: false });
                }
                entries.push(Entry { key, mark, value: node });
            }
        }
        Ok(())
    }
}

/// Resolves merge keys: `<<: *base` adds the keys of the base that are not given themselves.
fn merge(entries: Vec<Entry>) -> Vec<Entry> {
    if !entries.iter().any(|entry| &*entry.key == "<<") {
        return entries;
    }
    let (bases, mut merged): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| &*entry.key == "<<");
    for base in bases {
        let one = [Arc::clone(&base.value)];
        let maps = match &base.value.kind {
            Kind::List(items) => items.as_slice(),
            _ => &one,
        };
        for map in maps {
            let Kind::Map(entries) = &map.kind else { continue };
            for entry in entries {
                if !merged.iter().any(|other| other.key == entry.key) {
                    merged.push(entry.clone());
                }
            }
        }
    }
    merged
}
