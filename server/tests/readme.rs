//! The examples of the README do what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Blocks of the README that begin so.
fn blocks(fence: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    readme.split(fence).skip(1).map(|block| block.split_once("```").unwrap().0.to_owned()).collect()
}

fn path() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_gatewright")).parent().unwrap();
    format!("{}:{}", program.display(), std::env::var("PATH").unwrap())
}

#[test]
fn console_examples() {
    let mut examples = 0;
    for block in blocks("```console\n") {
        let (command, expected) = block.strip_prefix("$ ").and_then(|block| block.split_once('\n')).unwrap();
        let output = Command::new("sh").args(["-c", command]).current_dir(root()).env("PATH", path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{command}");
        examples += 1;
    }
    assert_eq!(examples, 3);
}

/// TLS, a redirect to it, WebSocket and the admin port, by the commands as they stand there; only the ports are others, which
/// may be taken.
#[test]
fn the_tryout() {
    if ["openssl", "curl", "bash"].iter().any(|tool| Command::new(tool).arg("--version").stdout(Stdio::null()).status().is_err()) {
        return eprintln!("skipped: the commands need openssl, curl and bash");
    }
    let [certificate, start, requests] = &blocks("```sh tryout\n")[..] else { panic!("three blocks") };
    let ports: Vec<String> = (0..4)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
        .collect::<Vec<_>>()
        .iter()
        .map(|socket| socket.local_addr().unwrap().port().to_string())
        .collect();
    let start = start.replacen("--bind", "--admin 127.0.0.1:9901 --bind", 1);
    let ready = "for i in $(seq 100); do curl -s -o /dev/null 127.0.0.1:9901/readyz && break; sleep 0.1; done";
    let script = format!("set -e\n{certificate}\n{start}\n{ready}\nset +e\n{requests}\nkill %1 %2\n");
    let numbers = ["9001", "8080", "8443", "9901"];
    // The redirect is to the port that the example's route names.
    let script = numbers.iter().zip(&ports).fold(script, |script, (number, port)| script.replace(number, port));
    let script = script.replace("target/tryout", &format!("target/tryout-{}", ports[0]));
    let output = Command::new("bash").args(["-c", &script]).current_dir(root()).env("PATH", path()).output().unwrap();
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let folder = root().join(format!("target/tryout-{}", ports[0]));
    let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
    for expected in [
        "302 https://shop.example.com:8443/cart",
        "\"path\": \"/cart\"",
        "HTTP/1.1 101 Switching Protocols",
        "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "\"decision\":\"forward\"",
    ] {
        assert!(said.contains(expected), "no {expected}:\n{said}\n{error}\n{log}");
    }
    let access = std::fs::read_to_string(folder.join("access.log")).unwrap();
    assert!(access.contains("\"route\":\"HTTPRoute/default/shop\""), "{access}");
    std::fs::remove_dir_all(folder).unwrap();
}
