//! Who is measured, and how each is started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::routes;

/// What carries requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The bare proxy on hyper.
    Bare,
    /// Gatewright, without a line for each request.
    Gatewright,
    /// Gatewright as it is when nobody says otherwise.
    Logging,
    /// nginx.
    Nginx,
    /// haproxy.
    Haproxy,
}

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Http2,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) program: Program,
    pub(crate) routes: usize,
    pub(crate) client: Client,
}

/// All lines, in the order in which a round runs them.
pub(crate) const ALL: &[Contender] = &[
    new(Program::Bare, 1, Client::Plain),
    new(Program::Gatewright, 1, Client::Plain),
    new(Program::Nginx, 1, Client::Plain),
    new(Program::Haproxy, 1, Client::Plain),
    new(Program::Gatewright, 1_000, Client::Plain),
    new(Program::Nginx, 1_000, Client::Plain),
    new(Program::Haproxy, 1_000, Client::Plain),
    new(Program::Gatewright, 10_000, Client::Plain),
    new(Program::Nginx, 10_000, Client::Plain),
    new(Program::Haproxy, 10_000, Client::Plain),
    new(Program::Logging, 1_000, Client::Plain),
    new(Program::Bare, 1, Client::Tls),
    new(Program::Gatewright, 1_000, Client::Tls),
    new(Program::Nginx, 1_000, Client::Tls),
    new(Program::Haproxy, 1_000, Client::Tls),
    new(Program::Bare, 1, Client::Http2),
    new(Program::Gatewright, 1_000, Client::Http2),
    new(Program::Nginx, 1_000, Client::Http2),
    new(Program::Haproxy, 1_000, Client::Http2),
];

const fn new(program: Program, routes: usize, client: Client) -> Contender {
    Contender { program, routes, client }
}

impl Contender {
    /// As the table names it.
    pub(crate) fn name(&self) -> String {
        match self.program {
            Program::Bare => "hyper, no routing".to_owned(),
            Program::Gatewright => "gatewright".to_owned(),
            Program::Logging => "gatewright with its access log".to_owned(),
            Program::Nginx => "nginx".to_owned(),
            Program::Haproxy => "haproxy".to_owned(),
        }
    }
}

/// Files and addresses of a run.
pub(crate) struct Ground {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) backend: SocketAddr,
    pub(crate) gatewright: PathBuf,
}

impl Ground {
    /// Makes the certificate.
    pub(crate) fn new(backend: SocketAddr, gatewright: PathBuf) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let names: Vec<String> = vec!["*.example.com".to_owned()];
        let signed = rcgen::generate_simple_self_signed(names).map_err(|error| error.to_string())?;
        let ground = Self { folder, backend, gatewright };
        let (certificate, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
        ground.write("cert.pem", &certificate)?;
        ground.write("key.pem", &key)?;
        ground.write("both.pem", &(certificate.clone() + &key))?;
        let indented = |pem: &str| pem.lines().map(|line| format!("    {line}\n")).collect::<String>();
        let secret = format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: cert}}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}",
            indented(&certificate),
            indented(&key)
        );
        ground.write("secret.yaml", &secret)?;
        Ok(ground)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<String, String> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }
}

/// Starts a contender on a port, on the first core.
pub(crate) fn start(contender: &Contender, ground: &Ground, port: u16) -> Result<Child, String> {
    let (tls, backend) = (contender.client != Client::Plain, ground.backend.to_string());
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]);
    match contender.program {
        Program::Bare => {
            let own = std::env::current_exe().map_err(|error| error.to_string())?;
            command.arg(own).args(["bare", &format!("127.0.0.1:{port}"), &backend]);
            if tls {
                command.args(["--tls", &ground.path("cert.pem"), &ground.path("key.pem")]);
            }
        }
        Program::Gatewright | Program::Logging => {
            let secret = std::fs::read_to_string(ground.path("secret.yaml")).map_err(|error| error.to_string())?;
            let manifests = ground.write("routes.yaml", &routes::manifests(contender.routes, tls.then_some(&secret)))?;
            command.arg(&ground.gatewright).args(["serve", &manifests, "--bind", "127.0.0.1", "--port-map", &format!("80={port}")]);
            command
                .args(["--resolve", &format!("default/web:80={backend}"), "--admin", "off"])
                .args(["--requests-per-connection", "1000000000"])
                .env("RUST_LOG", "error");
            if contender.program == Program::Gatewright {
                command.args(["--access-log", "off"]);
            }
        }
        Program::Nginx => {
            let (certificate, key) = (ground.path("cert.pem"), ground.path("key.pem"));
            let config = routes::nginx(contender.routes, port, &backend, tls.then_some((&*certificate, &*key)));
            command.args(["nginx", "-c", &ground.write("nginx.conf", &config)?]);
        }
        Program::Haproxy => {
            let pem = ground.path("both.pem");
            let (config, map) = routes::haproxy(contender.routes, port, &backend, &ground.path("routes.map"), tls.then_some(&*pem));
            ground.write("routes.map", &map)?;
            command.args(["haproxy", "-db", "-q", "-f", &ground.write("haproxy.cfg", &config)?]);
        }
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| format!("{}: {error}", contender.name()))
}

/// The version of a program, as it says it itself.
pub(crate) fn version(program: &str, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("not here").to_owned()
}

/// Beside this program.
pub(crate) fn beside_this(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    Some(own.parent().unwrap_or(Path::new(".")).join(name)).filter(|path| path.exists())
}
