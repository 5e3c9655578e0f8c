//! wayfind, a tree with inline parameters and wildcards.

use super::path_router::{Node, PathRouter};

/// The router.
pub struct Wayfind(wayfind::Router<Node>);

impl std::fmt::Debug for Wayfind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wayfind").finish_non_exhaustive()
    }
}

impl PathRouter for Wayfind {
    const NAME: &'static str = "wayfind";

    fn build(paths: &[(String, Node)], prefixes: &[(String, Node)]) -> Self {
        let mut builder = wayfind::RouterBuilder::new();
        for (text, node) in paths {
            builder.insert(&escape(text), *node).expect("each path is inserted once");
        }
        for (text, node) in prefixes {
            builder.insert(&format!("{}/<*rest>", escape(text)), *node).expect("each prefix is inserted once");
        }
        Self(builder.build())
    }

    fn find(&self, path: &str) -> Option<Node> {
        self.0.search(path).map(|found| *found.data())
    }
}

/// The sets have none of the characters with a meaning.
fn escape(text: &str) -> String {
    assert!(!text.contains(['<', '>', '(', ')', '\\']), "{text} has characters with a meaning");
    text.to_owned()
}
