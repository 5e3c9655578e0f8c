//! AuthFilter of type JWT: requests need a token that one of the issuers has signed (RFC 7519, RFC 6750).

use std::fmt;
use std::path::PathBuf;

use gatewright::ObjectRef;
use http::{HeaderMap, header};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::fields::{none_of, some};
use super::{KeyFiles, Wrong};
use crate::certificates::Objects;

/// The specification.
#[derive(Deserialize)]
pub(crate) struct Spec {
    #[serde(rename = "type")]
    _type: Type,
    jwt: JwtSpec,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Type;

impl TryFrom<String> for Type {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "JWT" { Ok(Self) } else { Err(none_of(&text, "JWT")) }
    }
}

#[derive(Deserialize)]
struct JwtSpec {
    #[serde(deserialize_with = "some")]
    issuers: Vec<Issuer>,
    #[serde(deserialize_with = "some")]
    audiences: Vec<String>,
}

#[derive(Deserialize)]
struct Issuer {
    uri: String,
    jwks: Option<Jwks>,
}

/// Where the keys of an issuer are.
#[derive(Deserialize)]
#[serde(try_from = "RawJwks")]
enum Jwks {
    Secret(KeyRef),
    ConfigMap(KeyRef),
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawJwks {
    secret_ref: Option<KeyRef>,
    config_map_ref: Option<KeyRef>,
    file: Option<PathBuf>,
}

/// A key of an object in the namespace of the policy.
#[derive(Deserialize)]
struct KeyRef {
    name: String,
    #[serde(default = "default_key")]
    key: String,
}

fn default_key() -> String {
    "jwks.json".to_owned()
}

impl TryFrom<RawJwks> for Jwks {
    type Error = String;

    fn try_from(raw: RawJwks) -> Result<Self, String> {
        match (raw.secret_ref, raw.config_map_ref, raw.file) {
            (Some(of), None, None) => Ok(Self::Secret(of)),
            (None, Some(of), None) => Ok(Self::ConfigMap(of)),
            (None, None, Some(file)) => Ok(Self::File(file)),
            _ => Err("expected one of secretRef, configMapRef and file".to_owned()),
        }
    }
}

/// Why a request has no access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It has no token.
    NoToken,
    /// It has one that does not count, whatever is wrong with it: clients are not told more.
    Invalid,
}

/// A valid filter.
pub(crate) struct Jwt {
    keys: Vec<Key>,
}

/// Without keys: it may get into a log.
impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("keys", &self.keys.len()).finish()
    }
}

/// A key of an issuer, and what a token signed with it must say.
struct Key {
    id: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

/// The clocks of issuers may be off by this, in seconds.
const LEEWAY: u64 = 60;

impl Jwt {
    /// Reads the keys; tells in `files` from which files.
    pub(super) fn new(
        spec: &Spec,
        namespace: &str,
        objects: &Objects<'_>,
        given: &KeyFiles,
        files: &mut Vec<PathBuf>,
    ) -> Result<Self, Wrong> {
        let mut all = Vec::new();
        for (n, issuer) in spec.jwt.issuers.iter().enumerate() {
            let at = format!("spec.jwt.issuers[{n}]");
            let file = |path: String, file: &PathBuf, files: &mut Vec<PathBuf>| {
                files.push(file.clone());
                let read = std::fs::read(file).map_err(|error| format!("`{}` cannot be read: {error}", file.display()));
                (path, read)
            };
            let object = |kind: &str, KeyRef { name, key }: &KeyRef| {
                let value = objects.value(&ObjectRef::new("", kind, namespace, name), key);
                value.ok_or_else(|| format!("no {kind} `{namespace}/{name}` with the key `{key}` can be read"))
            };
            let (path, octets) = match (&issuer.jwks, given.get(&issuer.uri)) {
                (Some(Jwks::Secret(of)), _) => (format!("{at}.jwks.secretRef"), object("Secret", of)),
                (Some(Jwks::ConfigMap(of)), _) => (format!("{at}.jwks.configMapRef"), object("ConfigMap", of)),
                (Some(Jwks::File(name)), _) => file(format!("{at}.jwks.file"), name, files),
                (None, Some(name)) => file(format!("{at}.uri"), name, files),
                (None, None) => {
                    let message = format!("no keys: `jwks` is missing, and no `--jwks {}=FILE` was given", issuer.uri);
                    return Err(Wrong { path: at, message });
                }
            };
            let keys = octets.and_then(|octets| keys(&octets, &issuer.uri, &spec.jwt.audiences));
            all.extend(keys.map_err(|message| Wrong { path, message })?);
        }
        Ok(Self { keys: all })
    }

    /// Whether a request has a token that counts.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let mut fields = headers.get_all(header::AUTHORIZATION).iter();
        let field = fields.next().ok_or(Refused::NoToken)?;
        let (scheme, token) = field.to_str().ok().and_then(|field| field.split_once(' ')).ok_or(Refused::NoToken)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refused::NoToken);
        }
        // Whichever of several another reader would take.
        if fields.next().is_some() {
            return Err(Refused::Invalid);
        }
        let token = token.trim();
        let head = jsonwebtoken::decode_header(token).map_err(|_| Refused::Invalid)?;
        // What a token says must be understood, is not (RFC 7515 section 4.1.11).
        if head.crit.is_some() {
            return Err(Refused::Invalid);
        }
        let may_fit = |key: &&Key| {
            let named = head.kid.is_none() || key.id.is_none() || key.id == head.kid;
            named && key.validation.algorithms.contains(&head.alg)
        };
        let counts = |key: &Key| jsonwebtoken::decode::<serde::de::IgnoredAny>(token, &key.key, &key.validation).is_ok();
        if self.keys.iter().filter(may_fit).any(counts) { Ok(()) } else { Err(Refused::Invalid) }
    }
}

/// The keys of a JWKS that sign (RFC 7517). Those of kinds that are not known are passed over: issuers may have them for
/// others.
fn keys(octets: &[u8], issuer: &str, audiences: &[String]) -> Result<Vec<Key>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    // The error of the parser could tell what is in the file.
    let set: Set = serde_json::from_slice(octets).map_err(|_| "not a JWKS (RFC 7517)".to_owned())?;
    let jwks = set.keys.into_iter().filter_map(|value| serde_json::from_value::<Jwk>(value).ok());
    let key = |jwk: Jwk| {
        let algorithms = algorithms(&jwk)?;
        let mut validation = Validation::new(*algorithms.first()?);
        validation.algorithms = algorithms;
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[issuer]);
        validation.set_audience(audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        Some(Key { key: DecodingKey::from_jwk(&jwk).ok()?, id: jwk.common.key_id, validation })
    };
    let keys: Vec<_> = jwks.filter_map(key).collect();
    if keys.is_empty() { Err("the JWKS has no key that verifies signatures".to_owned()) } else { Ok(keys) }
}

/// What a key may sign with: what it is made for, and nothing of another family. A public key is never a shared secret.
fn algorithms(jwk: &Jwk) -> Option<Vec<Algorithm>> {
    use Algorithm::{ES256, ES384, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512};
    if jwk.common.public_key_use.as_ref().is_some_and(|of| *of != PublicKeyUse::Signature) {
        return None;
    }
    let mut all = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => vec![RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => vec![ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => vec![ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![EdDSA],
        AlgorithmParameters::OctetKey(_) => vec![HS256, HS384, HS512],
        _ => return None,
    };
    if let Some(named) = jwk.common.key_algorithm {
        all.retain(|algorithm| Algorithm::try_from(named).is_ok_and(|named| named == *algorithm));
    }
    Some(all)
}
