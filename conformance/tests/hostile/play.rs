//! Manifests of a scenario, compiled and asked.

use gatewright::load::{Loaded, load_text};
use gatewright::{Arrival, Authority, Compiled, Decision, MissingServices, Options, Pick, Request, Severity, compile};

pub(crate) const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: infra}
spec:
  gatewayClassName: any
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
";

/// What became of manifests.
pub(crate) struct Play {
    pub(crate) loaded: Loaded,
    pub(crate) compiled: Compiled,
}

/// Compiles manifests in which Services that are not given exist.
pub(crate) fn play(manifests: &str) -> Play {
    play_with(manifests, &assuming())
}

pub(crate) fn assuming() -> Options {
    let mut options = Options::default();
    options.missing_services = MissingServices::Assume;
    options
}

pub(crate) fn play_with(manifests: &str, options: &Options) -> Play {
    let loaded = load_text("scenario", manifests);
    let compiled = compile(&loaded.resources, options);
    Play { loaded, compiled }
}

/// One HTTPRoute `app/app` of the Gateway, with what its spec has beside parentRefs.
pub(crate) fn route(spec: &str) -> String {
    format!(
        "{GATEWAY}---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: app, namespace: app}}\n\
         spec: {{parentRefs: [{{name: gw, namespace: infra}}], {spec}}}\n"
    )
}

/// A text in YAML that stands for exactly these characters.
pub(crate) fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

impl Play {
    /// Whether a condition of the first HTTPRoute is true, and its reason.
    pub(crate) fn route_condition(&self, type_: &str) -> (bool, String) {
        let route = self.compiled.status.http_routes.first().expect("a route with status");
        let conditions = &route.status.parents.first().expect("a parent").conditions;
        let condition = conditions.iter().find(|condition| condition.type_ == type_).expect("the condition");
        (condition.status.to_string() == "True", condition.reason.clone())
    }

    pub(crate) fn accepted(&self) -> (bool, String) {
        self.route_condition("Accepted")
    }

    /// Whether the manifests were refused: an object that was not read, or an error that names what is wrong.
    pub(crate) fn has_error(&self) -> bool {
        let of_compile = self.compiled.diagnostics.iter().chain(&self.loaded.diagnostics);
        of_compile.into_iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The decision in one line.
    pub(crate) fn ask(&self, port: u16, pick: u64, method: &str, url: &str, headers: &[(&str, &str)]) -> String {
        let (host, target) = url.split_at(url.find('/').unwrap_or(url.len()));
        let table = &self.compiled.table;
        let Some(port) = table.gateways().iter().find_map(|gateway| table.find_port(gateway.id, port)) else { return "no port".to_owned() };
        let request = Request {
            arrival: Arrival::with_sni(port.id, host),
            method,
            scheme: None,
            authority: Authority::Given(host.as_bytes()),
            target: target.as_bytes(),
            headers,
        };
        match table.decide(&request, Pick(pick)) {
            Decision::Forward(d) => {
                let object = &table.backend(d.backend).expect("a backend").object;
                format!("{}/{} {}", object.namespace, object.name, d.target)
            }
            Decision::Redirect(d) => format!("{} {}", d.status.as_u16(), d.location),
            Decision::Respond(d) => format!("{} {}", d.status.as_u16(), d.reason.as_str()),
            other => format!("{other:?}"),
        }
    }

    pub(crate) fn get(&self, url: &str) -> String {
        self.ask(80, 0, "GET", url, &[])
    }
}
