//! Certificates with keys, made at run time.

use std::collections::BTreeMap;

use gatewright_conformance::suite::{Certificate, Certificates, Content, Named, base64};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate with its key.
#[derive(Debug)]
pub struct Signed {
    /// Its common name.
    pub title: String,
    pub names: Vec<String>,
    pub pem: String,
    pub key: String,
}

impl Signed {
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }

    /// The certificate and those that lead from it to its authority.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.pem.as_bytes()).map(Result::unwrap).collect()
    }

    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    /// A Secret in namespace `default`.
    pub fn secret(&self, name: &str) -> String {
        let (certificate, key) = (base64(self.pem.as_bytes()), base64(self.key.as_bytes()));
        format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\ndata: {{tls.crt: {certificate}, tls.key: {key}}}\n"
        )
    }

    /// A ConfigMap in namespace `default` with the certificate as authority.
    pub fn config_map(&self, name: &str) -> String {
        let text = serde_json::to_string(&self.pem).unwrap();
        format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{ca.crt: {text}}}\n")
    }
}

/// A server's certificate with these DNS names, signed by itself.
pub fn server(names: &[&str]) -> Signed {
    sign("server", names, &[], Content::SelfSignedServer, None)
}

/// The same with a key of another type.
pub fn server_ed25519(names: &[&str]) -> Signed {
    sign_with(KeyPair::generate_for(&PKCS_ED25519).unwrap(), "server", names, &[], Content::SelfSignedServer, None)
}

/// An authority.
pub fn authority(title: &str) -> Signed {
    sign(title, &[], &[], Content::Ca, None)
}

/// A server's certificate with these DNS names and URIs, signed by an authority.
pub fn server_of(of: &Signed, names: &[&str], uris: &[&str]) -> Signed {
    sign("server", names, uris, Content::CaSignedServer, Some(of))
}

/// A client's certificate.
pub fn client(of: &Signed) -> Signed {
    sign("client", &[], &[], Content::CaSignedClient, Some(of))
}

/// A client's certificate that is not as it should be.
pub fn client_but(of: &Signed, change: impl FnOnce(&mut CertificateParams)) -> Signed {
    let (mut params, key) = (params("client", Content::CaSignedClient), KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    change(&mut params);
    let issuer = Issuer::new(self::params(&of.title, Content::Ca), KeyPair::from_pem(&of.key).unwrap());
    let pem = params.signed_by(&key, &issuer).unwrap().pem();
    Signed { title: "client".to_owned(), names: Vec::new(), pem, key: key.serialize_pem() }
}

/// A client's certificate at the end of a chain with so many authorities between it and this one.
pub fn client_below(of: &Signed, depth: usize) -> Signed {
    let mut between: Vec<Signed> = Vec::new();
    for n in 0..depth {
        between.push(sign(&format!("between {n}"), &[], &[], Content::Ca, Some(between.last().unwrap_or(of))));
    }
    let leaf = client(between.last().unwrap_or(of));
    let pem = between.iter().rev().fold(leaf.pem.clone(), |chain, authority| chain + &authority.pem);
    Signed { pem, ..leaf }
}

fn sign(title: &str, names: &[&str], uris: &[&str], content: Content, by: Option<&Signed>) -> Signed {
    sign_with(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(), title, names, uris, content, by)
}

fn sign_with(key: KeyPair, title: &str, names: &[&str], uris: &[&str], content: Content, by: Option<&Signed>) -> Signed {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = params(title, content);
    let dns = names.iter().map(|name| SanType::DnsName(name.as_str().try_into().unwrap()));
    params.subject_alt_names = dns.chain(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap()))).collect();
    let certificate = match by {
        None => params.self_signed(&key),
        Some(by) => {
            let issuer = Issuer::new(self::params(&by.title, Content::Ca), KeyPair::from_pem(&by.key).unwrap());
            params.signed_by(&key, &issuer)
        }
    };
    Signed { title: title.to_owned(), names, pem: certificate.unwrap().pem(), key: key.serialize_pem() }
}

fn params(title: &str, content: Content) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, title);
    match content {
        Content::Ca => params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        Content::CaSignedClient => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        Content::SelfSignedServer | Content::CaSignedServer => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
    }
    params
}

/// Real certificates for those that the upstream suite describes.
#[derive(Debug)]
pub struct OfSuite {
    /// By kind, namespace and name of the object.
    signed: BTreeMap<[String; 3], Signed>,
    /// The texts that stand for them in manifests, and theirs.
    texts: Vec<(String, String)>,
}

impl OfSuite {
    pub fn new(all: &Certificates) -> Self {
        let mut this = Self { signed: BTreeMap::new(), texts: Vec::new() };
        let (authorities, others): (Vec<_>, Vec<_>) = all.iter().partition(|certificate| certificate.content == Content::Ca);
        for certificate in authorities.into_iter().chain(others) {
            let by = all.issuer(certificate).map(|issuer| &this.signed[&key(issuer)]);
            let title = format!("{}/{}", certificate.namespace, certificate.name);
            let names: Vec<_> = certificate.dns_names.iter().map(String::as_str).collect();
            let uris: Vec<_> = certificate.uris.iter().map(String::as_str).collect();
            let signed = sign(&title, &names, &uris, certificate.content, by);
            let json = |text: &str| serde_json::to_string(text).unwrap().trim_matches('"').to_owned();
            this.texts.push((json(&certificate.pem()), json(&signed.pem)));
            this.texts.push((base64(certificate.pem().as_bytes()), base64(signed.pem.as_bytes())));
            this.texts.push((base64(certificate.key_pem().as_bytes()), base64(signed.key.as_bytes())));
            this.signed.insert(key(certificate), signed);
        }
        this
    }

    /// Manifests with the real certificates in them.
    pub fn put_into(&self, manifests: &str) -> String {
        self.texts.iter().fold(manifests.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    pub fn named(&self, object: &Named) -> &Signed {
        &self.signed[&[object.kind.clone(), object.namespace().to_owned(), object.name.clone()]]
    }

    /// `namespace/name` of the Secret that has a certificate.
    pub fn secret_of(&self, der: &CertificateDer<'_>) -> Option<String> {
        let found = self.signed.iter().find(|([kind, ..], signed)| kind == "Secret" && signed.der() == *der);
        found.map(|([_, namespace, name], _)| format!("{namespace}/{name}"))
    }

    pub fn secret(&self, namespace: &str, name: &str) -> &Signed {
        &self.signed[&["Secret".to_owned(), namespace.to_owned(), name.to_owned()]]
    }
}

fn key(certificate: &Certificate) -> [String; 3] {
    [certificate.kind.clone(), certificate.namespace.clone(), certificate.name.clone()]
}
