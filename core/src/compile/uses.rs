//! Which Gateways, and which Services of a mesh, use a backend: the ancestors of policies ([TP-7]). Counted by the
//! routes, so that one of them can come or go.

use std::collections::BTreeMap;

use super::gateway::Gateways;
use super::policy::Use;
use crate::diagnostic::ObjectRef;

/// What stands above the routes that use a backend, in the order of the objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ancestor {
    /// Of a mesh.
    Service(ObjectRef),
    /// By its place.
    Gateway(usize),
}

impl Ancestor {
    /// The object, and the controller that serves it.
    pub(crate) fn names<'g>(&'g self, gateways: &'g Gateways, own: &'g str) -> Option<(&'g ObjectRef, &'g str)> {
        match self {
            Self::Service(object) => Some((object, own)),
            Self::Gateway(place) => gateways.get(*place).map(|gateway| (&gateway.object, &*gateway.controller)),
        }
    }
}

/// The uses of all routes, as far as policies or status ask for them.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    by_object: BTreeMap<ObjectRef, BTreeMap<(Ancestor, u16), usize>>,
}

impl Uses {
    pub(crate) fn add(&mut self, ancestor: &Ancestor, used: &Use) {
        if !self.by_object.contains_key(&used.object) {
            self.by_object.insert(used.object.clone(), BTreeMap::new());
        }
        let Some(of_object) = self.by_object.get_mut(&used.object) else { return };
        let count = of_object.entry((ancestor.clone(), used.port)).or_default();
        *count = count.saturating_add(1);
    }

    pub(crate) fn remove(&mut self, ancestor: &Ancestor, used: &Use) {
        let Some(of_object) = self.by_object.get_mut(&used.object) else { return };
        let key = (ancestor.clone(), used.port);
        if let Some(count) = of_object.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                of_object.remove(&key);
            }
        }
        if of_object.is_empty() {
            self.by_object.remove(&used.object);
        }
    }

    /// Who uses which ports of an object, in order.
    pub(crate) fn of(&self, object: &ObjectRef) -> impl Iterator<Item = (&Ancestor, u16)> {
        self.by_object.get(object).into_iter().flat_map(|uses| uses.keys()).map(|(ancestor, port)| (ancestor, *port))
    }
}
