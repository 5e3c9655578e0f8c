//! TLS towards backends: what a table asks for, as rustls and hyper take it. Made once for each published table, and kept
//! from one to the next, with its connections, where nothing has changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::sync::Arc;

use gatewright::decision::Parent;
use gatewright::table::{BackendId, BackendTls, GatewayId, SubjectAltName, Trust};
use gatewright::{ObjectRef, Resources, Table};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Material, Objects, PROVIDER, certified_key, trusted};
use crate::observe::{Connector, Connects};
use crate::proxy::backends::stream::CONNECT;
use crate::proxy::backends::upstream::{Http2Pool, connector, pool};
use crate::proxy::requests::body::AnyBody;

/// How a table speaks TLS to backends.
#[derive(Debug, Default)]
pub struct BackendsTls {
    speakers: BTreeMap<Wanted, Arc<Speaker>>,
    /// The same by backend, for what matched at each Gateway.
    of: HashMap<(BackendId, GatewayId), Arc<Speaker>>,
}

/// What is asked for: by the policy, and the Secret with the certificate to show ([L-37]).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    tls: BackendTls,
    certificate: Option<ObjectRef>,
}

/// Speaks TLS to backends in one way.
pub struct Speaker {
    /// For HTTP/1.1, with connections that are kept.
    pub(in crate::proxy) http1: Client<HttpsConnector<Connector>, AnyBody>,
    /// For HTTP/2.
    pub(in crate::proxy) http2: Http2Pool,
    http2_config: Arc<ClientConfig>,
    stream_config: Arc<ClientConfig>,
    name: ServerName<'static>,
    material: Read,
}

/// What it was made of.
#[derive(PartialEq, Eq)]
struct Read {
    /// The bundles of authorities in PEM; `None` are those of the operating system.
    authorities: Option<Vec<String>>,
    certificate: Option<Material>,
}

/// Without keys: it may get into a log.
impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Speaker").field("name", &self.name).finish_non_exhaustive()
    }
}

impl BackendsTls {
    /// Reads what a table asks for from the objects it was compiled from.
    pub(crate) fn read(table: &Table, resources: &Resources, before: &Self, connects: &Arc<Connects>) -> Self {
        let mut this = Self::default();
        let mut objects = None;
        let mut failed = BTreeSet::new();
        for (backend, tls) in table.backends().filter_map(|backend| Some((backend.id, backend.tls.as_ref()?))) {
            // Most tables have none: then nobody needs to look at the Secrets.
            let objects = objects.get_or_insert_with(|| Objects::of(resources));
            for gateway in table.gateways() {
                let certificate = tls.client_certificate.clone().or_else(|| gateway.backend_client_certificate.clone());
                let wanted = Wanted { tls: tls.clone(), certificate };
                if !this.speakers.contains_key(&wanted) && !failed.contains(&wanted) {
                    match before.speaker(&wanted, objects, connects) {
                        Ok(speaker) => {
                            this.speakers.insert(wanted.clone(), speaker);
                        }
                        Err(error) => {
                            tracing::warn!(hostname = %tls.hostname, %error, "backends get no requests over TLS");
                            failed.insert(wanted.clone());
                        }
                    }
                }
                if let Some(speaker) = this.speakers.get(&wanted) {
                    this.of.insert((backend, gateway.id), Arc::clone(speaker));
                }
            }
        }
        this
    }

    /// How to speak to a backend for what matched at a parent; `None` if the backend wants none, or cannot be spoken to.
    pub fn get(&self, table: &Table, backend: BackendId, parent: Parent) -> Option<Arc<Speaker>> {
        if self.of.is_empty() {
            return None;
        }
        self.of.get(&(backend, table.listener(parent.listener()?)?.gateway)).cloned()
    }

    /// One as it was, or a new one.
    fn speaker(&self, wanted: &Wanted, objects: &Objects<'_>, connects: &Arc<Connects>) -> Result<Arc<Speaker>, String> {
        let authorities = match &wanted.tls.trust {
            Trust::System => None,
            Trust::Bundles(bundles) => Some(bundles.iter().filter_map(|bundle| objects.authorities(bundle)).collect()),
        };
        let certificate = match &wanted.certificate {
            None => None,
            Some(secret) => Some(objects.material(secret).ok_or_else(|| format!("Secret `{secret}` cannot be read"))?),
        };
        let material = Read { authorities, certificate };
        match self.speakers.get(wanted).filter(|known| known.material == material) {
            Some(known) => Ok(Arc::clone(known)),
            None => Speaker::new(&wanted.tls, material, connects).map(Arc::new),
        }
    }
}

impl Speaker {
    fn new(tls: &BackendTls, material: Read, connects: &Arc<Connects>) -> Result<Self, String> {
        let name = ServerName::try_from(tls.hostname.to_string()).map_err(|error| error.to_string())?;
        let verifier = Verifier { roots: roots(material.authorities.as_deref())?, names: tls.subject_alt_names.clone() };
        let config = |alpn: &[&[u8]]| {
            let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER));
            let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
            let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier.clone()));
            let mut config = match &material.certificate {
                Some(certificate) => {
                    let key = Arc::new(certified_key(certificate)?);
                    builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)))
                }
                None => builder.with_no_client_auth(),
            };
            config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
            Ok::<_, String>(config)
        };
        let mut tcp = connector();
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config(&[])?)
            .https_only()
            .with_server_name_resolver(FixedServerNameResolver::new(name.clone()))
            .enable_http1()
            .wrap_connector(Connector::new(tcp, connects));
        let http1 = pool().build(connector);
        let (http2_config, stream_config) = (Arc::new(config(&[b"h2"])?), Arc::new(config(&[])?));
        Ok(Self { http1, http2: Http2Pool::default(), http2_config, stream_config, name, material })
    }

    /// Joins a stream to a backend ([T-2]).
    pub(in crate::proxy) async fn stream(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.handshake(&self.stream_config, tcp).await
    }

    /// A connection for HTTP/2, which the backend must choose.
    pub(in crate::proxy) async fn http2(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.handshake(&self.http2_config, tcp).await?;
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Ok(stream),
            _ => Err(io::Error::other("the backend does not speak HTTP/2 over TLS")),
        }
    }

    async fn handshake(&self, config: &Arc<ClientConfig>, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        tokio::time::timeout(CONNECT, TlsConnector::from(Arc::clone(config)).connect(self.name.clone(), tcp)).await?
    }
}

/// The certificates that are trusted.
fn roots(bundles: Option<&[String]>) -> Result<Arc<RootCertStore>, String> {
    let roots = match bundles {
        Some(bundles) => trusted(bundles),
        None => {
            let found = rustls_native_certs::load_native_certs();
            found.errors.iter().for_each(|error| tracing::warn!(%error, "an authority of the operating system cannot be read"));
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(found.certs);
            roots
        }
    };
    if roots.is_empty() { Err("no authority can be read".to_owned()) } else { Ok(Arc::new(roots)) }
}

/// Trusts a backend whose certificate comes from an authority and has the server name in it, or one of these names
/// instead ([TP-3]).
#[derive(Clone, Debug)]
struct Verifier {
    roots: Arc<RootCertStore>,
    names: Box<[SubjectAltName]>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = PROVIDER.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        if self.names.is_empty() {
            verify_server_name(&certificate, server_name)?;
        } else {
            let parsed = webpki::EndEntityCert::try_from(end_entity).map_err(|_| Error::from(CertificateError::BadEncoding))?;
            let found = self.names.iter().any(|wanted| match wanted {
                SubjectAltName::Hostname(wanted) => parsed.valid_dns_names().any(|name| covers(name, wanted) || covers(wanted, name)),
                SubjectAltName::Uri(wanted) => parsed.valid_uri_names().any(|uri| uri == &**wanted),
            });
            if !found {
                return Err(CertificateError::NotValidForName.into());
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether a name, of which `*.` stands for one label, covers another one (RFC 9525 section 6.3).
fn covers(name: &str, other: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => other.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [TP-3]
    #[test]
    fn a_wildcard_is_one_label() {
        for (name, other, expected) in [
            ("a.example", "A.Example", true),
            ("*.example", "a.example", true),
            ("*.example", "*.example", true),
            ("*.example", "a.b.example", false),
            ("*.example", "example", false),
            ("a.example", "*.example", false),
        ] {
            assert_eq!(covers(name, other), expected, "{name} {other}");
        }
    }
}
