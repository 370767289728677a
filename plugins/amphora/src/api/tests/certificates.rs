//! Certificates as opaque files.

use super::*;
use crate::digest::md5_hex;

fn place(file: &str) -> String {
    format!("/1.0/loadbalancer/{LB}/certificates/{file}")
}

#[test]
fn certificates_come_before_the_load_balancer_and_have_the_md5_of_their_bytes() {
    let amphora = without_machine();
    for body in [&b"cert\r\nkey\r\n"[..], b"", b"\xff\xfe\0", &[b'x'; 3 << 20]] {
        let md5 = md5_hex(body);
        let answer = amphora.put(&place("a.pem"), body);
        is(&answer, 200, json!({"message": "OK"}));
        assert_eq!(answer.header("etag"), Some(&*md5));
        let answer = amphora.get(&place("a.pem"));
        is(&answer, 200, json!({"md5sum": md5}));
        assert_eq!(answer.header("etag"), Some(&*md5));
    }
}

#[test]
fn an_absent_certificate_is_a_404_in_json_and_deleted_all_the_same() {
    let amphora = without_machine();
    let missing = json!({"message": "Certificate Not Found", "details": "No certificate with filename: a.pem"});
    is(&amphora.get(&place("a.pem")), 404, missing.clone());
    is(&amphora.delete(&place("a.pem")), 200, json!({"message": "OK"}));
    amphora.put(&place("a.pem"), "x").expect(200);
    is(&amphora.delete(&place("a.pem")), 200, json!({"message": "OK"}));
    is(&amphora.get(&place("a.pem")), 404, missing);
}

#[test]
fn a_name_of_the_wrong_format_is_refused_by_all_three_in_the_same_way() {
    let amphora = without_machine();
    let refused = json!({"message": "Filename has wrong format"});
    for file in ["x.crt", "pem", ".pem", "..%5cx.pem"] {
        is(&amphora.put(&place(file), "x"), 400, refused.clone());
        is(&amphora.get(&place(file)), 400, refused.clone());
        is(&amphora.delete(&place(file)), 400, refused.clone());
    }
}

#[test]
fn nothing_is_written_outside_of_the_directory() {
    let amphora = without_machine();
    for id in ["%2e%2e", "..", ".", "certs", "a%2fb"] {
        let answer = amphora.put(&format!("/1.0/loadbalancer/{id}/certificates/a.pem"), "x");
        assert!(matches!(answer.status, 400 | 404), "{id}: {}", answer.status);
        assert_eq!(answer.header("content-type").is_none(), answer.by_host);
    }
    assert!(amphora.files.names("").unwrap().is_empty());
}
