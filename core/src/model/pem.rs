//! The frame of certificates and keys in text (RFC 7468).

/// Whether a text begins as PEM does (RFC 7468).
pub(crate) fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN")
}

/// Whether a text is a bundle of certificates: at least one, and each one whole, with header, base64 and footer (RFC 7468
/// section 5). Which names a certificate holds is the embedding program's to read.
pub(crate) fn is_bundle(text: &str) -> bool {
    let (header, footer) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let mut certificates = text.split(header).skip(1).peekable();
    certificates.peek().is_some()
        && certificates.all(|rest| {
            let Some((body, _)) = rest.split_once(footer) else { return false };
            let mut octets = body.bytes().filter(|octet| !octet.is_ascii_whitespace()).peekable();
            octets.peek().is_some() && octets.all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'='))
        })
}

/// Whether a text in base64 begins as PEM does.
pub(crate) fn is_base64(base64: &str) -> bool {
    base64.trim_start().starts_with("LS0tLS1CRUdJTi")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles() {
        let one = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n";
        for (text, expected) in [
            (one.to_owned(), true),
            (format!("subject=x\n{one}{one}"), true),
            (String::new(), false),
            ("-----BEGIN CERTIFICATE-----\nTUlJ\n".to_owned(), false),
            (one.replace("TUlJ", ""), false),
            (one.replace("TUlJ", "not base64!"), false),
            (one.replace("CERTIFICATE", "PRIVATE KEY"), false),
        ] {
            assert_eq!(is_bundle(&text), expected, "{text}");
        }
        assert!(is_pem(one) && is_base64("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t") && !is_pem("x") && !is_base64("x"));
    }
}
