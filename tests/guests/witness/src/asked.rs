//! Every function that the host offers, asked once, a line each: its name and what came of it.
//!
//! Of what differs from run to run (versions, ids, times, the machine's numbers) only the kind is told.

use std::fmt::{Debug, Write as _};

use crate::bindings::plugbay::plugin::types::{
    Answer, BlobRange, DigestAlgorithm, FileRange, Received, Request, Segment,
};
use crate::bindings::plugbay::plugin::{
    blobs, config, crypto, http_client, identity, jobs, kv, log, process, secrets, system, udp,
};

/// Lines as they are collected.
struct Lines(String);

impl Lines {
    fn tell(&mut self, name: &str, outcome: impl AsRef<str>) {
        let _ = writeln!(self.0, "{name}: {}", outcome.as_ref());
    }

    /// `ok` with what `show` makes of it, or the case of the error without its text.
    fn asked<T, E: Debug>(&mut self, name: &str, result: Result<T, E>, show: impl FnOnce(T) -> String) -> bool {
        let well = result.is_ok();
        match result {
            Ok(value) => self.tell(name, format!("ok {}", show(value)).trim_end()),
            Err(error) => {
                let text = format!("{error:?}");
                let case = text.rsplit("::").next().unwrap_or(&text);
                let end = case.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(case.len());
                self.tell(name, case.get(..end).unwrap_or(case));
            }
        }
        well
    }
}

fn nothing<T>(_: T) -> String {
    String::new()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().take(4).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(bytes.as_ref()).into_owned()
}

/// All of them.
pub fn everything() -> String {
    let mut lines = Lines(String::new());
    log::log(log::Level::Info, "asked for everything");
    lines.tell("config.all", config::all());
    keys(&mut lines);
    pieces(&mut lines);
    cryptography(&mut lines);
    callers(&mut lines);
    kept(&mut lines);
    network(&mut lines);
    programs(&mut lines);
    machine(&mut lines);
    lines.0
}

fn keys(lines: &mut Lines) {
    let old = kv::get("witness").ok().flatten().map(|entry| entry.version);
    let check = match old {
        Some(version) => kv::Check::Version(("witness".to_owned(), version)),
        None => kv::Check::Absent("witness".to_owned()),
    };
    let job = kv::NewJob { name: "j".to_owned(), key: Some("k".to_owned()), payload: b"p".to_vec(), delay_ms: 0 };
    let ops = [
        kv::Op::Put(("witness".to_owned(), b"seen".to_vec())),
        kv::Op::Delete("not-there".to_owned()),
        kv::Op::EnqueueJob(job),
    ];
    lines.asked("kv.commit", kv::commit(&[check], &ops), nothing);
    let conflict = kv::commit(&[kv::Check::Absent("witness".to_owned())], &[kv::Op::Delete("witness".to_owned())]);
    lines.asked("kv.commit of what changed", conflict, nothing);
    lines.asked("kv.get", kv::get("witness"), |entry| entry.map_or_else(String::new, |entry| text(entry.value)));
    let range = kv::Range { start: "witness".to_owned(), end: Some("witness0".to_owned()), limit: 1, reverse: true };
    lines.asked("kv.scan", kv::scan(&range), |page| format!("{} {}", page.entries.len(), page.more));
    lines.asked("jobs.pending", jobs::pending(Some("nobody"), 10), |all| all.len().to_string());
    lines.asked("jobs.cancel", jobs::cancel("nobody"), |cancelled| cancelled.to_string());
}

fn pieces(lines: &mut Lines) {
    let sha256 = [DigestAlgorithm::Sha256];
    let written = blobs::write(b"some bytes", &sha256);
    let id = written.as_ref().map(|piece| piece.id.clone()).unwrap_or_default();
    lines.asked("blobs.write", written, |piece| {
        format!("{} {}", piece.size, piece.digests.iter().map(hex).collect::<String>())
    });
    let whole = BlobRange { name: id.clone(), offset: 0, length: None };
    let part = BlobRange { name: id.clone(), offset: 5, length: Some(5) };
    lines.asked("blobs.size", blobs::size(&id), |size| size.map_or_else(String::new, |size| size.to_string()));
    lines.asked("blobs.read", blobs::read(&part), text);
    lines.asked("blobs.concat", blobs::concat(&[part.clone(), whole.clone()], &[]), |piece| piece.size.to_string());
    lines.asked("blobs.digest", blobs::digest(std::slice::from_ref(&whole), DigestAlgorithm::Sha1), hex);
    let segments = [Segment::Blob(whole), Segment::Zeros(6), Segment::Bytes(b"end".to_vec())];
    lines.asked("blobs.to-file", blobs::to_file(&segments, "witness.bin", 0o600), |size| size.to_string());
    let file = FileRange { path: "witness.bin".to_owned(), offset: 5, length: Some(5) };
    lines.asked("blobs.from-file", blobs::from_file(&file, &sha256), |piece| piece.size.to_string());
    let attach = kv::Op::AttachBlob(kv::Attachment { name: "witness".to_owned(), piece: id });
    let attached = kv::commit(&[], &[kv::Op::DropBlob("witness".to_owned())]).and_then(|_| kv::commit(&[], &[attach]));
    lines.asked("kv.commit of a piece", attached, nothing);
    lines.asked("blobs.size of a blob", blobs::size("witness"), |size| size.unwrap_or_default().to_string());
}

fn cryptography(lines: &mut Lines) {
    lines.asked("crypto.digest", crypto::digest(DigestAlgorithm::Sha512, b"a"), hex);
    let hasher = crypto::Hasher::new(DigestAlgorithm::Md5);
    hasher.update(b"a");
    lines.tell("crypto.hasher", hex(hasher.finish()));
    lines.asked("crypto.hmac", crypto::hmac(DigestAlgorithm::Sha256, b"key", b"a"), hex);
    lines.tell("crypto.equal", crypto::equal(b"a", b"a").to_string());
    lines.asked("crypto.random", crypto::random(8), |bytes| bytes.len().to_string());
    lines.asked("crypto.parse-certificates", crypto::parse_certificates(b"none"), |all| all.len().to_string());
    lines.asked("crypto.parse-certificate", crypto::parse_certificate(b"none"), |one| one.subject);
    lines.asked("crypto.ensure-key", crypto::ensure_key("sealing", crypto::KeyKind::Sealing), |key| {
        key.len().to_string()
    });
    let opened =
        crypto::seal("sealing", b"context", b"plain").and_then(|sealed| crypto::open("sealing", b"context", &sealed));
    lines.asked("crypto.seal and open", opened, text);
    let public = crypto::ensure_key("signing", crypto::KeyKind::Signing).unwrap_or_default();
    let verified = crypto::sign("signing", b"a").and_then(|signature| crypto::verify(&public, b"a", &signature));
    lines.asked("crypto.sign and verify", verified, |good| good.to_string());
}

fn callers(lines: &mut Lines) {
    lines.asked("identity.allowed", identity::allowed("reader"), |allowed| allowed.to_string());
    lines.asked("identity.challenge", identity::challenge(), nothing);
    lines.asked("identity.lookup", identity::lookup("nobody's"), |info| info.is_some().to_string());
    lines.asked("identity.users-by-id", identity::users_by_id(&["nobody".to_owned()]), |users| users.len().to_string());
    let named = identity::users_by_name(&["nobody".to_owned()]);
    lines.asked("identity.users-by-name", named, |users| users.len().to_string());
}

fn kept(lines: &mut Lines) {
    let credential =
        |form| secrets::Credential { form, value: "v".to_owned(), destinations: vec!["http://127.0.0.1:1".to_owned()] };
    let forms = [
        ("basic", secrets::Form::Basic("user".to_owned())),
        ("bearer", secrets::Form::Bearer),
        ("header", secrets::Form::Header("x-token".to_owned())),
        ("json", secrets::Form::Json("/a".to_owned())),
    ];
    for (name, form) in forms {
        lines.asked(
            &format!("secrets.put-credential {name}"),
            secrets::put_credential(name, &credential(form)),
            nothing,
        );
    }
    lines.asked("secrets.put-hmac-key", secrets::put_hmac_key("key", b"key"), nothing);
    lines.asked("secrets.hmac", secrets::hmac("key", DigestAlgorithm::Sha256, b"a"), hex);
    lines.asked("secrets.put-identity", secrets::put_identity("broken", b"no", b"key"), nothing);
    lines.asked("secrets.ensure-identity", secrets::ensure_identity("own", "witness", 7), |own| {
        own.fingerprint.len().to_string()
    });
    lines.asked("secrets.identity", secrets::identity("own"), |own| own.fingerprint.len().to_string());
    lines.asked("secrets.names", secrets::names(), |all| {
        all.into_iter().map(|named| format!("{}={}", named.name, named.operators)).collect::<Vec<_>>().join(" ")
    });
    lines.asked("secrets.delete", secrets::delete("basic"), |there| there.to_string());
}

/// To a port that nobody is allowed to be asked at.
fn network(lines: &mut Lines) {
    let request = |trust| http_client::Outbound {
        method: "GET".to_owned(),
        url: "http://127.0.0.1:1/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        identity: None,
        credential: None,
        trust,
        deadlines: http_client::Deadlines {
            connect: Some(100),
            tls: None,
            first_byte: None,
            idle: None,
            whole: Some(1000),
        },
        limit: Some(1),
        to_piece: None,
        redirects: 0,
    };
    lines.asked("http-client.send", http_client::send(&request(http_client::Trust::System)), |answer| {
        answer.status.to_string()
    });
    let both = [
        request(http_client::Trust::Authorities(b"none".to_vec())),
        request(http_client::Trust::Pinned(vec![vec![0; 32]])),
    ];
    lines.asked("http-client.send-all", http_client::send_all(&both), |answers| answers.len().to_string());
    lines.asked("udp.send", udp::send("127.0.0.1:1", b"a"), nothing);
}

/// Of programs that the operator did not list.
fn programs(lines: &mut Lines) {
    lines.asked("process.directory", process::directory(), |path| path.starts_with('/').to_string());
    lines.asked("process.revision", process::revision("none"), nothing);
    lines.asked("process.run", process::run("none", &["a".to_owned()], b"in", 1000), |output| text(output.stdout));
    lines.asked("process.start", process::start("own", "none", &[]), nothing);
    lines.asked("process.signal", process::signal("own", 15), nothing);
    lines.asked("process.status", process::status("own"), |state| state.is_some().to_string());
    lines.asked("process.printed", process::printed("own", 100), text);
    lines.asked("process.stop", process::stop("own", 0), nothing);
    lines.asked("process.dialogue", process::dialogue("none.sock", b"a", Some(b"b"), 100), text);
}

fn machine(lines: &mut Lines) {
    lines.asked("system.hostname", system::hostname(), |name| (!name.is_empty()).to_string());
    lines.asked("system.cpu", system::cpu(), |cpu| (cpu.count > 0).to_string());
    lines.asked("system.memory", system::memory(None), |memory| (memory.total > 0).to_string());
    lines.asked("system.disk", system::disk(), |(used, free)| (used + free > 0).to_string());
    lines.asked("system.load", system::load(), |(one, _, _)| (one >= 0.0).to_string());
    lines.asked("system.networks", system::networks(None), |all| (!all.is_empty()).to_string());
}

/// The request as it was handed over, and the whole of its body from a blob.
pub fn whole(request: &Request) -> Answer {
    let body = request.body.clone().unwrap_or_default();
    let name = request.params.first().cloned().unwrap_or_default();
    let written = blobs::write(&body, &[]).map(|piece| piece.id).unwrap_or_default();
    let seen = format!("{} {} {name} {}\n", request.surface, request.method, request.query.as_deref().unwrap_or("-"));
    let blob = Segment::Blob(BlobRange { name: written, offset: 0, length: None });
    Answer { body: vec![Segment::Bytes(seen.into_bytes()), blob], ..crate::text(201, "") }
}

/// Keep a body that was received, and say what it is.
pub fn keep(received: &Received) -> String {
    let ops = received.pieces.iter().enumerate().flat_map(|(place, piece)| {
        let name = format!("received/{place}");
        [kv::Op::DropBlob(name.clone()), kv::Op::AttachBlob(kv::Attachment { name, piece: piece.id.clone() })]
    });
    let ops: Vec<_> = ops.collect();
    let (drops, attaches): (Vec<_>, Vec<_>) = ops.into_iter().partition(|op| matches!(op, kv::Op::DropBlob(_)));
    let kept = kv::commit(&[], &drops).and_then(|_| kv::commit(&[], &attaches)).is_ok();
    let digests: String = received.digests.iter().map(hex).collect();
    format!("{} pieces, {} bytes, {digests}, kept {kept}", received.pieces.len(), received.size)
}

/// Which triggers ran a job.
pub fn jobs_run() -> String {
    let range = kv::Range { start: "ran/".to_owned(), end: Some("ran0".to_owned()), limit: 100, reverse: false };
    let entries = kv::scan(&range).map(|page| page.entries).unwrap_or_default();
    entries.iter().map(|entry| format!("{}\n", entry.key)).collect()
}
