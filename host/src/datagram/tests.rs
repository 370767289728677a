//! The list, and real datagrams over loopback.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn covers(line: &str, to: &str) -> bool {
    line.parse::<Destination>().unwrap().covers(to.parse().unwrap())
}

#[test]
fn a_line_covers_what_it_says() {
    for (line, to, expected) in [
        ("192.0.2.1:5555", "192.0.2.1:5555", true),
        ("192.0.2.1:5555", "192.0.2.1:5556", false),
        ("192.0.2.1:5555", "192.0.2.2:5555", false),
        ("192.0.2.1:*", "192.0.2.1:1", true),
        ("192.0.2.0/24:53", "192.0.2.77:53", true),
        ("192.0.2.0/24:53", "192.0.3.77:53", false),
        ("0.0.0.0/0:53", "198.51.100.1:53", true),
        ("0.0.0.0/0:53", "[2001:db8::1]:53", false),
        ("[2001:db8::1]:53", "[2001:db8::1]:53", true),
        ("[2001:db8::]/32:*", "[2001:db8:1::9]:9", true),
        ("192.0.2.1:53", "[::ffff:192.0.2.1]:53", true),
    ] {
        assert_eq!(covers(line, to), expected, "{line} {to}");
    }
}

#[test]
fn local_addresses_need_a_line_of_their_own() {
    for to in ["127.0.0.1:53", "127.9.9.9:53", "169.254.169.254:53", "0.0.0.0:53", "[::ffff:127.0.0.1]:53"] {
        assert!(!covers("0.0.0.0/0:53", to), "{to}");
        assert!(!covers("[::]/0:53", to), "{to}");
    }
    for to in ["[::1]:53", "[fe80::1]:53", "[::]:53"] {
        assert!(!covers("[::]/0:*", to), "{to}");
    }
    assert!(!covers("127.0.0.1:*", "127.0.0.1:53"));
    assert!(!covers("127.0.0.0/8:53", "127.0.0.1:53"));
    assert!(covers("127.0.0.1:53", "127.0.0.1:53"));
    assert!(covers("[::1]:53", "[::1]:53"));
    assert!(covers("169.254.1.1:53", "169.254.1.1:53"));
}

#[test]
fn nobody_sends_to_many() {
    assert!(!covers("0.0.0.0/0:53", "224.0.0.1:53"));
    assert!(!covers("0.0.0.0/0:53", "255.255.255.255:53"));
    assert!(!covers("[::]/0:53", "[ff02::1]:53"));
    assert!("224.0.0.18:1".parse::<Destination>().is_err());
}

#[test]
fn lines_are_checked() {
    for line in [
        "",
        "192.0.2.1",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "host:53",
        "192.0.2.1/33:53",
        "192.0.2.1/:53",
        "2001:db8::1:53",
        "[2001:db8::1]",
        "[2001:db8::1]x:53",
        "[192.0.2.1]:53",
        "[::ffff:192.0.2.1]:53",
        "[2001:db8::]/129:53",
        "*:53",
    ] {
        assert!(line.parse::<Destination>().is_err(), "{line}");
    }
    let list: Vec<Destination> = serde_json::from_str(r#"["192.0.2.1:5555"]"#).unwrap();
    assert_eq!(list, ["192.0.2.1:5555".parse().unwrap()]);
    assert!(serde_json::from_str::<Destination>(r#""x""#).unwrap_err().to_string().contains("port"));
}

#[test]
fn datagrams_arrive_whole_and_only_where_they_may() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let to = receiver.local_addr().unwrap().to_string();
    let sender = Datagrams::new(vec![to.parse().unwrap()]);
    let payload = vec![7; 9000];
    sender.send(&to, &payload).unwrap();
    let mut buffer = vec![0; MOST];
    assert_eq!(receiver.recv(&mut buffer).unwrap(), payload.len());
    assert!(matches!(sender.send("127.0.0.1:9", b"x"), Err(SendError::Denied(_))));
    assert!(matches!(sender.send("localhost:9", b"x"), Err(SendError::Invalid(_))));
    assert!(matches!(sender.send(&to, &vec![0; MOST + 1]), Err(SendError::Invalid(_))));
    assert!(matches!(Datagrams::default().send(&to, b"x"), Err(SendError::Denied(_))));
}

proptest! {
    #[test]
    fn no_line_is_fatal(line in "[0-9a-f.:/*\\[\\]]{0,40}", to in any::<([u8; 4], u16)>()) {
        if let Ok(destination) = line.parse::<Destination>() {
            let _ = destination.covers(SocketAddr::from(to));
        }
    }

    #[test]
    fn a_prefix_covers_as_many_bits_as_it_says(own in any::<u32>(), other in any::<u32>(), prefix in 0..=32_u8) {
        let line: Destination = format!("{}/{prefix}:53", Ipv4Addr::from(own)).parse::<Destination>()
            .unwrap_or(Destination { address: Ipv4Addr::from(own).into(), prefix, port: Some(53) });
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        prop_assert_eq!(line.contains(Ipv4Addr::from(other).into()), own & mask == other & mask);
    }
}
