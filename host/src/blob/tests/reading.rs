//! Ranges, bounds, digests over ranges, concatenation, and ids that strangers send.

use futures_util::TryStreamExt;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::super::{Algorithm, MAX_READ, ReadError, StageError};
use super::*;

#[tokio::test]
async fn ranges_of_several_pieces_come_one_after_the_other() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let content = bytes(600_000);
    let (left, right) = content.split_at(400_000);
    let a = staging.write(left.to_vec().into(), &[]).await.unwrap();
    let b = staging.write(right.to_vec().into(), &[]).await.unwrap();
    let ranges = vec![
        PieceRange { id: b.id, offset: 100_000, length: 100_000 },
        PieceRange { id: a.id, offset: 7, length: 0 },
        PieceRange { id: a.id, offset: 1, length: 399_999 },
        PieceRange { id: a.id, offset: 0, length: 1 },
    ];
    let expected = [&content[500_000..600_000], &content[1..400_000], &content[..1]].concat();
    let reader = fixture.space.reader(ranges.clone()).unwrap();
    assert_eq!(reader.length(), 500_000);
    let chunks: Vec<Bytes> = reader.try_collect().await.unwrap();
    assert!(chunks.concat() == expected);
    assert!(fixture.space.read(&ranges).await.unwrap() == expected);
    let digest = fixture.space.digest(ranges.clone(), Algorithm::Sha256).await.unwrap();
    assert_eq!(digest, Sha256::digest(&expected).as_slice());
    let joined = staging.concat(ranges, &[Algorithm::Sha256]).await.unwrap();
    assert_eq!((joined.size, &joined.digests), (500_000, &vec![digest]));
    assert!(std::fs::read(fixture.path(joined.id)).unwrap() == expected);
}

#[tokio::test]
async fn no_ranges_are_no_bytes() {
    let fixture = Fixture::new().await;
    assert!(fixture.space.read(&[]).await.unwrap().is_empty());
    let digest = fixture.space.digest(vec![], Algorithm::Sha256).await.unwrap();
    assert_eq!(digest, Sha256::digest(b"").as_slice());
    assert_eq!(fixture.space.staging().concat(vec![], &[]).await.unwrap().size, 0);
}

#[tokio::test]
async fn reads_are_bounded_and_ranges_checked() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let piece = staging.write(bytes(MAX_READ as usize + 1).into(), &[]).await.unwrap();
    let range = |offset, length| PieceRange { id: piece.id, offset, length };
    assert_eq!(fixture.space.read(&[range(1, MAX_READ)]).await.unwrap().len() as u64, MAX_READ);
    for ranges in [vec![range(0, MAX_READ + 1)], vec![range(0, MAX_READ), range(0, 1)]] {
        let refused = fixture.space.read(&ranges).await;
        assert!(matches!(refused, Err(ReadError::InvalidRange(_))));
    }
    for ranges in [vec![range(u64::MAX, 1)], vec![range(0, u64::MAX), range(0, 1)]] {
        assert!(matches!(fixture.space.reader(ranges.clone()), Err(ReadError::InvalidRange(_))));
        let refused = staging.concat(ranges, &[]).await;
        assert!(matches!(refused, Err(StageError::CutOff(ReadError::InvalidRange(_)))));
    }
    let beyond = fixture.space.read(&[range(MAX_READ, 2)]).await;
    assert!(matches!(beyond, Err(ReadError::Storage(_))));
}

#[tokio::test]
async fn a_piece_that_is_gone_is_not_found_and_a_failed_concat_leaves_nothing() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let gone = fixture.space.staging().write(bytes(1).into(), &[]).await.unwrap();
    let here = staging.write(bytes(1).into(), &[]).await.unwrap();
    fixture.blobs.settle().await;
    let read = fixture.space.read(&[whole(&gone)]).await;
    assert!(matches!(read, Err(ReadError::NotFound(id)) if id == gone.id));
    let joined = staging.concat(vec![whole(&here), whole(&gone)], &[]).await;
    assert!(matches!(joined, Err(StageError::CutOff(ReadError::NotFound(_)))));
    assert_eq!(fixture.files().await, [fixture.path(here.id)]);
}

#[tokio::test]
async fn plugins_do_not_read_each_others_pieces() {
    let fixture = Fixture::new().await;
    let staging = fixture.space.staging();
    let piece = staging.write(bytes(1).into(), &[]).await.unwrap();
    let other = fixture.blobs.space("other", u64::MAX).unwrap();
    assert!(matches!(other.read(&[whole(&piece)]).await, Err(ReadError::NotFound(_))));
    other.remove([piece.id]).await.unwrap();
    assert!(fixture.space.read(&[whole(&piece)]).await.is_ok());
}

proptest! {
    #[test]
    fn an_id_has_one_written_form(bytes: u128, text in ".{0,40}") {
        let written = format!("{bytes:032x}");
        prop_assert_eq!(written.parse::<PieceId>().unwrap().to_string(), written.clone());
        if written.to_uppercase() != written {
            prop_assert!(written.to_uppercase().parse::<PieceId>().is_err());
        }
        if let Ok(id) = text.parse::<PieceId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }
}
