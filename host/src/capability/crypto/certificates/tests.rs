//! Tests of `certificates`.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, IsCa, KeyPair, SanType,
    SignatureAlgorithm,
};

use super::*;

/// RSA of 2048 bits, made with openssl; two common names, one beside an OU in the same part.
const RSA: &str = "-----BEGIN CERTIFICATE-----
MIID6jCCAtKgAwIBAgIBBzANBgkqhkiG9w0BAQsFADCBjDETMBEGCgmSJomT8ixk
ARkWA29yZzEXMBUGCgmSJomT8ixkARkWB2V4YW1wbGUxFjAUBgNVBAoMDUV4YW1w
bGUsIEluYy4xFjAIBgNVBAsMAWEwCgYDVQQDDANvbmUxDDAKBgNVBAMMA3R3bzEe
MBwGCSqGSIb3DQEJARYPb3BzQGV4YW1wbGUub3JnMCAXDTI2MTEyMTAzMzMzMloY
DzIxMjYxMDI4MDMzMzMyWjCBjDETMBEGCgmSJomT8ixkARkWA29yZzEXMBUGCgmS
JomT8ixkARkWB2V4YW1wbGUxFjAUBgNVBAoMDUV4YW1wbGUsIEluYy4xFjAIBgNV
BAsMAWEwCgYDVQQDDANvbmUxDDAKBgNVBAMMA3R3bzEeMBwGCSqGSIb3DQEJARYP
b3BzQGV4YW1wbGUub3JnMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA
srBx9RaoRaWOCIwY9nJOPMQCNv5N0W3ftL1l6e56GunpHfLo32ligkjgwUSvQdOy
EXjyP8q4GzhJcQ8ukIQdr2WNNSEOaEr7hfFXaWhiH8UXpOYHh0rDmHnpLSvorwQe
N6PqcYT27YgfFox2TAZas5ZEtYRIbyHOb55pQF5ZsQtS+oWE/ysuZNyUIvyfYMrt
KYZfJGvP+41lTQP5N1nZYGK6I/m1OUxjKlWb2aR+sUuDVqXrTopEAwxCmvvKKUJY
/IIyxbdsATKMtKDIUA3/ryJtHTMez+Xu0RgGXIDGN24QI4I/ag++hURdff5Q7SCG
mkSGk2ZTiNiYuD/jMZLzmwIDAQABo1MwUTAdBgNVHQ4EFgQUoHiqbZCOCphoA/S1
07f05kY1DnEwHwYDVR0jBBgwFoAUoHiqbZCOCphoA/S107f05kY1DnEwDwYDVR0T
AQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEADPMI0p9oiFRclSPshR8ydtTr
dEOGP9Tk38R45omif8yuHhzwvHwvsRNCzBP+hSoof9S4ILNuF9ETG6eeTTd3wD2j
mZPe5mlERa3Uo6eFqqzEVniyghcgLU01IwRTmQwnwtBH+NarQJoRT0RQcNDlILru
kM3rSmyaBzFZmg2bCqRRX0riwSit4IjQmRm1lbhtmvcUUnGb2KOZVU2o8A1DMVcZ
0v8U+77ie+MjlttgpnESaQ0ZHMiov4HED2yJa1BY4zysrdhCwf83sLlOv5Pspezq
NQ7pJXVj3goPukAbH9lhP04BcyU7hfNlNyGc0JHSVKk+Y3ASHI+CIWUrka1udw==
-----END CERTIFICATE-----
";
/// EC on P-521, made with openssl.
const P521: &str = "-----BEGIN CERTIFICATE-----
MIIB6jCCAUugAwIBAgIBCDAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARwNTIxMCAX
DTI2MTEyMTAzMzMzM1oYDzIxMjYxMDI4MDMzMzMzWjAPMQ0wCwYDVQQDDARwNTIx
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAN74wvISVeeN4JjdmMMbuuzrBFr0U
tQMpOzpxxe3sKfh0EefeoOy805AIxBHj9JxAQb/FhRwSs4LY7OXI5eT6E8IA3vK2
Nftd0qr+uCz9jzvxcuaNzJmMqtgO3Is7uIZRf4xlyCnDm0fJlgJxF/8oDnLEbqr7
HlW0rsl3GczCpLZqQUajUzBRMB0GA1UdDgQWBBTwuo3DYhcAae5cXGAWw+PtLIwV
mTAfBgNVHSMEGDAWgBTwuo3DYhcAae5cXGAWw+PtLIwVmTAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA4GMADCBiAJCAPW4CXU8KkCBhJNElZ+Feneg06V8n4uo
M0ccfFW+gf1IrbbKDU9rL1pyy3qQyWLMXW0jsrALHso996A+8aoKVfUrAkIBHACC
PwC0OHdrJ/DWex93P50sc0C7bSensizoKBzcLOjY0MuF03t+CLwZFC3IQnyDMQY7
KoBsyHaKc0/3rBXDq5k=
-----END CERTIFICATE-----
";

fn made(algorithm: &'static SignatureAlgorithm, change: impl FnOnce(&mut CertificateParams)) -> rcgen::Certificate {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    change(&mut params);
    params.self_signed(&key).unwrap()
}

fn named(change: impl FnOnce(&mut DistinguishedName)) -> Certificate {
    let certificate = made(&rcgen::PKCS_ED25519, |params| change(&mut params.distinguished_name));
    parse_der(certificate.der()).unwrap()
}

/// With subject alternative names of this DER.
fn with_extension(oid: &[u64], content: &[u8]) -> Result<Certificate, CertificateError> {
    let certificate = made(&rcgen::PKCS_ED25519, |params| {
        let extension = CustomExtension::from_oid_content(oid, content.to_vec());
        params.custom_extensions.push(extension);
    });
    parse_der(certificate.der())
}

const ALTERNATIVE_NAMES: &[u64] = &[2, 5, 29, 17];

#[test]
fn every_field_of_an_ec_certificate_is_read() {
    let certificate = made(&rcgen::PKCS_ECDSA_P256_SHA256, |params| {
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, "lb.example.org");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2060, 1, 1);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.subject_alt_names = vec![
            SanType::DnsName("*.example.org".try_into().unwrap()),
            SanType::Rfc822Name("someone@example.org".try_into().unwrap()),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
        ];
    });
    let read = parse_der(certificate.der()).unwrap();
    let expected = Certificate {
        der: certificate.der().to_vec(),
        fingerprint: Sha256::digest(certificate.der()).into(),
        subject: "CN=lb.example.org,O=Example".into(),
        issuer: "CN=lb.example.org,O=Example".into(),
        common_names: vec!["lb.example.org".into()],
        alternative_names: ["*.example.org", "192.0.2.7", "2001:db8::7"].map(String::from).into(),
        not_before: 1_577_836_800,
        not_after: 2_840_140_800,
        key_kind: "EC".into(),
        key_bits: 256,
        is_ca: true,
    };
    assert_eq!(read, expected);
}

#[test]
fn every_field_of_an_rsa_certificate_is_as_openssl_says() {
    let read = parse_pem(RSA.as_bytes()).unwrap().remove(0);
    assert_eq!(read.subject, r"emailAddress=ops@example.org,CN=two,OU=a+CN=one,O=Example\, Inc.,DC=example,DC=org");
    assert_eq!(read.issuer, read.subject);
    assert_eq!(hex::encode(read.fingerprint), "682abf12a68ee7a2c268e44456ad4741bd8e060bfb6c57ee5b5b33fd960b1105");
    assert_eq!((read.not_before, read.not_after), (1_795_232_012, 4_948_832_012));
    assert_eq!(read.common_names, ["one", "two"]);
    assert_eq!((read.key_kind.as_str(), read.key_bits, read.is_ca), ("RSA", 2048, true));
}

#[test]
fn each_kind_of_key_has_its_name_and_size() {
    let kind = |algorithm| {
        let read = parse_der(made(algorithm, |_| {}).der()).unwrap();
        (read.key_kind, read.key_bits, read.is_ca)
    };
    assert_eq!(kind(&rcgen::PKCS_ED25519), ("Ed25519".into(), 256, false));
    assert_eq!(kind(&rcgen::PKCS_ECDSA_P384_SHA384), ("EC".into(), 384, false));
    let read = parse_pem(P521.as_bytes()).unwrap().remove(0);
    assert_eq!((read.key_kind.as_str(), read.key_bits), ("EC", 521));
    // Another algorithm: the identifier of Ed25519 changed into that of Ed448.
    let mut der = made(&rcgen::PKCS_ED25519, |_| {}).der().to_vec();
    let at = der.windows(3).rposition(|bytes| bytes == [0x2b, 0x65, 0x70]).unwrap();
    let key = der[..at].windows(3).rposition(|bytes| bytes == [0x2b, 0x65, 0x70]).unwrap();
    der[key + 2] = 0x71;
    assert_eq!(parse_der(&der).unwrap().key_kind, "1.3.101.113");
}

#[test]
fn bits_of_a_modulus_leave_leading_zeros_out() {
    assert_eq!(bits(&[0, 0x80, 0]), 16);
    assert_eq!(bits(&[0x7f, 0xff]), 15);
    assert_eq!((bits(&[]), bits(&[0, 0])), (0, 0));
}

#[test]
fn names_are_escaped_by_rfc_4514() {
    let name = |value: &str| {
        let read = named(|name| name.push(DnType::CommonName, value));
        assert_eq!(read.common_names, [value]);
        read.subject
    };
    assert_eq!(name(r#"a,b+c"d\e<f>g;h=i"#), r#"CN=a\,b\+c\"d\\e\<f\>g\;h=i"#);
    assert_eq!(name("#1 #2"), r"CN=\#1 #2");
    assert_eq!(name("  a b  "), r"CN=\  a b \ ");
    assert_eq!(name(" "), r"CN=\ ");
    assert_eq!(name("a\0b\r\nc\u{85}"), r"CN=a\00b\0D\0Ac\C2\85");
    assert_eq!(name("Lučić"), "CN=Lučić");
    assert_eq!(named(|_| {}).subject, "");
}

#[test]
fn values_without_certain_text_or_short_name_are_hexadecimal() {
    let read = named(|name| {
        name.push(DnType::CustomDnType(vec![1, 2, 3]), "ab");
        name.push(DnType::CommonName, DnValue::BmpString("bé".try_into().unwrap()));
        name.push(DnType::OrganizationName, DnValue::UniversalString("u".try_into().unwrap()));
    });
    assert_eq!(read.subject, "O=u,CN=bé,1.2.3=#0c026162");
    assert_eq!(read.common_names, ["bé"]);
}

#[test]
fn no_alternative_name_is_left_out_in_silence() {
    let unreadable = Err(CertificateError::Unreadable("subject alternative names"));
    let read = |content: &[u8]| with_extension(ALTERNATIVE_NAMES, content).map(|read| read.alternative_names);
    assert_eq!(read(&[0x30, 3, 0x82, 1, b'a']), Ok(vec!["a".to_owned()]));
    assert_eq!(read(&[0x30, 3, 0x82, 1, 0xff]), unreadable, "no UTF-8");
    assert_eq!(read(&[0x30, 3, 0x82, 1, 0]), unreadable, "a NUL");
    assert_eq!(read(&[0x30, 5, 0x87, 3, 1, 2, 3]), unreadable, "an address of 3 bytes");
    assert_eq!(read(&[0x30, 4, 0x82, 1, b'a', 0x82]), unreadable, "cut off");
    assert_eq!(read(b"?"), unreadable, "no sequence");
}

#[test]
fn basic_constraints_that_cannot_be_read_are_an_error() {
    let read = |content: &[u8]| with_extension(&[2, 5, 29, 19], content).map(|read| read.is_ca);
    assert_eq!(read(&[0x30, 3, 1, 1, 0xff]), Ok(true));
    assert_eq!(read(&[0x30, 0]), Ok(false));
    assert_eq!(read(b"?"), Err(CertificateError::Unreadable("basic constraints")));
}

#[test]
fn a_name_that_is_not_read_whole_is_an_error() {
    let der = parse_pem(RSA.as_bytes()).unwrap().remove(0).der;
    // A part of its own, and the second attribute of a part. The last match is the subject's.
    for value in [&b"two"[..], b"one"] {
        let mut der = der.clone();
        let attribute = [&[6, 3, 0x55, 4, 3, 12, 3], value].concat();
        let at = der.windows(attribute.len()).rposition(|bytes| bytes == attribute).unwrap();
        // The length of its type now goes beyond its end.
        der[at + 1] = 0x7f;
        assert_eq!(parse_der(&der), Err(CertificateError::Unreadable("subject")));
    }
}

#[test]
fn blocks_are_read_in_order_and_all_else_is_passed_over() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n?\n-----END RSA PRIVATE KEY-----\n";
    let text = format!(
        "\u{feff}{P521}Bag Attributes\n  friendlyName: é\n{key}{encrypted}subject=CN = two\n  {}\n",
        RSA.replace('\n', "\r\n").trim_end(),
    );
    let mut text = text.into_bytes();
    text.extend_from_slice(b"\xff\xfe not text");
    let read = parse_pem(&text).unwrap();
    let names: Vec<_> = read.iter().flat_map(|read| &read.common_names).collect();
    assert_eq!(names, ["p521", "one", "two"]);
    assert_eq!(parse_der(&read[0].der).as_ref(), Ok(&read[0]));
    assert_eq!(parse_pem(b""), Ok(vec![]));
    assert_eq!(parse_pem(key.as_bytes()), Ok(vec![]));
}

#[test]
fn a_broken_block_is_an_error_that_says_which() {
    let problem = |text: &str| match parse_pem(text.as_bytes()) {
        Err(CertificateError::Block { number, problem }) => (number, *problem),
        other => panic!("{other:?}"),
    };
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let end = "-----END CERTIFICATE-----\n";
    assert_eq!(problem(&format!("{RSA}{begin}?\n{end}")), (2, CertificateError::Base64));
    assert_eq!(problem(&format!("{RSA}{begin}")), (2, CertificateError::NoEnd));
    assert_eq!(problem(&format!("{begin}{RSA}")), (1, CertificateError::NoEnd));
    assert_eq!(problem(&format!("{}{P521}", RSA.trim_end())), (1, CertificateError::NoEnd));
    assert_eq!(problem(&format!("{RSA}{end}")), (2, CertificateError::NoBegin));
    assert_eq!(problem(&format!("{begin}aGVsbG8=\n{end}")), (1, CertificateError::NotACertificate));
    let error = parse_pem(format!("{RSA}{begin}?\n{end}").as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "CERTIFICATE block 2: it is not base64; copy the block again, whole");
}

#[test]
fn input_is_bounded() {
    assert_eq!(parse_pem(&vec![b' '; MAX_TEXT + 1]), Err(CertificateError::TextTooLong));
    assert_eq!(parse_der(&vec![0; MAX_DER + 1]), Err(CertificateError::TooLarge));
    let mut der = parse_pem(RSA.as_bytes()).unwrap().remove(0).der;
    der.push(0);
    assert_eq!(parse_der(&der), Err(CertificateError::Trailing(1)));
    let many = made(&rcgen::PKCS_ED25519, |params| {
        params.subject_alt_names = vec![SanType::DnsName("a".try_into().unwrap()); MAX_NAMES / 2];
    });
    let many = many.pem();
    assert_eq!(parse_pem(many.repeat(2).as_bytes()).unwrap().len(), 2);
    assert_eq!(parse_pem(many.repeat(3).as_bytes()), Err(CertificateError::TooManyNames));
}

#[test]
fn deep_nesting_is_refused() {
    let long = |content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[0x30, 0x82], &length[..], content].concat()
    };
    for element in [&[0x30, 0x80][..], &[0x24, 0x80], &[0xa0, 0x80]] {
        let nested = element.repeat(30_000);
        assert_eq!(parse_der(&long(&long(&nested))), Err(CertificateError::NotACertificate));
        let constraints = with_extension(&[2, 5, 29, 19], &long(&nested));
        assert_eq!(constraints, Err(CertificateError::Unreadable("basic constraints")));
    }
    // Each one within the one before, down to the last.
    let nested: Vec<u8> = (0..15_000u16)
        .flat_map(|depth| {
            let [high, low] = (4 * (15_000 - depth) - 4).to_be_bytes();
            [0x30, 0x82, high, low]
        })
        .collect();
    assert_eq!(parse_der(&nested), Err(CertificateError::NotACertificate));
    let constraints = with_extension(&[2, 5, 29, 19], &nested);
    assert_eq!(constraints, Err(CertificateError::Unreadable("basic constraints")));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse_der(&bytes);
        let _ = parse_pem(&bytes);
    }

    #[test]
    fn a_changed_certificate_is_read_without_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        rsa in any::<bool>(),
    ) {
        let text = if rsa { RSA } else { P521 };
        let mut der = parse_pem(text.as_bytes()).unwrap().remove(0).der;
        for (at, byte) in changes {
            let at = at.index(der.len());
            der[at] = byte;
        }
        let _ = parse_der(&der);
        der.truncate(cut.index(der.len()));
        prop_assert!(parse_der(&der).is_err());
    }

    #[test]
    fn pem_lines_in_any_order_are_read_without_panic(
        lines in prop::collection::vec(prop::sample::select(vec![
            "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "MIIB", "=", "",
            "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", P521,
        ]), 0..12),
    ) {
        let _ = parse_pem(lines.join("\n").as_bytes());
    }

    #[test]
    fn an_escaped_value_can_be_read_back(value in "\\PC*|[ #,\\\\+\0-\u{ff}]*") {
        let mut out = String::new();
        escape(&value, &mut out);
        prop_assert_eq!(unescape(&out), value.into_bytes());
    }
}

/// RFC 4514 section 3, the other way.
fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        (out, rest) = match (first, tail) {
            (b'\\', [high, low, tail @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.extend(hex::decode([*high, *low]).unwrap());
                (out, tail)
            }
            (b'\\', [letter, tail @ ..]) => {
                out.push(*letter);
                (out, tail)
            }
            _ => {
                out.push(*first);
                (out, tail)
            }
        };
    }
    out
}
