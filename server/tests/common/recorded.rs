//! A gateway whose backends record what reaches them.

use std::net::SocketAddr;
use std::time::Duration;

use gatewright_server::echo::{self, Echo, Name};
use gatewright_server::proxy::Settings;
use tokio::sync::mpsc;

use super::Live;

/// A gateway, with an echo backend for every backendRef of its manifests.
pub struct Recorded {
    pub live: Live,
    seen: mpsc::UnboundedReceiver<Echo>,
}

impl Recorded {
    pub async fn start(manifests: &str) -> Self {
        Self::start_with(manifests, &[], Settings { drain: Duration::from_secs(5), ..Settings::default() }).await
    }

    /// `resolve` has backends that are no echoes.
    pub async fn start_with(manifests: &str, resolve: &[(&str, SocketAddr)], settings: Settings) -> Self {
        let loaded = gatewright::load::load_text("recorded", manifests);
        let (sender, seen) = mpsc::unbounded_channel();
        let mut refs = Vec::new();
        for route in &loaded.resources.http_routes {
            let backends = route.spec.rules.iter().flatten().flat_map(|rule| &rule.backend_refs);
            refs.extend(backends.map(|to| (&route.metadata, &to.namespace, &to.name, to.port)));
        }
        for rule in loaded.resources.http_routes.iter().flat_map(|route| route.spec.rules.iter().flatten().map(move |rule| (route, rule))) {
            let (route, rule) = rule;
            let mirrors = rule.filters.iter().filter_map(|filter| Some(&filter.request_mirror.as_ref()?.backend_ref));
            refs.extend(mirrors.map(|to| (&route.metadata, &to.namespace, &to.name, to.port)));
        }
        for route in &loaded.resources.grpc_routes {
            let backends = route.spec.rules.iter().flat_map(|rule| &rule.backend_refs);
            refs.extend(backends.map(|to| (&route.metadata, &to.namespace, &to.name, to.port)));
        }
        let mut names = resolve.iter().map(|(name, address)| ((*name).to_owned(), *address)).collect::<Vec<_>>();
        for (metadata, namespace, name, port) in refs {
            let namespace = namespace.clone().or_else(|| metadata.namespace.clone()).unwrap_or_else(|| "default".into());
            let resolved = format!("{namespace}/{name}:{}", port.unwrap_or_default());
            if !names.iter().any(|(known, _)| *known == resolved) {
                let address = echo::start(Name { namespace, service: name.clone() }, Some(sender.clone())).await.unwrap();
                names.push((resolved, address));
            }
        }
        let resolve: Vec<_> = names.iter().map(|(name, address)| (name.as_str(), *address)).collect();
        Self { live: Live::start_with(manifests, &resolve, settings).await, seen }
    }

    pub fn address(&self) -> SocketAddr {
        self.live.address()
    }

    /// What has reached a backend as a whole.
    pub async fn reached(&mut self) -> Vec<Echo> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        std::iter::from_fn(|| self.seen.try_recv().ok()).collect()
    }
}
