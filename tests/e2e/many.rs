//! Ten thousand parked requests, a thousand slow uploads and a thousand slow readers at once on one
//! plugin with a pool of four, while ordinary requests go on.

use std::net::SocketAddr;

use plugbay_tests::{Bed, Process, Sent, marked, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const PARKED: usize = 10_000;
const UPLOADS: usize = 1_000;
const READERS: usize = 1_000;
/// Connections opened at once, below the listener's backlog.
const AT_ONCE: usize = 100;

async fn open(address: SocketAddr, head: String, body: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'u'; body]).await.unwrap();
    stream
}

pub async fn open_many(
    address: SocketAddr,
    count: usize,
    head: impl Fn(usize) -> String,
    body: usize,
) -> Vec<TcpStream> {
    let mut streams = Vec::with_capacity(count);
    for first in (0..count).step_by(AT_ONCE) {
        let mut opening = JoinSet::new();
        for number in first..count.min(first + AT_ONCE) {
            opening.spawn(open(address, head(number), body));
        }
        streams.extend(opening.join_all().await);
    }
    streams
}

pub fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_thousand_waiting_clients_hold_no_instance() {
    plugbay_tests::raise_descriptor_limit((PARKED + UPLOADS + READERS) as u64 + 1000);
    let bed = Bed::new(
        "limits = { body_idle_timeout = \"5m\", write_idle_timeout = \"5m\", body_min_rate = 0 }\n\
         [plugin.trouble]\nlimits = { concurrency = 4, queue = 20000, queue_wait = \"30s\" }\n",
    );
    bed.install("trouble", &marked(1, 1));
    let process = Process::start(&bed).await;
    let address = process.address;
    let before = resident_kib(process.id());
    let park = |number| format!("GET /trouble/park/k{} HTTP/1.1\r\nhost: x\r\n\r\n", number % 10);
    let mut parked = open_many(address, PARKED, park, 0).await;
    let upload = |_| "POST /trouble/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 1048576\r\n\r\n".to_owned();
    let uploads = open_many(address, UPLOADS, upload, 1000).await;
    let read = |_| "GET /trouble/zeros/1000000000 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned();
    let mut readers = open_many(address, READERS, read, 0).await;
    for reader in &mut readers {
        let mut start = [0; 12];
        reader.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
    }
    // Ordinary requests are answered meanwhile.
    for _ in 0..100 {
        assert_eq!(Sent::new("GET", "/trouble/label").to(address).await.status, 200);
    }
    let held = resident_kib(process.id()) - before;
    println!("{PARKED} parked, {UPLOADS} uploads, {READERS} readers: {held} KiB more resident memory");
    // One change each wakes all that wait for it.
    for key in 0..10 {
        let put = Sent::new("PUT", &format!("/trouble/kv/k{key}")).body("now");
        assert_eq!(put.to(address).await.status, 204);
    }
    for stream in &mut parked {
        let mut answer = vec![0; 4096];
        let mut length = 0;
        while !answer[..length].ends_with(b"woken now") {
            let read = stream.read(&mut answer[length..]).await.unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer[..length]));
            length += read;
        }
    }
    drop((uploads, readers, parked));
    wait_until("the host is at rest", || async {
        (Sent::new("GET", "/trouble/label").to(address).await.status == 200).then_some(())
    })
    .await;
    assert!(process.terminate().await.success());
}
