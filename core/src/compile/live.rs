//! Objects that change one by one, and the table that follows them.

use std::collections::{BTreeMap, BTreeSet};

use super::Status;
use super::changes::Changes;
use super::state::{Beyond, Outcome, RouteChange, State};
use super::store::{Store, behind};
use crate::diagnostic::{Diagnostic, ObjectRef};
use crate::options::{MissingServices, Options};
use crate::resource::{GATEWAY_GROUP, Resources};
use crate::table::{RouteKind, Table};
use crate::validate;

/// Objects that change, and the table that follows them: [`compile`](super::compile) for programs that watch.
///
/// Table, status and diagnostics are at every moment those that [`compile`](super::compile) gives for the same objects;
/// only the ids of the table may be others. What an update costs depends on what has changed:
///
/// - A route, whatever its kind, is compiled by itself, and so are those of the other kind that have to do with it: a
///   GRPCRoute may get or lose hostnames by an HTTPRoute on the same listener, and the other way round. Each Gateway
///   that it is attached to gets new status. The rest is shared with the former table.
/// - With a Service, the routes that refer to it are compiled again, with the first or last Service of a namespace those
///   that refer into the namespace. With an EndpointSlice only the backends of its Service change, and routes that
///   mirror requests there if all of them come to be ready, or none.
/// - Everything is compiled again when the extensions change, and for any other object: Gateways, GatewayClasses, ListenerSets, ReferenceGrants,
///   Namespaces, policies, XBackends, XMeshes, Secrets, ConfigMaps, ServiceImports. The same goes for a Service that a
///   policy names (with the first or last of its namespace: any policy for a Service there); for the first or last route
///   of a kind that has a port of a Service as parent; for rules that make a header name that others use an alias, or no
///   alias any more; and as long as the regular expressions are more than a table takes.
///
/// ```
/// use gatewright::{Changes, Compiler, Options, Resources};
/// use gatewright::resource::HttpRoute;
///
/// let mut compiler = Compiler::new(Resources::default(), Options::default());
/// let mut changes = Changes::default();
/// let mut route = HttpRoute::default();
/// route.metadata.name = "shop".into();
/// changes.applied.http_routes.push(route);
/// let update = compiler.update(changes);
/// assert!(!update.whole);
/// assert_eq!(compiler.resources().http_routes.len(), 1);
/// ```
#[derive(Debug)]
pub struct Compiler {
    store: Store,
    options: Options,
    state: State,
    /// What the API server says, by object.
    rejected: BTreeMap<ObjectRef, Vec<Diagnostic>>,
}

/// What an update has changed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Update {
    /// The new table. Tables that were taken before stay as they are.
    pub table: Table,
    /// The status that is new, or other than before: what has to be written.
    pub status: Status,
    /// Objects that had a status and have none any more.
    pub gone: Vec<ObjectRef>,
    /// All findings about the objects that were looked at again.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether everything was compiled again.
    pub whole: bool,
}

/// What a change touches.
#[derive(Debug, Default)]
struct Touched {
    /// Everything.
    whole: bool,
    objects: BTreeSet<ObjectRef>,
    routes: BTreeSet<ObjectRef>,
    services: BTreeSet<(Box<str>, Box<str>)>,
    /// Namespaces in which a Service has come or gone, and whether they had one before.
    namespaces: BTreeMap<Box<str>, bool>,
    /// Services, and ServiceImports, of which slices have changed.
    behind: BTreeSet<(Box<str>, Box<str>)>,
}

impl Compiler {
    /// Compiles the objects. Of an object that is given twice, the last counts.
    pub fn new(resources: Resources, options: Options) -> Self {
        let store = Store::new(resources);
        let state = State::new(&store.lookup(&options));
        let mut rejected = BTreeMap::<_, Vec<_>>::new();
        for diagnostic in validate::validate(&store.resources) {
            rejected.entry(diagnostic.object.clone().unwrap_or_default()).or_default().push(diagnostic);
        }
        Self { store, options, state, rejected }
    }

    /// Takes changes over, and gives what follows from them.
    pub fn update(&mut self, mut changes: Changes) -> Update {
        let extensions = changes.extensions.take().filter(|extensions| *extensions != self.options.extensions);
        let mut touched = self.apply(changes);
        if let Some(extensions) = extensions {
            self.options.extensions = extensions;
            touched.whole = true;
        }
        if touched.objects.is_empty() && !touched.whole {
            return Update { table: self.state.table.clone(), ..Update::default() };
        }
        match self.follow(&touched) {
            Ok(outcome) => self.small(outcome, &touched),
            Err(beyond) => self.whole(beyond),
        }
    }

    /// The objects.
    pub fn resources(&self) -> &Resources {
        &self.store.resources
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.state.table
    }

    /// The status of every object.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// All findings.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.state.diagnostics(self.rejected.values().flatten().cloned().collect())
    }

    /// Changes the objects.
    fn apply(&mut self, changes: Changes) -> Touched {
        let mut touched = Touched::default();
        for (name, object) in changes.each() {
            let slices_of = |store: &Store| store.slice(&name).into_iter().flat_map(behind).collect::<Vec<_>>();
            let before = slices_of(&self.store);
            let had_services = self.store.has_services(&name.namespace);
            let changed = match object {
                Some((object, version)) => self.store.apply(object, version),
                None => self.store.delete(&name),
            };
            if !changed {
                continue;
            }
            self.validate(&name);
            match (&*name.group, &*name.kind) {
                (GATEWAY_GROUP, kind) if RouteKind::ALL.iter().any(|one| one.as_str() == kind) => {
                    touched.routes.insert(name.clone());
                }
                ("", "Service") => {
                    touched.services.insert((name.namespace.clone(), name.name.clone()));
                    touched.namespaces.entry(name.namespace.clone()).or_insert(had_services);
                }
                (_, "EndpointSlice") => touched.behind.extend(before.into_iter().chain(slices_of(&self.store))),
                _ => touched.whole = true,
            }
            touched.objects.insert(name);
        }
        touched
    }

    /// Asks what the API server would say of an object.
    fn validate(&mut self, name: &ObjectRef) {
        let found = self.store.alone(name).map(|alone| validate::validate(&alone)).unwrap_or_default();
        if found.is_empty() {
            self.rejected.remove(name);
        } else {
            self.rejected.insert(name.clone(), found);
        }
    }

    /// Changes the state along with the objects.
    fn follow(&mut self, touched: &Touched) -> Result<Outcome, Beyond> {
        let (store, state) = (&self.store, &mut self.state);
        let mut whole = touched.whole || state.is_crowded();
        let mut routes = touched.routes.clone();
        for (namespace, name) in &touched.services {
            whole |= state.policies_name(namespace, Some(name));
            routes.extend(state.referring((namespace, name), false).cloned());
        }
        let infers = self.options.missing_services == MissingServices::Infer;
        for (namespace, had) in touched.namespaces.iter().filter(|_| infers) {
            if store.has_services(namespace) != *had {
                whole |= state.policies_name(namespace, None);
                routes.extend(state.referring_into(namespace).cloned());
            }
        }
        if whole {
            return Err(Beyond::default());
        }
        let lookup = store.lookup(&self.options);
        for (namespace, name) in touched.services.union(&touched.behind) {
            if state.refresh((namespace, name), &lookup) {
                routes.extend(state.referring((namespace, name), true).cloned());
            }
        }
        let routes = routes.into_iter().map(|object| RouteChange { source: store.route(&object), object });
        state.update(&lookup, &|object| store.route(object), routes)
    }

    /// An update of a part.
    fn small(&self, outcome: Outcome, touched: &Touched) -> Update {
        let mut objects = outcome.looked_at;
        objects.extend(touched.objects.iter().cloned());
        let rejected = objects.iter().filter_map(|object| self.rejected.get(object)).flatten().cloned().collect();
        let mut behind = outcome.behind;
        behind.extend(touched.services.union(&touched.behind).cloned());
        Update {
            table: self.state.table.clone(),
            status: outcome.status,
            gone: outcome.gone,
            diagnostics: self.state.diagnostics_of(&objects, &behind, rejected),
            whole: false,
        }
    }

    /// Compiles everything again.
    fn whole(&mut self, beyond: Beyond) -> Update {
        let before = self.state.status_before(beyond);
        self.store.index_all();
        self.state = State::new(&self.store.lookup(&self.options));
        let (status, gone) = self.state.status().since(before);
        Update { table: self.state.table.clone(), status, gone, diagnostics: self.diagnostics(), whole: true }
    }
}
