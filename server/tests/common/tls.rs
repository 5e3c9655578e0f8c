//! A client that speaks TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::pki::Signed;

pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// What a client says and wants.
#[derive(Clone, Copy, Default)]
pub struct Client<'c> {
    /// The server name; empty sends none.
    pub sni: &'c str,
    /// The certificate that the server must show, or that of its authority; without one any will do.
    pub trust: Option<&'c Signed>,
    pub certificate: Option<&'c Signed>,
    pub alpn: &'c [&'c [u8]],
    /// Signature schemes that the client understands; empty are all.
    pub schemes: &'c [SignatureScheme],
}

/// A connection after the handshake.
pub struct Connected {
    pub stream: TlsStream<TcpStream>,
    asked: Arc<Answers>,
}

impl Connected {
    /// Whether the server asked for a certificate. Known after the first answer at the latest.
    pub fn certificate_requested(&self) -> bool {
        self.asked.requested.load(Ordering::SeqCst)
    }

    /// The certificate that the server showed.
    pub fn shown(&self) -> CertificateDer<'static> {
        self.stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

/// Connects; the error comes with whether the server asked for a certificate.
pub async fn connect(address: SocketAddr, client: Client<'_>) -> Result<Connected, (io::Error, bool)> {
    let (config, asked) = config(client);
    match connect_with(address, config, client.sni).await {
        Ok(stream) => Ok(Connected { stream, asked }),
        Err(error) => Err((error, asked.requested.load(Ordering::SeqCst))),
    }
}

/// Connects with a configuration, which keeps sessions from one connection to the next.
pub async fn connect_with(address: SocketAddr, config: Arc<ClientConfig>, sni: &str) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    tokio_rustls::TlsConnector::from(config).connect(name(sni), stream).await
}

/// The server name; one that is never sent where there is none.
fn name(sni: &str) -> ServerName<'static> {
    ServerName::try_from(if sni.is_empty() { "none.invalid" } else { sni }.to_owned()).unwrap()
}

/// The octets of a ClientHello.
pub fn hello(sni: &str) -> Vec<u8> {
    let (config, _) = config(Client { sni, ..Client::default() });
    let mut octets = Vec::new();
    rustls::ClientConnection::new(config, name(sni)).unwrap().write_tls(&mut octets).unwrap();
    octets
}

/// The configuration of a client.
pub fn config(client: Client<'_>) -> (Arc<ClientConfig>, Arc<Answers>) {
    let key = client.certificate.map(|signed| CertifiedKey::from_der(signed.chain(), signed.key_der(), &provider()).unwrap());
    let asked = Arc::new(Answers { certificate: key.map(Arc::new), requested: AtomicBool::new(false) });
    let trusts = Trusts {
        trusted: client.trust.map(|signed| (signed.der(), signed.names.clone())),
        schemes: client.schemes.to_vec(),
        provider: provider(),
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusts))
        .with_client_cert_resolver(asked.clone());
    config.alpn_protocols = client.alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.enable_sni = !client.sni.is_empty();
    (Arc::new(config), asked)
}

/// TLS of a backend.
pub fn server_config(signed: &Signed) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_no_client_auth().with_single_cert(vec![signed.der()], signed.key_der()).unwrap())
}

/// TLS of a backend that asks for a client certificate, takes any, and speaks both versions of HTTP.
pub fn asking_config(signed: &Signed) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(Arc::new(Anyone(provider())));
    let mut config = config.with_single_cert(vec![signed.der()], signed.key_der()).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Asks clients for a certificate, and takes any or none.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ClientCertVerifier for Anyone {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The client's part of client certificates.
#[derive(Debug)]
pub struct Answers {
    certificate: Option<Arc<CertifiedKey>>,
    requested: AtomicBool,
}

impl ResolvesClientCert for Answers {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.requested.store(true, Ordering::SeqCst);
        self.certificate.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Trusts one certificate itself, as the clients of the upstream suite do, or as an authority.
#[derive(Debug)]
struct Trusts {
    trusted: Option<(CertificateDer<'static>, Vec<String>)>,
    schemes: Vec<SignatureScheme>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Trusts {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some((trusted, names)) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        if trusted == end_entity {
            let name = name.to_str().to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let covers = |own: &String| *own == *name || own.strip_prefix("*.") == parent;
            let wrong = || rustls::CertificateError::NotValidForName.into();
            return names.iter().any(covers).then(ServerCertVerified::assertion).ok_or_else(wrong);
        }
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build();
        verifier.map_err(|error| rustls::Error::General(error.to_string()))?.verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        if self.schemes.is_empty() { self.provider.signature_verification_algorithms.supported_schemes() } else { self.schemes.clone() }
    }
}
