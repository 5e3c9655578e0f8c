//! The objects of a cluster after each step of a case, as an API server keeps them.

use std::collections::BTreeMap;
use std::path::Path;

use gatewright::load::{Loaded, Loader};
use gatewright::resource::status::GatewayStatusAddress;
use gatewright::{Compiled, Feature, MissingServices, Options, Resources, compile};
use serde_json::{Value, json};

use super::case::{Action, Case, Named};
use super::certificates::Certificates;
use super::pods::{self, Speaks};

/// Name of the controller under test.
pub const CONTROLLER: &str = "gatewright.dev/conformance";
/// The address that the gateway under test has.
pub(super) const USABLE_ADDRESS: &str = "192.0.2.1";
const UNUSABLE_ADDRESS: &str = "203.0.113.1";
const CLASS: &str = "gatewright";

/// The objects of a cluster.
#[derive(Debug)]
pub struct State {
    /// In the order of their creation.
    objects: Vec<Stored>,
    created: u32,
    /// The generation of each object after each step.
    generations: BTreeMap<u32, BTreeMap<Identity, i64>>,
    certificates: Certificates,
}

#[derive(Debug)]
struct Stored {
    identity: Identity,
    object: Value,
}

/// What is behind a port of a Service.
#[derive(Clone, Debug)]
pub struct TestBackend {
    /// Namespace of the Service and its pods.
    pub namespace: String,
    /// Name of the Service.
    pub service: String,
    /// Port of the Service.
    pub port: u16,
    /// Name of the first pod.
    pub pod: String,
    /// What the pod speaks there.
    pub speaks: Speaks,
    /// Name of the Secret with its certificate, if it speaks inside TLS.
    pub certificate: Option<String>,
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
        let certificates = Certificates::read(&read(&suite.join("base-generated.yaml"))?)?;
        let mut state = Self { objects: Vec::new(), created: 0, generations: BTreeMap::new(), certificates };
        let class = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": CLASS}, "spec": {"controllerName": CONTROLLER}
        });
        state.put(class)?;
        for base in &case.base {
            for object in state.read_objects(&suite.join(base))? {
                state.put(object)?;
            }
        }
        // The cases of meshes have no use for certificates.
        if case.base.iter().any(|base| base.starts_with("base")) {
            for object in state.certificates.objects().collect::<Vec<_>>() {
                state.put(object)?;
            }
        }
        Ok(state)
    }

    /// Does one step.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, and steps that do not fit the objects that are there.
    pub fn step(&mut self, case: &Case, number: u32) -> Result<(), String> {
        for step in case.steps.iter().filter(|step| step.step == number) {
            if step.action == Action::Delete {
                for object in &step.objects {
                    let before = self.objects.len();
                    self.objects.retain(|stored| stored.identity != identity_of(object));
                    if self.objects.len() == before {
                        return Err(format!("nothing to delete: {object}"));
                    }
                }
                continue;
            }
            let name = step.manifests.as_deref().ok_or("a step without manifests")?;
            let objects = self.read_objects(&case.folder.join(name))?;
            if step.action != Action::Apply {
                let given: Vec<_> = objects.iter().map(identity).collect();
                let named: Vec<_> = step.objects.iter().map(identity_of).collect();
                if given != named {
                    return Err(format!("{name} has {given:?}, the step names {named:?}"));
                }
                if let Some(object) = step.objects.iter().find(|o| self.object(o).is_some() != (step.action == Action::Replace)) {
                    return Err(format!("{:?}: {object}", step.action));
                }
            }
            for object in objects {
                self.put(object)?;
            }
        }
        let generations = self.objects.iter().filter_map(|stored| Some((stored.identity.clone(), generation_of(&stored.object)?)));
        self.generations.insert(number, generations.collect());
        Ok(())
    }

    /// The objects of a file, with values for the placeholders.
    fn read_objects(&self, path: &Path) -> Result<Vec<Value>, String> {
        let text = read(path)?;
        let mut objects = Vec::new();
        for document in text.split("\n---") {
            let document = document.trim_start_matches("---");
            let object: Value = serde_saphyr::from_str(document).map_err(|error| format!("{}: {error}", path.display()))?;
            objects.push(self.fill_in(object)?);
        }
        // `null` stands for no object.
        objects.retain(|object| !object.is_null());
        Ok(objects)
    }

    fn fill_in(&self, value: Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.placeholder(&text)?.unwrap_or(text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.fill_in(item)).collect::<Result<_, _>>()?),
            Value::Object(fields) => {
                Value::Object(fields.into_iter().map(|(name, value)| Ok((name, self.fill_in(value)?))).collect::<Result<_, String>>()?)
            }
            other => other,
        })
    }

    fn placeholder(&self, text: &str) -> Result<Option<String>, String> {
        let argument = |name: &str| text.strip_prefix('{')?.strip_suffix('}')?.strip_prefix(name)?.strip_prefix(':');
        let value = match text {
            "{GATEWAY_CLASS_NAME}" => CLASS.to_owned(),
            "{GATEWAY_CONTROLLER_NAME}" => CONTROLLER.to_owned(),
            "PLACEHOLDER_USABLE_ADDRS" => USABLE_ADDRESS.to_owned(),
            "PLACEHOLDER_UNUSABLE_ADDRS" => UNUSABLE_ADDRESS.to_owned(),
            _ => {
                let pod = |path: &str, ipv6: bool| {
                    let mut parts = path.split('/');
                    let (namespace, deployment, n) = (parts.next()?, parts.next()?, parts.next()?.parse::<usize>().ok()?);
                    let pod = self.pods().into_iter().filter(|pod| pod.is_of(namespace, deployment)).nth(n)?;
                    Some(if ipv6 { pod.ipv6().to_string() } else { pod.ipv4().to_string() })
                };
                let found = if let Some(name) = argument("CA_CERTIFICATE") {
                    self.certificates.ca(name)
                } else if let Some(path) = argument("POD_IPV4") {
                    pod(path, false)
                } else if let Some(path) = argument("POD_IPV6") {
                    pod(path, true)
                } else {
                    return if text.starts_with('{') && text.ends_with('}') {
                        Err(format!("unknown placeholder {text}"))
                    } else {
                        Ok(None)
                    };
                };
                found.ok_or_else(|| format!("no value for {text}"))?
            }
        };
        Ok(Some(value))
    }

    /// The value of a text of a case: the text, unless it is a placeholder.
    pub(super) fn value(&self, text: &str) -> String {
        self.placeholder(text).ok().flatten().unwrap_or_else(|| text.to_owned())
    }

    /// Writes an object as an API server does: the generation is raised with every change, the time of creation
    /// stays. Generations start at different numbers, so that a condition that speaks of another object is seen.
    fn put(&mut self, mut object: Value) -> Result<(), String> {
        let identity = identity(&object);
        if identity.0.is_empty() || identity.2.is_empty() {
            return Err(format!("an object without kind or name: {object}"));
        }
        let known = self.objects.iter_mut().find(|stored| stored.identity == identity);
        let (generation, created) = match &known {
            Some(old) => {
                let changed = content(&old.object) != content(&object);
                let generation = generation_of(&old.object).unwrap_or(0) + i64::from(changed);
                (generation, old.object["metadata"]["creationTimestamp"].clone())
            }
            None => {
                self.created += 1;
                let time = format!("2026-01-01T{:02}:{:02}:{:02}Z", self.created / 3600, self.created / 60 % 60, self.created % 60);
                (1 + i64::from(self.created) * 3, Value::String(time))
            }
        };
        object["metadata"]["generation"] = json!(generation);
        object["metadata"]["creationTimestamp"] = created;
        match known {
            Some(old) => old.object = object,
            None => self.objects.push(Stored { identity, object }),
        }
        Ok(())
    }

    /// An object by kind, namespace and name.
    pub(super) fn object(&self, named: &Named) -> Option<&Value> {
        let identity = identity_of(named);
        self.objects.iter().find(|stored| stored.identity == identity).map(|stored| &stored.object)
    }

    /// The objects of a kind.
    pub(super) fn objects_of<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s Value> {
        self.objects.iter().filter(move |stored| stored.identity.0 == kind).map(|stored| &stored.object)
    }

    /// `metadata.generation` of an object.
    pub(super) fn generation(&self, named: &Named) -> Option<i64> {
        generation_of(self.object(named)?)
    }

    /// `metadata.generation` of an object after a step.
    pub(super) fn generation_after(&self, step: u32, named: &Named) -> Option<i64> {
        self.generations.get(&step)?.get(&identity_of(named)).copied()
    }

    /// The pods that the Deployments run.
    pub(super) fn pods(&self) -> Vec<pods::Pod> {
        pods::of(self.objects_of("Deployment"))
    }

    /// What is behind each port of the Services that select pods.
    pub fn backends(&self) -> Vec<TestBackend> {
        let pods = self.pods();
        let mut backends = Vec::new();
        for service in self.objects_of("Service") {
            let Some(pod) = pods::selected(service, &pods).first().copied() else { continue };
            for port in service["spec"]["ports"].as_array().into_iter().flatten() {
                let number = |number: Option<u64>| number.and_then(|number| u16::try_from(number).ok());
                let (Some(port), Some(target)) = (number(port["port"].as_u64()), number(pods::target_port(port))) else { continue };
                let Some((speaks, tls)) = pod.speaks(target) else { continue };
                backends.push(TestBackend {
                    namespace: pod.namespace.clone(),
                    service: service["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                    port,
                    pod: pod.name.clone(),
                    speaks,
                    certificate: pod.server_certificate().filter(|_| tls).map(str::to_owned),
                });
            }
        }
        backends
    }

    /// The certificates that the suite created.
    pub(super) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// The objects as texts with names, with the EndpointSlices that a cluster keeps for its Services.
    pub fn texts(&self) -> Vec<(String, String)> {
        let slices = pods::endpoint_slices(self.objects_of("Service"), &self.pods());
        let text = |object: &Value| {
            let (kind, namespace, name) = identity(object);
            (format!("{kind}/{namespace}/{name}"), object.to_string())
        };
        self.objects.iter().map(|stored| &stored.object).chain(&slices).map(text).collect()
    }

    /// Those texts as resources.
    ///
    /// # Errors
    ///
    /// What the loader could not read.
    pub fn resources(&self) -> Result<Resources, String> {
        Ok(self.load()?.resources)
    }

    pub(super) fn load(&self) -> Result<Loaded, String> {
        let mut loader = Loader::new();
        self.texts().iter().for_each(|(name, text)| loader.add_text(name, text));
        let loaded = loader.finish();
        if loaded.is_broken() {
            return Err(loaded.diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
        Ok(loaded)
    }

    /// The objects as one text, without EndpointSlices: where the backends are is for its reader to say.
    pub fn manifests(&self) -> String {
        self.objects.iter().map(|stored| stored.object.to_string()).collect::<Vec<_>>().join("\n---\n")
    }

    /// The objects, compiled as a controller does it that supports what the case asks for, with some options beside.
    pub(super) fn compile(&self, mut resources: Resources, case: &Case, chosen: &[(&str, &str)]) -> Result<Compiled, String> {
        let mut options = options(case)?;
        for (name, value) in chosen {
            options.set(name, value)?;
        }
        let compiled = compile(&resources, &options);
        reverse(&mut resources);
        if compile(&resources, &options).status != compiled.status {
            return Err("the status depends on the order of the objects".to_owned());
        }
        Ok(compiled)
    }
}

/// The same objects in the opposite order.
fn reverse(resources: &mut Resources) {
    resources.gateway_classes.reverse();
    resources.gateways.reverse();
    resources.listener_sets.reverse();
    resources.http_routes.reverse();
    resources.grpc_routes.reverse();
    resources.tls_routes.reverse();
    resources.tcp_routes.reverse();
    resources.udp_routes.reverse();
    resources.reference_grants.reverse();
    resources.backend_tls_policies.reverse();
    resources.services.reverse();
    resources.endpoint_slices.reverse();
}

/// What the controller under test supports: everything but what the case runs without.
pub(super) fn options(case: &Case) -> Result<Options, String> {
    let mut options = Options::default();
    options.controller = Some(CONTROLLER.into());
    options.missing_services = MissingServices::NotFound;
    options.addresses = Some(vec![GatewayStatusAddress { type_: Some("IPAddress".into()), value: USABLE_ADDRESS.into() }]);
    for name in &case.conditions_to_run.only_if_unsupported {
        options.features = options.features.without(feature(name)?);
    }
    for name in case.features.iter().chain(&case.conditions_to_run.only_if_supported) {
        if !options.features.contains(feature(name)?) {
            return Err(format!("{} runs with and without {name}", case.case));
        }
    }
    Ok(options)
}

fn feature(name: &str) -> Result<Feature, String> {
    Feature::from_name(name).ok_or_else(|| format!("no feature is called {name}"))
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Kind, namespace and name of an object.
fn identity(object: &Value) -> Identity {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
}

fn generation_of(object: &Value) -> Option<i64> {
    object["metadata"]["generation"].as_i64()
}

fn identity_of(named: &Named) -> Identity {
    (named.kind.clone(), named.namespace().to_owned(), named.name.clone())
}

/// What a change of raises the generation: all but metadata and status.
fn content(object: &Value) -> Vec<(&String, &Value)> {
    object.as_object().into_iter().flatten().filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status")).collect()
}
