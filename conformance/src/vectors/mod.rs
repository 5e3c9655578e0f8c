//! The project's own vectors: manifests, then what a correct engine says to requests and connections and writes as
//! status. They are data for every language; `conformance/vectors/README.md` describes the format, and this is its
//! reader for Rust. The examples of `examples/` are compared by the same functions.

mod auth;
mod backend_tls;
mod connection;
pub(crate) mod conversation;
mod differences;
mod options;
mod request;
pub mod second;
mod status;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gatewright::load::{Loaded, Loader};
use gatewright::{Compiled, compile};
use serde::Deserialize;

pub use self::auth::WantedAuth;
pub use self::backend_tls::WantedTls;
pub use self::connection::{Connected, Transport, WantedValidation};
pub use self::conversation::Step;
pub use self::differences::Differences;
pub(crate) use self::differences::fields;
pub use self::options::OptionSettings;
pub(crate) use self::request::nth_pick;
pub use self::request::{Asked, Place};
pub use self::status::{WantedDiagnostic, WantedStatus, diagnostics, object_name};

/// One file of vectors. Unknown keys are refused everywhere: an assertion must not pass unread.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What the vectors of the file have in common.
    pub about: String,
    /// Features that every vector of the file shows.
    #[serde(default)]
    pub features: Vec<String>,
    /// Files of manifests below `fixtures/`, for every vector.
    #[serde(default)]
    pub fixtures: Vec<String>,
    /// Manifests for every vector.
    #[serde(default)]
    pub manifests: String,
    /// Options for every vector that has none.
    pub options: Option<OptionSettings>,
    /// Where requests arrive that do not say it.
    pub place: Option<Place>,
    /// The vectors.
    pub vectors: Vec<Vector>,
}

/// One vector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// Unique in its file.
    pub id: String,
    /// What it shows.
    pub about: String,
    /// The rules it shows, for instance `M-12`.
    pub rules: Vec<String>,
    /// The features it shows ([R-14]), beside the file's.
    #[serde(default)]
    pub features: Vec<String>,
    /// Instead of the file's fixtures.
    pub fixtures: Option<Vec<String>>,
    /// Added to the file's manifests.
    #[serde(default)]
    pub manifests: String,
    /// Instead of the file's options.
    pub options: Option<OptionSettings>,
    /// Instead of the file's place.
    pub place: Option<Place>,
    /// Requests with their decisions.
    #[serde(default)]
    pub requests: Vec<Asked>,
    /// Connections and flows with their decisions.
    #[serde(default)]
    pub connections: Vec<Connected>,
    /// Conversations: the requests of one client, in order.
    #[serde(default)]
    pub conversations: Vec<Vec<Step>>,
    /// What stands in the status of objects.
    #[serde(default)]
    pub status: Vec<WantedStatus>,
    /// Findings that are told; others may be, too.
    #[serde(default)]
    pub diagnostics: Vec<WantedDiagnostic>,
    /// Whether nothing is found but notes.
    #[serde(default)]
    pub clean: bool,
    /// Texts that no message may contain.
    #[serde(default)]
    pub hidden: Vec<String>,
    /// What every vector of the file has; filled in when the file is read.
    #[serde(skip)]
    pub world: World,
}

/// The input of a vector.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// File of the vector, below the folder of vectors, without ending.
    pub file: String,
    /// Manifests, each with a name.
    pub manifests: Vec<(String, String)>,
    /// Options.
    pub options: OptionSettings,
    /// Where requests arrive that do not say it.
    pub place: Place,
}

/// The folder of the vectors.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Every vector below a folder, in the order of files and of places in them.
///
/// # Errors
///
/// The first file that cannot be read or that breaks the format.
pub fn read(folder: &Path) -> Result<Vec<Vector>, String> {
    let mut vectors = Vec::new();
    for path in files(folder)? {
        let name = path.strip_prefix(folder).unwrap_or(&path).with_extension("").display().to_string();
        let text = text(&path)?;
        let file: File = serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut ids = BTreeSet::new();
        for mut vector in file.vectors {
            if !ids.insert(vector.id.clone()) {
                return Err(format!("{name}: the id `{}` is taken", vector.id));
            }
            if vector.rules.is_empty() {
                return Err(format!("{name}: vector `{}` names no rule", vector.id));
            }
            if vector.checks() == 0 {
                return Err(format!("{name}: vector `{}` checks nothing", vector.id));
            }
            let more = file.features.iter().filter(|name| !vector.features.contains(name)).cloned().collect::<Vec<_>>();
            vector.features.extend(more);
            let mut manifests = Vec::new();
            for fixture in vector.fixtures.as_ref().unwrap_or(&file.fixtures) {
                manifests.push((fixture.clone(), self::text(&folder.join("fixtures").join(fixture))?));
            }
            manifests.push((format!("{name} (file)"), file.manifests.clone()));
            manifests.push((vector.id.clone(), vector.manifests.clone()));
            vector.world = World {
                file: name.clone(),
                manifests,
                options: vector.options.clone().or_else(|| file.options.clone()).unwrap_or_default(),
                place: vector.place.clone().or_else(|| file.place.clone()).unwrap_or_default(),
            };
            vectors.push(vector);
        }
    }
    Ok(vectors)
}

/// Every file of vectors below a folder; fixtures are none.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>, String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() && !path.ends_with("fixtures") {
            found.append(&mut files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.insert(path);
        }
    }
    Ok(found)
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl World {
    /// The manifests as resources, and compiled.
    ///
    /// # Errors
    ///
    /// Options that are none.
    pub fn compile(&self) -> Result<(Loaded, Compiled), String> {
        let options = self.options.options()?;
        let loaded = self.load();
        let compiled = compile(&loaded.resources, &options);
        Ok((loaded, compiled))
    }

    fn load(&self) -> Loaded {
        let mut loader = Loader::new();
        for (name, text) in self.texts() {
            loader.add_text(name, text);
        }
        loader.finish()
    }

    /// The manifests that say something.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &(String, String)> {
        self.manifests.iter().filter(|(_, text)| !text.is_empty())
    }

    /// Puts other manifests in the place of the vector's own.
    pub(crate) fn replace_own(&mut self, manifests: &str) {
        if let Some(own) = self.manifests.last_mut() {
            manifests.clone_into(&mut own.1);
        }
    }
}

impl Vector {
    /// The name by which it is cited: `file::id`.
    pub fn name(&self) -> String {
        format!("{}::{}", self.world.file, self.id)
    }

    /// Number of assertions.
    pub fn checks(&self) -> usize {
        let steps: usize = self.conversations.iter().map(Vec::len).sum();
        let asked = self.requests.len() + self.connections.len() + steps;
        asked + self.status.len() + self.diagnostics.len() + self.hidden.len() + usize::from(self.clean)
    }

    /// Compiles the manifests and checks everything; says what is wrong.
    pub fn run(&self) -> Vec<String> {
        let (loaded, compiled) = match self.world.compile() {
            Ok(both) => both,
            Err(error) => return vec![error],
        };
        let mut wrong: Vec<String> = self.conversations.iter().flat_map(|steps| conversation::check(steps, &self.world)).collect();
        for asked in &self.requests {
            let told = asked.check(&self.world.place, &compiled.table).unwrap_or_else(|error| vec![error]);
            wrong.extend(told.into_iter().map(|told| format!("{}: {told}", asked.name())));
        }
        for connected in &self.connections {
            let told = connected.check(&self.world.place, &compiled.table).unwrap_or_else(|error| vec![error]);
            wrong.extend(told.into_iter().map(|told| format!("{}: {told}", connected.name())));
        }
        wrong.extend(self.findings(&loaded, &compiled));
        wrong
    }

    /// Compares status, diagnostics and hidden texts.
    fn findings(&self, loaded: &Loaded, compiled: &Compiled) -> Vec<String> {
        let status = serde_json::to_value(&compiled.status).unwrap_or_default();
        let mut wrong: Vec<String> = self.status.iter().flat_map(|wanted| wanted.check(&status)).collect();
        let all: Vec<_> = loaded.diagnostics.iter().chain(&compiled.diagnostics).cloned().collect();
        wrong.extend(diagnostics(&self.diagnostics, all.clone(), self.clean));
        let told = status.to_string() + &all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        let shown = self.hidden.iter().filter(|text| told.contains(*text));
        wrong.extend(shown.map(|text| format!("`{text}` is told, which must stay hidden")));
        wrong
    }
}
