//! Bodies to pieces: cutting, hashing, limits, and that nothing stays of what failed.

use futures_util::{StreamExt, TryStreamExt};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::super::{Algorithm, Hasher, MAX_PIECES, MIN_PIECE_SIZE, Plan, StageError, digest::Digests, stage::BLOCK};
use super::*;

fn digest(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// Without digests.
fn plan(limit: u64, piece_size: Option<u64>) -> Plan {
    Plan { limit, piece_size, ..Plan::default() }
}

fn trimmed(bytes: &[u8], value: Option<u8>) -> &[u8] {
    let kept = bytes.iter().rposition(|byte| Some(*byte) != value).map_or(0, |last| last + 1);
    &bytes[..kept]
}

#[test]
fn digests_are_those_of_the_published_examples() {
    let of_abc = |algorithm| hex::encode(digest(algorithm, b"abc"));
    assert_eq!(of_abc(Algorithm::Md5), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(of_abc(Algorithm::Sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert!(of_abc(Algorithm::Sha256).starts_with("ba7816bf8f01cfea414140de5dae2223"));
    assert!(of_abc(Algorithm::Sha512).starts_with("ddaf35a193617abacc417349ae204131"));
    assert_eq!(digest(Algorithm::Sha256, b""), Sha256::digest(b"").as_slice());
}

#[test]
fn a_cloned_hasher_goes_on_from_the_same_bytes() {
    let mut hasher = Hasher::new(Algorithm::Sha1);
    hasher.update(b"ab");
    let so_far = hasher.clone().finish();
    hasher.update(b"c");
    assert_eq!(so_far, digest(Algorithm::Sha1, b"ab"));
    assert_eq!(hasher.finish(), digest(Algorithm::Sha1, b"abc"));
}

/// Runs of one byte, many of them NUL and some long, so that trimming has work to do.
fn runs(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    let run = (prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..longest);
    prop::collection::vec(run, 0..12)
        .prop_map(|runs| runs.into_iter().flat_map(|(byte, length)| vec![byte; length]).collect())
}

fn cut(mut body: Vec<u8>, sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    for size in sizes {
        let rest = body.split_off((*size).min(body.len()));
        chunks.push(std::mem::replace(&mut body, rest));
    }
    chunks.push(body);
    chunks
}

proptest! {
    #[test]
    fn trimming_leaves_out_trailing_bytes_however_they_arrive(
        bytes in runs(5000), sizes in prop::collection::vec(0usize..3000, 0..20), trim: Option<bool>,
    ) {
        let trim = trim.map(u8::from);
        let mut digests = Digests::new(&[Algorithm::Sha256, Algorithm::Md5], trim);
        cut(bytes.clone(), &sizes).iter().for_each(|chunk| digests.update(chunk));
        let kept = trimmed(&bytes, trim);
        let expected = [digest(Algorithm::Sha256, kept), digest(Algorithm::Md5, kept)];
        prop_assert_eq!(digests.finish(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pieces_and_digests_do_not_depend_on_how_the_body_arrives(
        bytes in runs(40_000),
        sizes in prop::collection::vec(0usize..80_000, 0..12),
        piece_size in prop_oneof![
            Just(None), Just(Some(20_000u64)), Just(Some(BLOCK as u64)), Just(Some(200_000)),
        ],
        trim in prop_oneof![Just(None), Just(Some(0u8)), Just(Some(1))],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            let staging = fixture.space.staging();
            let plan = Plan {
                limit: bytes.len() as u64,
                piece_size,
                piece_digests: vec![Algorithm::Sha256, Algorithm::Sha1],
                body_digests: vec![Algorithm::Md5, Algorithm::Sha512],
                trim,
            };
            let received = staging.stage(&plan, body(cut(bytes.clone(), &sizes))).await.unwrap();
            assert_eq!(received.size, bytes.len() as u64);
            assert_eq!(received.digests, [digest(Algorithm::Md5, &bytes), digest(Algorithm::Sha512, &bytes)]);
            let size = piece_size.map_or(usize::MAX, |size| size as usize);
            let expected: Vec<_> = bytes.chunks(size).collect();
            assert_eq!(received.pieces.len(), expected.len());
            for (piece, expected) in received.pieces.iter().zip(expected) {
                let kept = trimmed(expected, trim);
                assert_eq!(piece.size, expected.len() as u64);
                assert_eq!(piece.digests, [digest(Algorithm::Sha256, kept), digest(Algorithm::Sha1, kept)]);
                assert_eq!(staging.size(piece.id), Some(piece.size));
                assert_eq!(std::fs::read(fixture.path(piece.id)).unwrap(), expected);
            }
            assert_eq!(fixture.files().await.len(), received.pieces.len());
        });
    }
}

#[tokio::test]
async fn a_body_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let plan = plan(5000, Some(4096));
    let received = staging.stage(&plan, body(vec![bytes(4096), bytes(904)])).await.unwrap();
    assert_eq!(received.pieces.iter().map(|piece| piece.size).collect::<Vec<_>>(), [4096, 904]);
    let refused = staging.stage(&plan, body(vec![bytes(4096), bytes(905)])).await;
    assert!(matches!(refused, Err(StageError::TooLarge { limit: 5000 })));
    assert_eq!(fixture.files().await.len(), 2, "nothing of the refused body stays");
}

#[tokio::test]
async fn pieces_end_where_the_plan_says() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let block = BLOCK as u64;
    for (length, piece_size, expected) in [
        (8192, Some(4096), vec![4096, 4096]),
        (8193, Some(4096), vec![4096, 4096, 1]),
        (4095, Some(4096), vec![4095]),
        (block, None, vec![block]),
        (block + 1, None, vec![block + 1]),
        (2 * block, Some(block), vec![block, block]),
        (2 * block + 2, Some(block + 1), vec![block + 1, block + 1]),
        (0, None, vec![]),
        (0, Some(4096), vec![]),
    ] {
        let plan = plan(length, piece_size);
        let received = staging.stage(&plan, body(vec![bytes(length as usize)])).await.unwrap();
        assert_eq!(received.pieces.iter().map(|piece| piece.size).collect::<Vec<_>>(), expected);
    }
}

#[tokio::test]
async fn an_empty_body_has_digests_and_an_empty_write_is_a_piece() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let plan = Plan { body_digests: vec![Algorithm::Md5], ..Plan::default() };
    let received = staging.stage(&plan, body(vec![vec![], vec![]])).await.unwrap();
    assert_eq!((received.size, received.pieces.len()), (0, 0));
    assert_eq!(received.digests, [digest(Algorithm::Md5, b"")]);
    let piece = staging.write(Bytes::new(), &[Algorithm::Sha1]).await.unwrap();
    assert_eq!((piece.size, piece.digests.clone()), (0, vec![digest(Algorithm::Sha1, b"")]));
    assert!(fixture.space.read(&[whole(&piece)]).await.unwrap().is_empty());
}

#[tokio::test]
async fn plans_outside_the_contract_are_refused() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let small = plan(1, Some(MIN_PIECE_SIZE - 1));
    let many = Plan { limit: 1, body_digests: vec![Algorithm::Md5; 9], ..Plan::default() };
    for plan in [small, many] {
        let refused = staging.stage(&plan, body(vec![])).await;
        assert!(matches!(refused, Err(StageError::InvalidPlan(_))));
    }
    let plan = plan(u64::MAX, Some(4096));
    let (_, limit) = plan.bounds::<()>().unwrap();
    assert_eq!(limit, 4096 * MAX_PIECES, "a body has at most so many pieces");
}

#[tokio::test]
async fn nothing_stays_of_a_body_that_was_cut_off() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    // Ends within the first block of a piece, and beyond it.
    for last in [1000, 2 * BLOCK] {
        let chunks = [Ok(Bytes::from(bytes(3 * BLOCK))), Ok(bytes(last).into()), Err("gone")];
        let plan = plan(u64::MAX, Some(3 * BLOCK as u64));
        let cut_off = staging.stage(&plan, stream::iter(chunks)).await;
        assert!(matches!(cut_off, Err(StageError::CutOff("gone"))));
        fixture.until_empty().await;
    }
}

#[tokio::test]
async fn nothing_stays_when_the_future_is_dropped() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    for length in [100, BLOCK, 3 * BLOCK - 1, 3 * BLOCK, 7 * BLOCK] {
        let (reached, silent) = tokio::sync::oneshot::channel();
        let then_silent = stream::once(async { reached.send(()).unwrap() })
            .then(|()| std::future::pending::<Result<Bytes, Infallible>>());
        let plan = plan(u64::MAX, Some(3 * BLOCK as u64));
        let staged = staging.stage(&plan, body(vec![bytes(length)]).chain(then_silent));
        tokio::select! {
            _ = staged => unreachable!("the body does not end"),
            _ = silent => {}
        }
        fixture.until_empty().await;
    }
}

#[tokio::test]
async fn nothing_stays_when_the_future_is_dropped_with_its_result_ready() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let plan = plan(u64::MAX, None);
    let mut staged = Box::pin(staging.stage(&plan, body(vec![bytes(10)])));
    // A piece this small is written only once the body is known to be complete.
    while fixture.files_now().is_empty() {
        assert!(futures_util::poll!(staged.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.files().await.len(), 1, "the writer is done");
    drop(staged);
    fixture.until_empty().await;
}

#[tokio::test]
async fn a_body_is_not_polled_after_its_end() {
    let fixture = Fixture::new().await;
    // Panics if it is.
    let once = stream::unfold(Some(bytes(10)), |chunk| {
        std::future::ready(chunk.map(|chunk| (Ok::<_, Infallible>(chunk.into()), None)))
    });
    let staging = fixture.space.staging();
    let received = staging.stage(&plan(10, None), once).await.unwrap();
    assert_eq!(received.size, 10);
}

#[tokio::test]
async fn a_storage_failure_ends_the_upload_of_a_silent_client() {
    let fixture = Fixture::new().await;
    // A file where the plugin's folder should be.
    std::fs::create_dir(fixture.folder.path().join("pieces")).unwrap();
    std::fs::write(fixture.folder.path().join("pieces/plugin"), b"").unwrap();
    let staging = fixture.space.staging();
    for length in [2 * BLOCK, 3 * BLOCK] {
        let plan = plan(u64::MAX, Some(2 * BLOCK as u64));
        let silent = body(vec![bytes(length)]).chain(stream::pending());
        let error = staging.stage(&plan, silent).await.unwrap_err();
        assert!(matches!(error, StageError::Storage(_)));
        assert!(!error.to_string().contains("pieces/plugin"), "plugins do not see paths of the host");
    }
    let error = staging.write(bytes(1).into(), &[]).await.unwrap_err();
    assert!(matches!(error, StageError::Storage(_)));
    fixture.blobs.settle().await;
    assert_eq!(fixture.space.staged_bytes(), 0);
}

#[tokio::test]
async fn staged_bytes_are_bounded_and_given_back() {
    let fixture = Fixture::limited(3 * 4096).await;
    let staging = fixture.space.staging();
    let piece = staging.write(bytes(4096).into(), &[]).await.unwrap();
    assert_eq!(fixture.space.staged_bytes(), 2 * 4096, "a piece counts its size and 4 KiB");
    let refused = staging.write(bytes(1).into(), &[]).await;
    assert!(matches!(refused, Err(StageError::QuotaExceeded)));
    fixture.blobs.settle().await;
    assert_eq!(fixture.space.staged_bytes(), 2 * 4096);
    staging.attach(&[piece.id]).unwrap().keep();
    assert_eq!(fixture.space.staged_bytes(), 0, "what is permanent no longer counts");
    staging.write(bytes(2 * 4096).into(), &[]).await.unwrap();
    drop(staging);
    fixture.blobs.settle().await;
    assert_eq!(fixture.space.staged_bytes(), 0);
    assert_eq!(fixture.files().await, [fixture.path(piece.id)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_at_once_do_not_mix() {
    let fixture = Fixture::new().await;
    let plan = plan(u64::MAX, Some(200_000));
    let uploads = (0..12u8).map(|upload| {
        let (staging, plan) = (fixture.space.staging(), plan.clone());
        tokio::spawn(async move {
            let chunks = vec![vec![upload; 70_000]; 7];
            let received = staging.stage(&plan, body(chunks)).await.unwrap();
            (staging, received)
        })
    });
    for (upload, task) in (0..12u8).zip(uploads.collect::<Vec<_>>()) {
        let (_staging, received) = task.await.unwrap();
        let reader = fixture.space.reader(received.pieces.iter().map(whole).collect()).unwrap();
        let read: Vec<Bytes> = reader.try_collect().await.unwrap();
        assert_eq!(read.concat(), vec![upload; 490_000]);
    }
    fixture.until_empty().await;
}
