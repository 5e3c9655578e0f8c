//! path-tree, the radix tree of viz.

use super::path_router::{Node, PathRouter};

/// The router.
#[derive(Debug)]
pub struct PathTree(path_tree::PathTree<Node>);

impl PathRouter for PathTree {
    const NAME: &'static str = "path-tree";

    fn build(paths: &[(String, Node)], prefixes: &[(String, Node)]) -> Self {
        let mut tree = path_tree::PathTree::new();
        for (text, node) in paths {
            let _index = tree.insert(&escape(text), *node);
        }
        for (text, node) in prefixes {
            let _index = tree.insert(&format!("{}/*", escape(text)), *node);
        }
        Self(tree)
    }

    fn find(&self, path: &str) -> Option<Node> {
        self.0.find(path).map(|(node, _)| *node)
    }
}

/// The sets have none of the characters with a meaning.
fn escape(text: &str) -> String {
    assert!(!text.contains([':', '*', '+', '?', '\\']), "{text} has characters with a meaning");
    text.to_owned()
}
