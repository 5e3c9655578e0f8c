//! An issuer of tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

pub struct Issuer {
    pub uri: &'static str,
    kid: &'static str,
    key: rcgen::KeyPair,
}

/// Seconds from now, before or after.
pub fn at(seconds: i64) -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap() + seconds
}

impl Issuer {
    pub fn new(uri: &'static str, kid: &'static str) -> Self {
        Self { uri, kid, key: rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap() }
    }

    /// Its keys, in one line.
    pub fn jwks(&self) -> String {
        let point = self.key.public_key_raw();
        let [x, y] = [&point[1..33], &point[33..65]].map(|octets| URL_SAFE_NO_PAD.encode(octets));
        let other = json!({"kty": "RSA", "use": "enc", "kid": "other", "n": "AQAB", "e": "AQAB"});
        let unknown = json!({"kty": "new", "kid": "unknown"});
        json!({"keys": [unknown, other, {"kty": "EC", "crv": "P-256", "kid": self.kid, "x": x, "y": y}]}).to_string()
    }

    /// The claims that count, with some of them changed or, by null, left out.
    pub fn claims(&self, changes: Value) -> Value {
        let mut claims = json!({"iss": self.uri, "aud": "api.example.com", "sub": "ann", "exp": at(600)});
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        claims
    }

    pub fn token(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::ES256) };
        self.signed(&header, claims)
    }

    pub fn signed(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ec_der(&self.key.serialize_der())).unwrap()
    }

    /// The octets of the public key, as somebody might take them for a shared secret.
    pub fn public(&self) -> Vec<u8> {
        self.key.public_key_raw().to_vec()
    }
}

/// A token of parts that nobody has signed.
pub fn unsigned(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}
