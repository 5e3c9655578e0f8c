//! The certificates of listeners, as rustls takes them: read once for each published table, and kept from one to the
//! next where nothing has changed.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatewright::resource::kubernetes::{ConfigMap, Secret};
use gatewright::table::{ListenerId, ListenerInfo, ListenerProtocol};
use gatewright::{ObjectRef, Resources, Table};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};

use crate::san;

/// The cryptography of all TLS.
pub(crate) static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

/// A listener by name: what stays the same from table to table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerName {
    /// The Gateway or ListenerSet that has it.
    pub owner: ObjectRef,
    /// Its name.
    pub name: Box<str>,
}

impl ListenerName {
    /// The name of a listener of a table.
    pub fn of(listener: &ListenerInfo) -> Self {
        Self { owner: listener.owner.clone(), name: listener.name.clone() }
    }
}

/// The listeners of a table that decrypt, by name.
#[derive(Default)]
pub struct Certificates {
    listeners: BTreeMap<ListenerName, Decrypting>,
}

/// Names alone: a log must not have keys in it.
impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.listeners.keys()).finish()
    }
}

/// A listener that decrypts.
pub struct Decrypting {
    /// Its id in the table it was made for.
    pub id: ListenerId,
    /// How it speaks TLS; `None` if its certificates are missing or cannot be read. Then nobody new is served: there is no
    /// default certificate ([R-L3]).
    pub config: Option<Arc<ServerConfig>>,
    /// How it validates client certificates.
    pub validation: Option<Arc<Validation>>,
    material: Vec<Material>,
}

/// Which clients a listener lets in ([L-35]).
#[derive(Debug, PartialEq, Eq)]
pub struct Validation {
    /// The certificates of the authorities, in PEM.
    authorities: Vec<String>,
    allow_insecure_fallback: bool,
}

/// Certificate and key of one Secret, in PEM.
#[derive(PartialEq, Eq)]
pub(crate) struct Material {
    secret: ObjectRef,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Certificates {
    /// Reads the certificates of a table from the objects it was compiled from. What is as `before` is shared with it,
    /// so that clients can resume their sessions; a session is never resumed under another listener, certificate or
    /// validation ([R-L4]).
    pub fn read(table: &Table, resources: &Resources, before: &Self) -> Self {
        let decrypting: Vec<_> = table.listeners().iter().filter(|listener| listener.tls.is_some()).collect();
        // Most tables have none: then nobody needs to look at the Secrets.
        let objects = if decrypting.is_empty() { Objects::default() } else { Objects::of(resources) };
        let listeners = decrypting.into_iter().map(|listener| {
            let name = ListenerName::of(listener);
            let known = before.listeners.get(&name);
            let decrypting = Decrypting::read(listener, &objects, known);
            (name, decrypting)
        });
        Self { listeners: listeners.collect() }
    }

    /// The listener of this name, if it decrypts.
    pub fn get(&self, name: &ListenerName) -> Option<&Decrypting> {
        self.listeners.get(name)
    }
}

impl Decrypting {
    fn read(listener: &ListenerInfo, objects: &Objects<'_>, known: Option<&Self>) -> Self {
        let tls = listener.tls.clone().unwrap_or_default();
        let material: Vec<_> = tls.certificates.iter().filter_map(|secret| objects.material(secret)).collect();
        let validation = tls.client_validation.map(|validation| {
            let authorities = validation.ca_certificates.iter().filter_map(|bundle| objects.authorities(bundle)).collect();
            Arc::new(Validation { authorities, allow_insecure_fallback: validation.allow_insecure_fallback })
        });
        // HTTP is negotiated ([L-32]); what is forwarded is nobody's business here.
        let alpn: &[&[u8]] = if listener.protocol == ListenerProtocol::Https { &[b"h2", b"http/1.1"] } else { &[] };
        if let Some(known) = known
            && known.material == material
            && known.validation == validation
            && known.config.as_ref().is_some_and(|config| config.alpn_protocols == alpn)
        {
            return Self { id: listener.id, config: known.config.clone(), validation: known.validation.clone(), material };
        }
        let config = || match config(&material, validation.as_deref(), alpn) {
            Ok(config) => Some(Arc::new(config)),
            Err(error) => {
                tracing::warn!(listener = %listener.owner, name = %listener.name, %error, "no connection is served");
                None
            }
        };
        // What is missing has been reported by the compiler.
        let config = if listener.programmed { config() } else { None };
        Self { id: listener.id, config, validation, material }
    }
}

/// Secrets and ConfigMaps by name.
#[derive(Default)]
pub(crate) struct Objects<'r> {
    secrets: HashMap<ObjectRef, &'r Secret>,
    config_maps: HashMap<ObjectRef, &'r ConfigMap>,
}

impl<'r> Objects<'r> {
    pub(crate) fn of(resources: &'r Resources) -> Self {
        let secrets = resources.secrets.iter().map(|secret| (ObjectRef::of_meta("", "Secret", &secret.metadata), secret));
        let config_maps = resources.config_maps.iter().map(|map| (ObjectRef::of_meta("", "ConfigMap", &map.metadata), map));
        Self { secrets: secrets.collect(), config_maps: config_maps.collect() }
    }

    /// The value of a key of a Secret or ConfigMap.
    pub(crate) fn value(&self, name: &ObjectRef, key: &str) -> Option<Vec<u8>> {
        let decoded = |text: &String| {
            let octets = text.bytes().filter(|octet| !octet.is_ascii_whitespace()).collect::<Vec<_>>();
            STANDARD.decode(octets).ok()
        };
        let (text, base64) = match (self.secrets.get(name), self.config_maps.get(name)) {
            (Some(secret), _) => (secret.string_data.get(key), secret.data.get(key)),
            (None, Some(map)) => (map.data.get(key), map.binary_data.get(key)),
            (None, None) => (None, None),
        };
        text.map(|text| text.clone().into_bytes()).or_else(|| base64.and_then(decoded))
    }

    /// `tls.crt` and `tls.key` of a Secret ([L-11]).
    pub(crate) fn material(&self, name: &ObjectRef) -> Option<Material> {
        self.secrets.get(name)?;
        let member = |key: &str| self.value(name, key);
        match (member("tls.crt"), member("tls.key")) {
            (Some(certificate), Some(key)) => Some(Material { secret: name.clone(), certificate, key }),
            _ => {
                tracing::warn!(%name, "`tls.crt` and `tls.key` cannot be read: the certificate is not used");
                None
            }
        }
    }

    /// `ca.crt` of a ConfigMap ([L-36]).
    pub(crate) fn authorities(&self, name: &ObjectRef) -> Option<String> {
        self.config_maps.get(name)?.data.get("ca.crt").cloned()
    }
}

/// TLS of a listener.
fn config(material: &[Material], validation: Option<&Validation>, alpn: &[&[u8]]) -> Result<ServerConfig, String> {
    let text = |error: Error| error.to_string();
    let mut keys = Vec::new();
    for material in material {
        match certified_key(material) {
            Ok(key) => keys.push(Named { names: names(&key), key: Arc::new(key) }),
            Err(error) => tracing::warn!(secret = %material.secret, %error, "the certificate is not served"),
        }
    }
    if keys.is_empty() {
        return Err("no certificate can be served".to_owned());
    }
    let builder = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER)).with_safe_default_protocol_versions().map_err(text)?;
    let builder = match validation {
        Some(validation) => builder.with_client_cert_verifier(verifier(validation)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(Choice(keys)));
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(text)?;
    Ok(config)
}

/// The certificate with its key, as rustls takes it.
pub(crate) fn certified_key(material: &Material) -> Result<CertifiedKey, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&material.certificate).collect();
    let chain = chain.map_err(|error| format!("`tls.crt`: {error:?}"))?;
    let key = PrivateKeyDer::from_pem_slice(&material.key).map_err(|error| format!("`tls.key`: {error:?}"))?;
    CertifiedKey::from_der(chain, key, &PROVIDER).map_err(|error| error.to_string())
}

/// The DNS names of a certificate.
fn names(key: &CertifiedKey) -> Vec<String> {
    let certificate = key.cert.first().and_then(|der| webpki::EndEntityCert::try_from(der).ok());
    certificate.iter().flat_map(|certificate| certificate.valid_dns_names()).map(str::to_ascii_lowercase).collect()
}

/// A certificate, and the DNS names in it.
#[derive(Debug)]
struct Named {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
}

impl Named {
    /// How well a name fits: not, by a wildcard, exactly. A wildcard of a certificate stands for one label (RFC 9525
    /// section 6.3), so no two that fit differ in length.
    fn fits(&self, server_name: &str) -> u8 {
        let parent = server_name.split_once('.').map(|(_, parent)| parent);
        let fits = |name: &String| match name.strip_prefix("*.") {
            Some(suffix) => u8::from(parent.is_some_and(|parent| parent.eq_ignore_ascii_case(suffix))),
            None => 2 * u8::from(name.eq_ignore_ascii_case(server_name)),
        };
        self.names.iter().map(fits).max().unwrap_or(0)
    }
}

/// The certificates of one listener in the order written. Of those whose key the client understands, the one with the
/// longest matching name is shown ([L-23]), else the first.
#[derive(Debug)]
struct Choice(Vec<Named>);

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let understood = |named: &&Named| named.key.key.choose_scheme(hello.signature_schemes()).is_some();
        let fits = |named: &&Named| hello.server_name().map_or(0, |name| named.fits(name));
        // The last of equals is the greatest, so the first one comes last.
        self.0.iter().rev().filter(understood).max_by_key(fits).map(|named| Arc::clone(&named.key))
    }
}

/// The certificates of bundles in PEM. Those that cannot be read vouch for nobody ([L-36], [TP-5]).
pub(crate) fn trusted(bundles: &[String]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in bundles.iter().flat_map(|bundle| CertificateDer::pem_slice_iter(bundle.as_bytes())) {
        let added = certificate.map_err(|error| format!("{error:?}")).and_then(|der| roots.add(der).map_err(|error| error.to_string()));
        if let Err(error) = added {
            tracing::warn!(%error, "a certificate in `ca.crt` cannot be read");
        }
    }
    roots
}

/// Lets clients in whose certificate comes from one of the authorities. Those of them that cannot be read vouch for
/// nobody; without any, nobody is let in ([L-36]).
fn verifier(validation: &Validation) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let roots = Arc::new(trusted(&validation.authorities));
    let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&PROVIDER));
    let valid = builder.build().map_err(|error| error.to_string())?;
    Ok(Arc::new(Clients { valid, lets_in_all: validation.allow_insecure_fallback }))
}

/// Asks clients for a certificate. Nothing of it is told to backends, so nobody takes one for verified that is not
/// ([R-L5]).
#[derive(Debug)]
struct Clients {
    valid: Arc<dyn ClientCertVerifier>,
    /// Whether it goes on without a valid one (`AllowInsecureFallback`, [L-35]).
    lets_in_all: bool,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        !self.lets_in_all
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.valid.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.lets_in_all {
            return Ok(ClientCertVerified::assertion());
        }
        if !san::are_plain(certificate) {
            return Err(CertificateError::BadEncoding.into());
        }
        self.valid.verify_client_cert(certificate, chain, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.valid.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.valid.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.valid.supported_verify_schemes()
    }
}
