//! Lines, URLs and addresses.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::outbound::address::{Class, Range, class};

/// Whether a line lets a request for this URL go to this address.
fn admits(line: &str, url: &str, address: &str) -> bool {
    let line: Destination = line.parse().unwrap();
    line.names(&Target::parse(url).unwrap()) && line.reaches(address.parse().unwrap())
}

#[test]
fn a_line_names_scheme_host_and_port() {
    for (line, url, expected) in [
        ("https://a.test", "https://a.test/x", true),
        ("https://a.test", "https://A.TEST:443/", true),
        ("https://A.test", "https://a.test/", true),
        ("https://a.test", "http://a.test/", false),
        ("https://a.test", "https://a.test:444/", false),
        ("https://a.test", "https://b.a.test/", false),
        ("https://a.test", "https://a.test.evil.test/", false),
        ("http://a.test:8080", "http://a.test:8080/", true),
        ("http://a.test:*", "http://a.test:1/", true),
        ("https://*.a.test", "https://b.a.test/", true),
        ("https://*.a.test", "https://c.b.a.test/", true),
        ("https://*.a.test", "https://a.test/", false),
        ("https://*.a.test", "https://ba.test/", false),
        ("https://*", "https://anything.test/", true),
        ("https://*", "https://8.8.8.8/", true),
        ("https://8.8.8.0/24", "https://8.8.8.8/", true),
        ("https://8.8.8.0/24", "https://8.8.9.8/", false),
        ("https://8.8.8.0/24", "https://a.test/", false),
    ] {
        assert_eq!(admits(line, url, "8.8.8.8"), expected, "{line} {url}");
    }
    assert!(admits("https://[2606:4700::]/32:8443", "https://[2606:4700::1]:8443/", "2606:4700::1"));
    assert!(admits("https://[2606:4700::1]", "https://[2606:4700::1]/", "2606:4700::1"));
    // In the many ways that URLs have to write an address.
    for url in ["http://0x7f.1/", "http://2130706433/", "http://127.1/", "http://[::ffff:127.0.0.1]/"] {
        assert!(admits("http://127.0.0.1", url, "127.0.0.1"), "{url}");
        assert!(!admits("http://*", url, "127.0.0.1"), "{url}");
    }
}

#[test]
fn addresses_that_are_not_public_need_a_line_for_them() {
    let special = [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.9.9.9",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "240.0.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "ff02::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "fec0::1",
    ];
    for address in special {
        assert!(!admits("https://a.test", "https://a.test", address), "{address}");
        assert!(!admits("https://*:*", "https://a.test", address), "{address}");
        assert!(!admits("https://a.test at 0.0.0.0/0, ::/0", "https://a.test", address), "{address}");
    }
    for address in ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8"] {
        assert!(admits("https://a.test", "https://a.test", address), "{address}");
    }
}

#[test]
fn private_ranges_are_reached_by_private_ranges_and_local_addresses_by_themselves() {
    for (line, address, expected) in [
        ("https://a.test at 10.0.0.0/8", "10.1.2.3", true),
        ("https://a.test at 10.1.2.3", "10.1.2.3", true),
        ("https://a.test at 10.1.0.0/16", "10.2.2.3", false),
        ("https://a.test at 8.0.0.0/5", "10.2.2.3", false),
        ("https://a.test at 10.0.0.0/8", "8.8.8.8", false),
        ("https://a.test at 192.168.0.0/16, 10.0.0.0/8", "10.0.0.1", true),
        ("https://a.test at fc00::/7", "fd12::1", true),
        ("https://a.test at fc00::/7", "fd00:ec2::254", false),
        ("https://a.test at fd00:ec2::254", "fd00:ec2::254", true),
        ("https://a.test at 127.0.0.1", "127.0.0.1", true),
        ("https://a.test at 127.0.0.0/8", "127.0.0.1", false),
        ("https://a.test:* at 127.0.0.1", "127.0.0.1", false),
        ("https://a.test:* at 10.0.0.1", "10.0.0.1", true),
        ("https://a.test at 169.254.169.254", "169.254.169.254", true),
        ("https://a.test at 169.254.0.0/16", "169.254.169.254", false),
        ("https://a.test at 127.0.0.1", "::ffff:127.0.0.1", true),
        ("https://a.test at 64:ff9b::/96", "64:ff9b::7f00:1", true),
        ("https://a.test at ::7f00:1", "::7f00:1", true),
        ("https://a.test at ::/64", "::7f00:1", false),
    ] {
        assert_eq!(admits(line, "https://a.test", address), expected, "{line} {address}");
    }
    assert!(admits("https://10.0.0.0/24:8443", "https://10.0.0.5:8443", "10.0.0.5"));
    assert!(admits("https://127.20.0.11", "https://127.20.0.11", "127.20.0.11"));
    assert!(!admits("https://127.20.0.0/24", "https://127.20.0.11", "127.20.0.11"));
    assert!(!admits("https://127.20.0.11:*", "https://127.20.0.11", "127.20.0.11"));
}

#[test]
fn lines_are_checked() {
    for line in [
        "",
        "a.test",
        "ftp://a.test",
        "HTTPS://a.test",
        "https://",
        "https://a.test/",
        "https://a.test/path",
        "https://a.test:0",
        "https://a.test:65536",
        "https://a.test:+1",
        "https://a.test:",
        "https://u@a.test",
        "https://a.test?x",
        "https://a.test#x",
        "https://a..test",
        "https://a.test.",
        "https://-.1",
        "https://*a.test",
        "https://a.*",
        "https://*.",
        "https://*.8.8",
        "https://1.2.3",
        "https://1.2.3.0x4",
        "https://a b.test",
        "https://2001:db8::1",
        "https://[2001:db8::1",
        "https://[::ffff:1.2.3.4]",
        "https://1.2.3.4/33",
        "https://1.2.3.4/+8",
        "https://1.2.3.4/",
        "https://0.0.0.0",
        "https://224.0.0.1",
        "https://[::]",
        "https://a.test at",
        "https://a.test at ",
        "https://a.test at b.test",
        "https://a.test at 10.0.0.0/8,",
        "https://10.0.0.1 at 10.0.0.1",
        "https://a.test at 10.0.0.0/8 at 10.0.0.0/8",
    ] {
        assert!(line.parse::<Destination>().is_err(), "{line}");
    }
    let error = toml::from_str::<OutboundConfig>("allow = [\"a.test\"]").unwrap_err().to_string();
    assert!(error.contains("the scheme is missing"), "{error}");
    assert!(toml::from_str::<OutboundConfig>("limit = 1").is_err());
    let config: OutboundConfig = toml::from_str("allow = [\"https://a.test\"]\nlimits.whole = \"1m\"").unwrap();
    assert_eq!(config.allow.first().unwrap().to_string(), "https://a.test");
    assert_eq!(config.limits.whole.get(), Duration::from_secs(60));
}

#[test]
fn urls_are_checked() {
    for url in [
        "",
        "/x",
        "a.test",
        "ftp://a.test/",
        "file:///etc/passwd",
        "https://",
        "https://u@a.test/",
        "https://u:p@a.test/",
        "https://a.test:0/",
        "https://a.test:65536/",
        "https://a.test./",
        "https://a.test/ x",
        "https://a.test\\@b.test/",
        "https://a.test/\n",
        " https://a.test/",
        "https://a%2fb.test/",
        "https://[fe80::1%25eth0]/",
        "unix:/run/x",
    ] {
        assert!(matches!(Target::parse(url), Err(OutboundError::Invalid(_))), "{url}");
    }
    assert!(Target::parse(&format!("https://a.test/{}", "x".repeat(9000))).is_err());
    let target = Target::parse("https://A.test:443//b//?q#f").unwrap();
    assert_eq!(target.as_str(), "https://a.test//b//?q");
    assert_eq!(target.origin().to_string(), "https://a.test");
    assert_eq!(Target::parse("http://[::1]:8080").unwrap().origin().to_string(), "http://[::1]:8080");
}

proptest! {
    #[test]
    fn no_line_is_fatal_and_each_that_is_taken_is_kept_as_written(
        line in "(https?://)?[a-z0-9.:/*\\[\\],@ ]{0,40}( at [0-9a-f.:/, ]{0,30})?",
    ) {
        if let Ok(destination) = line.parse::<Destination>() {
            prop_assert_eq!(destination.to_string(), line);
            let _ = destination.names(&Target::parse("https://a.test").unwrap());
            let _ = destination.reaches(Ipv4Addr::LOCALHOST.into());
        }
    }

    #[test]
    fn any_text_can_be_asked_for(line in any::<String>(), url in any::<String>()) {
        let _ = line.parse::<Destination>();
        let _ = Target::parse(&url);
    }

    #[test]
    fn a_line_with_an_open_host_or_port_reaches_no_local_address(
        low in any::<u32>(),
        prefix in 0..=31_u8,
        to in any::<u32>(),
    ) {
        let (low, to) = (Ipv4Addr::from(low), Ipv4Addr::from(to));
        let near = Ipv4Addr::from(0x7f00_0000 | (to.to_bits() & 0xff_ffff));
        for address in [to, near] {
            if class(address.into()) != Class::Local {
                continue;
            }
            let range = format!("{low}/{prefix}");
            for line in [format!("http://{range}"), format!("http://a.test at {range}"), format!("http://{address}:*")] {
                prop_assert!(!line.parse::<Destination>().unwrap().reaches(address.into()), "{} {}", line, address);
            }
        }
    }

    #[test]
    fn a_range_has_as_many_bits_as_it_says(own in any::<u32>(), other in any::<u32>(), prefix in 1..=31_u8) {
        let (own, other) = (Ipv4Addr::from(own), Ipv4Addr::from(other));
        let range: Range = format!("{own}/{prefix}").parse().unwrap();
        let mask = u32::MAX << (32 - u32::from(prefix));
        prop_assert_eq!(range.contains(other.into()), own.to_bits() & mask == other.to_bits() & mask);
    }
}

#[tokio::test]
async fn what_is_not_listed_is_denied_before_anything_is_looked_up() {
    // The name never resolves.
    let client = client(&["https://a.test".to_owned()]);
    for url in ["https://b.test/", "http://a.test/", "https://a.test:8443/", "https://127.0.0.1/"] {
        assert!(matches!(client.fetch(&get(url)).await, Err(OutboundError::Denied(_))), "{url}");
    }
}
