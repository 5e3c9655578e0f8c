//! The objects of a cluster after each step of a case.

use std::path::Path;

use gatewright::load::Loader;
use gatewright::{Compiled, MissingServices, Options, Resources, compile};

use super::case::{Case, Named};

/// Name of the controller under test.
pub const CONTROLLER: &str = "gatewright.dev/conformance";
const CLASS: &str = "gatewright";

/// The objects of a cluster.
#[derive(Debug)]
pub struct State {
    /// The objects, each a manifest.
    documents: Vec<(Identity, String)>,
}

/// Kind, namespace and name.
type Identity = (String, String, String);

impl State {
    /// The base objects of a case.
    ///
    /// # Errors
    ///
    /// Files that cannot be read.
    pub fn base(suite: &Path, case: &Case) -> Result<Self, String> {
        let mut state = Self { documents: Vec::new() };
        for base in &case.base {
            state.apply(&read(&suite.join(base))?);
        }
        let class = format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {{name: {CLASS}}}\nspec: {{controllerName: {CONTROLLER}}}\n"
        );
        state.apply(&class);
        state.apply(&certificates(&read(&suite.join("base-generated.yaml"))?));
        Ok(state)
    }

    /// Does one step.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, and actions that are not known.
    pub fn step(&mut self, case: &Case, number: u32) -> Result<(), String> {
        for step in case.steps.iter().filter(|step| step.step == number) {
            match step.action.as_str() {
                "apply" | "create" | "replace" => {
                    let name = step.manifests.as_deref().ok_or("a step without manifests")?;
                    self.apply(&read(&case.folder.join(name))?);
                }
                "delete" => {
                    for object in &step.objects {
                        self.delete(object)?;
                    }
                }
                other => return Err(format!("unknown action `{other}`")),
            }
        }
        Ok(())
    }

    fn apply(&mut self, text: &str) {
        let text = text.replace("{GATEWAY_CLASS_NAME}", CLASS).replace("{GATEWAY_CONTROLLER_NAME}", CONTROLLER);
        for document in text.split("\n---") {
            let document = document.trim_start_matches("---");
            let identity = identity(document);
            self.documents.retain(|(other, _)| *other != identity || identity.2.is_empty());
            self.documents.push((identity, document.to_owned()));
        }
    }

    fn delete(&mut self, object: &Named) -> Result<(), String> {
        let before = self.documents.len();
        let namespace = object.namespace.as_deref().unwrap_or_default();
        self.documents
            .retain(|((kind, of, name), _)| (kind.as_str(), of.as_str(), name.as_str()) != (&object.kind, namespace, &object.name));
        if self.documents.len() == before { Err(format!("nothing to delete: {object:?}")) } else { Ok(()) }
    }

    /// The objects as resources.
    ///
    /// # Errors
    ///
    /// What the loader could not read.
    pub fn resources(&self) -> Result<Resources, String> {
        let mut loader = Loader::new();
        for ((kind, namespace, name), document) in &self.documents {
            loader.add_text(&format!("{kind}/{namespace}/{name}"), document);
        }
        let loaded = loader.finish();
        if loaded.is_broken() {
            return Err(loaded.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
        Ok(loaded.resources)
    }

    /// The objects as one text.
    pub fn manifests(&self) -> String {
        self.documents.iter().map(|(_, document)| document.trim_end()).collect::<Vec<_>>().join("\n---\n")
    }

    /// The objects, compiled as a controller does it.
    ///
    /// # Errors
    ///
    /// What the loader could not read.
    pub fn compile(&self) -> Result<Compiled, String> {
        let mut options = Options::default();
        options.controller = Some(CONTROLLER.into());
        options.missing_services = MissingServices::NotFound;
        Ok(compile(&self.resources()?, &options))
    }
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Kind, namespace and name of a document, by its own reader: only the loader under test reads the rest.
fn identity(document: &str) -> Identity {
    #[derive(serde::Deserialize)]
    struct Object {
        kind: String,
        metadata: Metadata,
    }
    #[derive(serde::Deserialize)]
    struct Metadata {
        name: String,
        #[serde(default)]
        namespace: String,
    }
    match serde_saphyr::from_str::<Object>(document) {
        Ok(object) => (object.kind, object.metadata.namespace, object.metadata.name),
        Err(_) => Identity::default(),
    }
}

/// The Secrets that the suite creates at run time; nobody here parses what is in them.
fn certificates(text: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Generated {
        kind: String,
        namespace: String,
        name: String,
    }
    let list: Vec<Generated> = serde_saphyr::from_str(text).unwrap_or_default();
    let pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K";
    let secret = |g: &Generated| {
        let Generated { namespace, name, .. } = g;
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\ntype: kubernetes.io/tls\ndata: {{tls.crt: {pem}, tls.key: {pem}}}\n"
        )
    };
    list.iter().filter(|g| g.kind == "Secret").map(secret).collect::<Vec<_>>().join("\n---\n")
}
