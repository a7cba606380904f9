//! Refusals that somebody meant, silence, nonsense: each the right kind of failure, none a key.

use std::time::{Duration, Instant};

use carnet_model::Env;
use carnet_vault::RootKeyError;

use crate::standin::{Kind, Mood, Standin};
use crate::{OF, key, wrapped};

#[tokio::test]
async fn a_refusal_that_somebody_meant_is_told_from_silence_and_nonsense() {
    for kind in Kind::ALL {
        let standin = Standin::start(kind).await;
        let kek = standin.provider();
        let wrap = wrapped(&*kek).await;
        for (mood, meant) in [
            (Mood::AccessTaken, true),
            (Mood::KeyDisabled, true),
            (Mood::KeyGone, true),
            (Mood::Throttled, false),
            (Mood::Broken, false),
            (Mood::Garbage, false),
            (Mood::EmptyObject, false),
            (Mood::HugeAnswer, false),
            (Mood::HangsUp, false),
        ] {
            standin.is_in(mood);
            let results =
                [kek.unwrap(OF, &wrap).await.map(drop), kek.wrap(&Env::system(), OF, &key()).await.map(drop)];
            for result in results {
                let error = result.unwrap_err();
                let denied = matches!(error, RootKeyError::Denied(_));
                let silent = matches!(error, RootKeyError::Unavailable(_));
                assert!(denied == meant && silent != meant, "{kind:?} {mood:?}: {error:?}");
                assert!(!format!("{error:?} {error}").contains("secret"), "{kind:?} {mood:?}: {error:?}");
            }
            standin.is_in(Mood::Fine);
            kek.unwrap(OF, &wrap).await.unwrap();
        }
    }
}

#[tokio::test]
async fn another_key_in_a_good_answer_is_no_key() {
    for kind in Kind::ALL {
        let standin = Standin::start(kind).await;
        let kek = standin.provider();
        let wrap = wrapped(&*kek).await;
        for mood in [Mood::OtherKey, Mood::ShortKey] {
            standin.is_in(mood);
            let error = kek.unwrap(OF, &wrap).await.unwrap_err();
            assert!(
                matches!(error, RootKeyError::Damaged | RootKeyError::Unavailable(_)),
                "{kind:?} {mood:?}: {error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_service_that_answers_once_after_a_failure_is_enough() {
    for kind in Kind::ALL {
        let standin = Standin::start(kind).await;
        let kek = standin.provider();
        let wrap = wrapped(&*kek).await;
        standin.fails_once();
        kek.unwrap(OF, &wrap).await.unwrap();
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_or_does_not_end_its_answer_is_called_silent() {
    let standin = Standin::start(Kind::Transit).await;
    let kek = standin.provider();
    let wrap = wrapped(&*kek).await;
    if std::env::var("CARNET_TEST_LONG").is_ok_and(|value| value == "1") {
        // Two tries of five seconds.
        standin.is_in(Mood::Slow);
        let begun = Instant::now();
        let error = kek.unwrap(OF, &wrap).await.unwrap_err();
        assert!(matches!(error, RootKeyError::Unavailable(_)), "{error:?}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
    drop(standin);
    let error = kek.unwrap(OF, &wrap).await.unwrap_err();
    assert!(matches!(error, RootKeyError::Unavailable(_)), "{error:?}");
}
