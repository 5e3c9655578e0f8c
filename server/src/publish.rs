//! From manifests to the table that serves: what changes is compiled aside, and swapped in one step.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use gatewright::table::{GatewayInfo, PortId, PortInfo, PortProtocol};
use gatewright::{Changes, Compiler, Diagnostic, Extension, ObjectRef, Options, Resources, Severity, Table};
use tokio::sync::watch;

use crate::certificates::Certificates;
use crate::extensions::{Extensions, KeyFiles};
use crate::observe::{History, Metrics, Series};
use crate::proxy::BackendsTls;
use crate::source::Snapshot;

/// What carries a port: TCP and UDP may share a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Connections: HTTP, TLS, TCP.
    Tcp,
    /// Datagrams.
    Udp,
}

/// A port of a Gateway by name: what stays the same from table to table. What a port of TCP speaks may change while it
/// stays open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortKey {
    /// Namespace of the Gateway.
    pub namespace: String,
    /// Its name.
    pub gateway: String,
    /// The port.
    pub port: u16,
    /// What carries it.
    pub transport: Transport,
}

impl std::fmt::Display for PortKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let suffix = if self.transport == Transport::Udp { "/udp" } else { "" };
        write!(f, "{}/{}:{}{suffix}", self.namespace, self.gateway, self.port)
    }
}

/// The table that serves, its ports by name, the certificates of its listeners, and TLS towards its backends.
#[derive(Debug, Default)]
pub struct Published {
    /// The table.
    pub table: Table,
    /// The ports that this server serves.
    pub ports: BTreeMap<PortKey, PortId>,
    /// The certificates.
    pub certificates: Certificates,
    /// How to speak TLS to backends.
    pub backends_tls: BackendsTls,
    /// The policies of its rules.
    pub extensions: Extensions,
    /// Where its requests are counted.
    pub series: Series,
}

/// Why a change was not taken.
#[derive(Debug)]
pub struct Rejected {
    /// In one sentence.
    pub reason: String,
    /// What was found.
    pub diagnostics: Vec<Diagnostic>,
}

/// Follows snapshots and holds the last good table.
#[derive(Debug)]
pub struct Publisher {
    options: Options,
    /// What the last snapshot that could be read has led to; what changes from one to the next is compiled.
    compiler: Option<Compiler>,
    /// `namespace/name` of the one Gateway to serve.
    gateway: Option<String>,
    keys: KeyFiles,
    current: Arc<ArcSwap<Published>>,
    changed: watch::Sender<()>,
    hash: Option<u64>,
    metrics: Arc<Metrics>,
    history: Arc<History>,
}

impl Publisher {
    /// A publisher that has published an empty table.
    ///
    /// Whatever the options say, only what the proxy carries out is compiled.
    pub fn new(mut options: Options, gateway: Option<String>) -> Self {
        options.features = crate::features::served();
        let (changed, _) = watch::channel(());
        let (metrics, history) = (Arc::<Metrics>::default(), Arc::default());
        let empty = Published { series: Series::new(&metrics), ..Published::default() };
        let (current, keys) = (Arc::new(ArcSwap::from_pointee(empty)), KeyFiles::new());
        Self { options, compiler: None, gateway, keys, current, changed, hash: None, metrics, history }
    }

    /// Files with the keys of issuers of tokens, for policies that name none.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyFiles) -> Self {
        self.keys = keys;
        self
    }

    /// What has been published, and what has not.
    pub fn history(&self) -> Arc<History> {
        Arc::clone(&self.history)
    }

    /// Where the table is read on each request.
    pub fn current(&self) -> Arc<ArcSwap<Published>> {
        Arc::clone(&self.current)
    }

    /// Wakes up after each swap.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Whether the last snapshot, taken or not, had this hash, and the files that its policies name are as they were.
    pub fn has_seen(&self, hash: u64) -> bool {
        self.hash == Some(hash_of(hash, self.current.load().extensions.files()))
    }

    /// Publishes a snapshot; `None` if it is the one before. What the specification has an answer for (an
    /// invalid rule, a missing Service) is published with that answer. What looks like a half-written file
    /// is not: text that cannot be read, a missing path, no Gateway at all. Then the last good table stays.
    ///
    /// Gives the findings about objects that were looked at: at first all, later those that have to do with the change.
    ///
    /// # Errors
    ///
    /// Why the snapshot was not taken.
    pub fn publish(&mut self, snapshot: Snapshot) -> Result<Option<Vec<Diagnostic>>, Rejected> {
        let before = self.current.load_full();
        let hash = hash_of(snapshot.hash, before.extensions.files());
        if self.hash.replace(hash) == Some(hash) {
            return Ok(None);
        }
        let manifests = snapshot.hash;
        let result = self.take(snapshot, &before);
        match &result {
            Ok(_) => self.history.published(manifests),
            Err(rejected) => self.history.rejected(&rejected.reason, &rejected.diagnostics),
        }
        result
    }

    fn take(&mut self, snapshot: Snapshot, before: &Published) -> Result<Option<Vec<Diagnostic>>, Rejected> {
        let Snapshot { loaded, errors, hash } = snapshot;
        if let Some(error) = errors.first() {
            return Err(Rejected { reason: error.to_string(), diagnostics: loaded.diagnostics });
        }
        if loaded.is_broken() {
            return Err(Rejected { reason: "a manifest cannot be read".to_owned(), diagnostics: loaded.diagnostics });
        }
        let (mut extensions, told) = Extensions::read(&loaded.kept, &loaded.resources, &self.keys, &before.extensions);
        let (table, found) = self.follow(loaded.resources, extensions.known());
        extensions.connect(&table);
        let mut diagnostics = loaded.diagnostics;
        diagnostics.extend(told.into_iter().chain(found).map(|mut diagnostic| {
            loaded.sources.locate(&mut diagnostic);
            diagnostic
        }));
        let ports = self.ports(&table);
        if ports.is_empty() {
            let wanted = self.gateway.as_deref().map(|name| format!(" `{name}`")).unwrap_or_default();
            return Err(Rejected { reason: format!("no Gateway{wanted} with a listener was found"), diagnostics });
        }
        let (certificates, backends_tls) = match &self.compiler {
            Some(compiler) => {
                let resources = compiler.resources();
                let certificates = Certificates::read(&table, resources, &before.certificates);
                (certificates, BackendsTls::read(&table, resources, &before.backends_tls, self.metrics.connects()))
            }
            None => Default::default(),
        };
        // A file that a policy was made of is known only now.
        self.hash = Some(hash_of(hash, extensions.files()));
        let series = Series::new(&self.metrics);
        self.current.store(Arc::new(Published { table, ports, certificates, backends_tls, extensions, series }));
        self.changed.send_replace(());
        Ok(Some(diagnostics))
    }

    /// Compiles what is new in these resources.
    fn follow(&mut self, resources: Resources, extensions: BTreeMap<ObjectRef, Extension>) -> (Table, Vec<Diagnostic>) {
        match &mut self.compiler {
            Some(compiler) => {
                let mut changes = Changes::between(compiler.resources(), resources);
                changes.extensions = Some(extensions);
                let update = compiler.update(changes);
                self.history.compiled(&update.status, &update.gone);
                (update.table, update.diagnostics)
            }
            None => {
                self.options.extensions = extensions;
                let compiler = self.compiler.insert(Compiler::new(resources, self.options.clone()));
                self.history.compiled(&compiler.status(), &[]);
                (compiler.table().clone(), compiler.diagnostics())
            }
        }
    }

    /// The ports to serve: those of the chosen Gateway.
    fn ports(&self, table: &Table) -> BTreeMap<PortKey, PortId> {
        let chosen = |gateway: &GatewayInfo| {
            let (namespace, name) = (&gateway.object.namespace, &gateway.object.name);
            self.gateway.as_deref().is_none_or(|wanted| wanted == format!("{namespace}/{name}"))
        };
        let key = |port: &PortInfo| {
            let gateway = table.gateway(port.gateway).filter(|gateway| chosen(gateway))?;
            let transport = if port.protocol == PortProtocol::Udp { Transport::Udp } else { Transport::Tcp };
            let (namespace, gateway) = (gateway.object.namespace.to_string(), gateway.object.name.to_string());
            Some((PortKey { namespace, gateway, port: port.number, transport }, port.id))
        };
        table.ports().iter().filter_map(key).collect()
    }
}

/// The hash of manifests along with the files that policies name.
fn hash_of(manifests: u64, files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    manifests.hash(&mut hasher);
    for file in files {
        std::fs::read(file).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}

/// Writes diagnostics to the log.
pub fn log(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        match diagnostic.severity {
            Severity::Error => tracing::error!("{diagnostic}"),
            Severity::Warning => tracing::warn!("{diagnostic}"),
            Severity::Info => tracing::info!("{diagnostic}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use gatewright::load::Loader;

    use super::*;

    const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: any, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
";

    fn route(name: &str, path: &str) -> String {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: gw}}]
  rules: [{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: web, port: 80}}]}}]
---
"
        )
    }

    fn snapshot(text: &str, hash: u64) -> Snapshot {
        let mut loader = Loader::new();
        loader.add_bytes("all.yaml", text.as_bytes());
        Snapshot { loaded: loader.finish(), errors: Vec::new(), hash }
    }

    /// What is refused leaves no trace, and what comes next is what its manifests say.
    #[test]
    fn the_last_good_table_stays() {
        let mut publisher = Publisher::new(Options::default(), None);
        let (current, mut hash) = (publisher.current(), 0);
        let mut publish = |text: &str| {
            hash += 1;
            publisher.publish(snapshot(text, hash)).map(|told| told.unwrap_or_default().len()).map_err(|rejected| rejected.reason)
        };
        let routes = || current.load().table.routes().map(|route| route.object.name.to_string()).collect::<Vec<_>>();
        let (a, b) = (route("a", "/a"), route("b", "/b"));
        publish(&[GATEWAY, &a].concat()).unwrap();
        assert_eq!(routes(), ["a"]);
        // Half-written files, and a snapshot without any Gateway.
        for broken in [[GATEWAY, "kind: {"].concat(), b.clone()] {
            publish(&broken).unwrap_err();
            assert_eq!(routes(), ["a"]);
        }
        publish(&[GATEWAY, &a, &b].concat()).unwrap();
        assert_eq!(routes(), ["a", "b"]);
        // Only what has to do with the change is told again: nothing about `b`, of which there is something to tell.
        let bad = route("b", "no-path");
        let told = publish(&[GATEWAY, &a, &bad].concat()).unwrap();
        assert!(told > 0);
        let other = publish(&[GATEWAY, &route("a", "/other"), &bad].concat()).unwrap();
        assert!(other < told, "{other} {told}");
    }
}
