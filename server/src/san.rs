//! The names that a client's certificate gives, as far as they must be looked at: rustls validates the chain and no name.
//!
//! A name with a control octet in it is cut short by whoever reads it as a string of C, and is another name then
//! (CVE-2009-2408 and its successors).

/// Whether the certificate can be read and every DNS name, mail address and URI in it is of visible ASCII octets.
pub(crate) fn are_plain(certificate: &[u8]) -> bool {
    names(certificate).is_some_and(|names| names.iter().all(|name| name.iter().all(u8::is_ascii_graphic)))
}

/// RFC 5280 section 4.2.1.6.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const OCTETS: u8 = 0x04;
/// `[3]` of `TBSCertificate`.
const EXTENSIONS: u8 = 0xa3;
/// `rfc822Name`, `dNSName` and `uniformResourceIdentifier` of `GeneralName`.
const TEXTS: [u8; 3] = [0x81, 0x82, 0x86];

/// The names that are texts; `None` for what is no certificate.
fn names(certificate: &[u8]) -> Option<Vec<&[u8]>> {
    let (certificate, _) = inside(certificate, SEQUENCE)?;
    let (mut fields, _) = inside(certificate, SEQUENCE)?;
    let mut names = Vec::new();
    while !fields.is_empty() {
        let (tag, content, behind) = element(fields)?;
        fields = behind;
        if tag != EXTENSIONS {
            continue;
        }
        let (mut extensions, _) = inside(content, SEQUENCE)?;
        while !extensions.is_empty() {
            let (extension, behind) = inside(extensions, SEQUENCE)?;
            extensions = behind;
            let (id, mut value) = inside(extension, OBJECT_ID)?;
            if id != SUBJECT_ALT_NAME {
                continue;
            }
            // A flag may come before.
            let (tag, _, behind) = element(value)?;
            if tag != OCTETS {
                value = behind;
            }
            let (mut all, _) = inside(inside(value, OCTETS)?.0, SEQUENCE)?;
            while !all.is_empty() {
                let (tag, name, behind) = element(all)?;
                all = behind;
                names.extend(TEXTS.contains(&tag).then_some(name));
            }
        }
    }
    Some(names)
}

/// The content of an element with this tag, and what stands behind it.
fn inside(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, behind) = element(octets)?;
    (found == tag).then_some((content, behind))
}

/// An element of DER (X.690 section 8.1): tag, content, and what stands behind it.
fn element(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = octets.split_first_chunk::<2>()?;
    let (length, rest) = match usize::from(first) {
        short @ 0..0x80 => (short, rest),
        long => {
            let (length, rest) = rest.split_at_checked(long - 0x80).filter(|(length, _)| (1..=4).contains(&length.len()))?;
            (length.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)), rest)
        }
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn with(names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn every_name_is_seen() {
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let uri = |name: &str| SanType::URI(name.try_into().unwrap());
        let mail = |name: &str| SanType::Rfc822Name(name.try_into().unwrap());
        let address = SanType::IpAddress([127, 0, 0, 1].into());
        let long = dns(&format!("{}.example", "a".repeat(300)));
        assert!(are_plain(&with(Vec::new())));
        assert!(are_plain(&with(vec![dns("a.example"), address.clone(), uri("spiffe://a/b"), mail("a@b.example"), long.clone()])));
        for bad in [dns("a\0.example"), uri("spiffe://a\0/b"), mail("a@b\n.example"), dns("a b")] {
            assert!(!are_plain(&with(vec![dns("a.example"), address.clone(), long.clone(), bad])));
        }
    }

    #[test]
    fn what_is_cut_short_is_no_certificate() {
        let whole = with(vec![SanType::DnsName("a.example".try_into().unwrap())]);
        assert_eq!(names(&whole).unwrap(), [b"a.example"]);
        for length in 0..whole.len() {
            assert!(!are_plain(&whole[..length]), "{length}");
        }
        assert!(!are_plain(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]) && !are_plain(&[0x30, 0x80]) && !are_plain(&[0x30, 0x89, 1]));
    }
}
