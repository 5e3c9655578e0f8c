//! The certificates that the suite creates at run time, and who trusts whom.
//!
//! No cryptography: a certificate is known by its text, and the suite says which names it has and who signed
//! it. That is enough to answer what a decision must answer: which certificate, which trust root, which name. Who speaks
//! TLS puts texts of real certificates in their place.

use serde::Deserialize;
use serde_json::{Value, json};

/// One entry of `base-generated.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// `Secret` or `ConfigMap`.
    pub kind: String,
    /// Namespace of the object that carries it.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// What it is for.
    pub content: Content,
    /// DNS names in it.
    pub dns_names: Vec<String>,
    /// URIs in it.
    pub uris: Vec<String>,
    /// Name of the ConfigMap of the CA that signed it.
    pub ca: Option<String>,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A server, signed by itself.
    SelfSignedServer,
    /// An authority.
    Ca,
    /// A server.
    CaSignedServer,
    /// A client.
    CaSignedClient,
}

/// All of them.
#[derive(Debug)]
pub struct Certificates(Vec<Certificate>);

/// A name that a certificate must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WantedName {
    /// A DNS name; a wildcard covers one label.
    Dns(String),
    /// A URI.
    Uri(String),
}

impl Certificates {
    /// Reads `base-generated.yaml`.
    ///
    /// # Errors
    ///
    /// What is not of the shape that the README describes.
    pub fn read(text: &str) -> Result<Self, String> {
        let list: Vec<Certificate> = serde_saphyr::from_str(text).map_err(|error| format!("base-generated.yaml: {error}"))?;
        let all = Self(list);
        let unsigned = all.0.iter().find(|c| c.ca.is_some() && all.issuer(c).is_none());
        if let Some(certificate) = unsigned {
            return Err(format!("{}/{}: no such CA", certificate.namespace, certificate.name));
        }
        Ok(all)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter()
    }

    /// The Secrets and ConfigMaps that carry them.
    pub(super) fn objects(&self) -> impl Iterator<Item = Value> {
        self.0.iter().map(|c| {
            let metadata = json!({"name": c.name, "namespace": c.namespace});
            if c.content == Content::Ca {
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": c.pem()}})
            } else {
                let data = json!({"tls.crt": base64(c.pem().as_bytes()), "tls.key": base64(c.key_pem().as_bytes())});
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data})
            }
        })
    }

    /// The text of a CA certificate, by `namespace/name` of its ConfigMap.
    pub(super) fn ca(&self, name: &str) -> Option<String> {
        self.0.iter().find(|c| c.content == Content::Ca && format!("{}/{}", c.namespace, c.name) == name).map(Certificate::pem)
    }

    /// The certificate with this text.
    pub(super) fn by_pem(&self, text: &str) -> Option<&Certificate> {
        self.0.iter().find(|c| c.pem() == text)
    }

    /// Whether a certificate chains up to one of the trusted texts and has one of the names, if any is asked for.
    pub(super) fn verify(&self, certificate: &Certificate, trusted: &[String], names: &[WantedName]) -> Result<(), String> {
        let issuer = self.issuer(certificate).map(Certificate::pem);
        // A certificate that is itself trusted needs no issuer.
        if !trusted.iter().any(|root| *root == certificate.pem() || Some(root) == issuer.as_ref()) {
            return Err(format!("{} is not signed by a trusted authority", certificate.title()));
        }
        if names.is_empty() || names.iter().any(|name| certificate.has(name)) {
            return Ok(());
        }
        Err(format!("{} has none of the names {names:?}", certificate.title()))
    }

    /// Who signed a certificate: the CA in the same namespace, unless it exists only in that of the Gateways.
    pub fn issuer(&self, certificate: &Certificate) -> Option<&Certificate> {
        let name = certificate.ca.as_ref()?;
        let mut named = self.0.iter().filter(|c| c.content == Content::Ca && c.name == *name);
        let first = named.clone().next();
        named.find(|c| c.namespace == certificate.namespace).or(first)
    }
}

impl Certificate {
    fn title(&self) -> String {
        format!("{} {}/{}", self.kind, self.namespace, self.name)
    }

    /// The text that stands for it.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.title())
    }

    /// The text that stands for its key.
    pub fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.title())
    }

    fn has(&self, name: &WantedName) -> bool {
        match name {
            WantedName::Dns(name) => self.dns_names.iter().any(|own| covers(own, name) || covers(name, own)),
            WantedName::Uri(uri) => self.uris.contains(uri),
        }
    }
}

/// Whether a name of a certificate covers another: equal, or a wildcard for exactly one label.
fn covers(pattern: &str, name: &str) -> bool {
    let wildcard = || name.split_once('.').zip(pattern.strip_prefix("*.")).is_some_and(|((_, rest), own)| rest.eq_ignore_ascii_case(own));
    pattern.eq_ignore_ascii_case(name) || wildcard()
}

/// A text with the frame of PEM; its content is a DER sequence with one string, the title.
fn pem(label: &str, title: &str) -> String {
    let string: Vec<u8> = title.bytes().take(100).collect();
    let length = u8::try_from(string.len()).unwrap_or(0);
    let der: Vec<u8> = [0x30, length + 2, 0x0c, length].into_iter().chain(string).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64(&der))
}

/// Base64 as Kubernetes writes the data of a Secret.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for n in 0..4_usize {
            let letter = ALPHABET[(group >> (18 - 6 * n) & 63) as usize];
            text.push(if n <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// The text behind base64; `None` for what is not base64 or not text.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut group, mut bits) = (0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (group, bits) = (group << 6 | u32::from(value), bits + 6);
        if bits >= 8 {
            bits -= 8;
            bytes.push((group >> bits) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"
- {kind: ConfigMap, namespace: infra, name: ca, content: ca, dns_names: [], uris: [], ca: null}
- {kind: ConfigMap, namespace: infra, name: other, content: ca, dns_names: [], uris: [], ca: null}
- {kind: Secret, namespace: apps, name: server, content: ca_signed_server, dns_names: [a.example.com, "*.org"], uris: ["spiffe://a"], ca: ca}
"#;

    #[test]
    fn a_certificate_has_its_issuer_and_its_names() {
        let all = Certificates::read(LIST).unwrap();
        let secret = all.objects().nth(2).unwrap();
        let pem = decode(secret["data"]["tls.crt"].as_str().unwrap()).unwrap();
        let server = all.by_pem(&pem).unwrap();
        let (ca, other) = (all.ca("infra/ca").unwrap(), all.ca("infra/other").unwrap());
        let dns = |name: &str| WantedName::Dns(name.into());
        let holds = |roots: &[String], name: WantedName| all.verify(server, roots, &[name]).is_ok();
        assert!(holds(std::slice::from_ref(&ca), dns("a.example.com")));
        assert!(holds(std::slice::from_ref(&ca), dns("b.org")));
        assert!(holds(std::slice::from_ref(&ca), dns("*.example.com")), "a pattern of a policy");
        assert!(holds(std::slice::from_ref(&ca), WantedName::Uri("spiffe://a".into())));
        assert!(holds(&[other.clone(), pem.clone()], dns("b.org")), "trusted itself");
        assert!(!holds(std::slice::from_ref(&other), dns("a.example.com")));
        assert!(!holds(&[], dns("a.example.com")));
        assert!(!holds(std::slice::from_ref(&ca), dns("b.example.com")));
        assert!(!holds(std::slice::from_ref(&ca), dns("a.b.org")), "a wildcard is one label");
        assert!(!holds(std::slice::from_ref(&ca), WantedName::Uri("spiffe://b".into())));
    }

    #[test]
    fn base64_is_the_usual_one() {
        for (text, wanted) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(text.as_bytes()), wanted);
            assert_eq!(decode(wanted).as_deref(), Some(text));
        }
    }
}
