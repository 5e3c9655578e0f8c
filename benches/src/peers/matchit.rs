//! matchit, the radix tree of axum.

use super::path_router::{Node, PathRouter};

/// The router.
#[derive(Clone)]
pub struct Matchit(matchit::Router<Node>);

impl std::fmt::Debug for Matchit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matchit").finish_non_exhaustive()
    }
}

impl PathRouter for Matchit {
    const NAME: &'static str = "matchit";

    fn build(paths: &[(String, Node)], prefixes: &[(String, Node)]) -> Self {
        let escape = |text: &str| text.replace('{', "{{").replace('}', "}}");
        let mut router = matchit::Router::new();
        for (text, node) in paths {
            router.insert(escape(text), *node).expect("each path is inserted once");
        }
        for (text, node) in prefixes {
            router.insert(format!("{}/{{*rest}}", escape(text)), *node).expect("each prefix is inserted once");
        }
        Self(router)
    }

    fn find(&self, path: &str) -> Option<Node> {
        self.0.at(path).ok().map(|found| *found.value)
    }
}
