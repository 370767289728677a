//! Arguments, and what is printed.

use std::collections::BTreeSet;

use clap::{CommandFactory as _, Parser as _};
use http::StatusCode;
use jiff::Timestamp;
use proptest::prelude::*;

use super::client::complaint;
use super::inspect::{Report, text};
use super::operator::{Row, list, parse_field};
use super::{Arguments, Command, Subject, keys, table, token};
use crate::plugin::contract::Asks;

fn parse(words: &str) -> Arguments {
    Arguments::try_parse_from(words.split_whitespace()).unwrap()
}

#[test]
fn the_arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn the_configuration_may_be_named_before_or_after_the_command() {
    for words in ["plugbay --config a.toml plugins", "plugbay plugins --config a.toml"] {
        assert_eq!(parse(words).config.as_deref(), Some("a.toml".as_ref()));
    }
    assert!(parse("plugbay").command.is_none());
}

#[test]
fn roles_and_headers_may_be_given_several_times() {
    let Some(Command::Token(super::Token::New(new))) = parse("plugbay token new --id u --role a --role b").command
    else {
        panic!("not a token");
    };
    assert_eq!(new.roles, ["a", "b"]);
    assert_eq!(new.auth, "dev");
    let Some(Command::Call(call)) = parse("plugbay call notes POST /x -H a:1 --header b:2").command else {
        panic!("not a call");
    };
    assert_eq!(call.headers, ["a:1", "b:2"]);
}

#[test]
fn a_server_has_several_names_and_certificates_an_end() {
    let words = "plugbay pki --server-name a d --server-name b --days 7";
    let Some(Command::Pki(asked)) = parse(words).command else {
        panic!("not pki");
    };
    assert_eq!((asked.server_names, asked.days), (vec!["a".to_owned(), "b".to_owned()], 7));
    assert_eq!(asked.directory, std::path::Path::new("d"));
    for wrong in ["plugbay pki", "plugbay pki d --days 0", "plugbay pki d --days 3651"] {
        assert!(Arguments::try_parse_from(wrong.split_whitespace()).is_err(), "{wrong}");
    }
}

#[test]
fn a_plugin_is_named_by_its_file_unless_told_otherwise() {
    let subject = |file: &str, name: Option<&str>| Subject { file: file.into(), name: name.map(str::to_owned) };
    assert_eq!(subject("dir/notes.wasm", None).name().unwrap(), "notes");
    assert_eq!(subject("dir/notes.wasm", Some("other")).name().unwrap(), "other");
    assert!(subject("dir/no notes.wasm", None).name().unwrap_err().to_string().contains("--name"));
}

#[test]
fn columns_are_as_wide_as_their_widest_cell() {
    let rows = [vec!["a".to_owned(), "long cell".to_owned()], vec!["bcd".to_owned(), "é\u{1b}[2J".to_owned()]];
    let text = table::format(&["N", "X"], &rows);
    assert_eq!(text, "N    X\na    long cell\nbcd  é\\u{1b}[2J\n");
}

proptest! {
    #[test]
    fn no_cell_reaches_the_terminal_with_control_characters(cell in "\\PC*|[\\x00-\\x1f\\x7f]*") {
        let text = table::format(&["A"], &[vec![cell]]);
        prop_assert!(text.lines().count() <= 2);
        prop_assert!(!text.replace('\n', "").contains(char::is_control));
    }

    #[test]
    fn no_header_argument_breaks_its_parser(field in ".*") {
        let _ = parse_field(&field);
    }
}

#[test]
fn the_list_of_plugins_says_why_a_file_was_refused() {
    let row = Row {
        name: "notes".into(),
        state: "serving".into(),
        version: Some("1.2.0".into()),
        digest: Some("0123456789abcdef".into()),
        schema: Some(3),
        mounts: vec!["default:/notes/ (main)".into()],
        last_error: Some("it traps".into()),
        ..Row::default()
    };
    let text = list(&[row]);
    assert!(text.contains("notes  serving  1.2.0    3       0123456789ab  default:/notes/ (main)\n"), "{text}");
    assert!(text.contains("notes: its file was refused: it traps\n"), "{text}");
    assert_eq!(list(&[]).lines().count(), 1);
}

#[test]
fn a_problem_is_told_in_its_own_words() {
    assert_eq!(complaint(StatusCode::NOT_FOUND, br#"{"detail":"There is no plugin."}"#), "There is no plugin.");
    assert_eq!(complaint(StatusCode::BAD_GATEWAY, b"<html>"), "the host answered 502 Bad Gateway");
}

#[test]
fn header_arguments_are_name_and_value() {
    let (name, value) = parse_field("X-Thing:  a:b ").unwrap();
    assert_eq!((name.as_str(), value.as_bytes()), ("x-thing", &b"a:b"[..]));
    for wrong in ["", "x", ": y", "a b: c", "a: b\nc"] {
        assert!(parse_field(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_token_ends_at_a_time_or_after_one() {
    let now: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    let end = |text: &str| token::end(text, now).map(|end| end.to_string());
    assert_eq!(end("2027-01-01T00:00:00Z").unwrap(), "2027-01-01T00:00:00Z");
    assert_eq!(end("30d").unwrap(), "2026-12-21T00:00:00Z");
    assert_eq!(end("12h").unwrap(), "2026-11-21T12:00:00Z");
    for wrong in ["soon", "", "2020-01-01T00:00:00Z", "-1d", "999999999y"] {
        assert!(end(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_private_key_is_read_as_pem_and_as_it_is() {
    let der: Vec<u8> = (0..=255).collect();
    assert_eq!(keys::unarmour(keys::armour(&der).into_bytes()), der);
    assert_eq!(keys::unarmour(der.clone()), der);
    assert!(keys::armour(&der).lines().all(|line| line.len() <= 64));
}

#[test]
fn inspect_says_which_lines_a_plugin_needs() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let mut report = Report {
        file: "notes.wasm".into(),
        name: "notes".into(),
        bytes: 3,
        sha256: "00".into(),
        contract: "plugbay:plugin@1.0.0".into(),
        signature: "none".into(),
        asks: Asks { capabilities: names(&["types", "kv", "udp", "magic"]), ..Asks::default() },
        refusals: vec!["imports udp".into()],
        grants: names(&["udp"]),
        refusals_with_grants: Vec::new(),
    };
    let said = text(&report);
    for part in [
        "kv           there by default",
        "udp          only if its table grants it",
        "magic        not known",
        "[plugin.notes]\n  grants = [\"udp\"]\n",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    assert!(!said.contains("types "), "{said}");
    report.refusals.clear();
    assert!(text(&report).ends_with("It needs no line of the configuration.\n"));
}
