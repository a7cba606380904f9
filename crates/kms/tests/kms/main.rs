//! The three services, each against a stand-in of its API that was written from the public reference: what is sent must
//! be what the reference asks for, and what comes back, however odd, ends in the right kind of failure.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "the stand-ins are servers of the test itself")]

mod failures;
mod standin;

use carnet_model::{Env, Id, Secret};
use carnet_vault::{KeyBytes, KeyId, RootKey, RootKeyError, RootVersion};

use standin::{Kind, Standin};

const OF: RootVersion =
    RootVersion { deployment: Id::from_bytes([1; 16]), id: KeyId::from_bytes([2; 16]), version: 3 };

fn key() -> KeyBytes {
    Secret::new([0xA5; 32])
}

async fn wrapped(kek: &dyn RootKey) -> Vec<u8> {
    kek.wrap(&Env::system(), OF, &key()).await.unwrap()
}

#[tokio::test]
async fn a_root_key_comes_back_as_it_was_and_only_for_its_place() {
    for kind in Kind::ALL {
        let standin = Standin::start(kind).await;
        let kek = standin.provider();
        let wrap = wrapped(&*kek).await;
        assert_eq!(kek.unwrap(OF, &wrap).await.unwrap().expose(), key().expose(), "{kind:?}");
        assert!(!wrap.windows(8).any(|part| key().expose().windows(8).any(|key| key == part)), "{kind:?}");
        for other in [
            RootVersion { deployment: Id::from_bytes([9; 16]), ..OF },
            RootVersion { id: KeyId::from_bytes([9; 16]), ..OF },
            RootVersion { version: 4, ..OF },
        ] {
            let error = kek.unwrap(other, &wrap).await.unwrap_err();
            assert!(matches!(error, RootKeyError::Damaged), "{kind:?} {other:?}: {error:?}");
        }
        // The service bound it too: with a commitment made to fit, it is the service that refuses.
        assert!(standin.refused_contexts() >= 3, "{kind:?}");
    }
}

#[tokio::test]
async fn what_was_wrapped_before_the_service_turned_its_key_still_opens() {
    for kind in Kind::ALL {
        let standin = Standin::start(kind).await;
        let kek = standin.provider();
        let old = wrapped(&*kek).await;
        standin.turn();
        let new = wrapped(&*kek).await;
        for wrap in [&old, &new] {
            assert_eq!(kek.unwrap(OF, wrap).await.unwrap().expose(), key().expose(), "{kind:?}");
        }
        assert_ne!(old, new, "{kind:?}");
    }
}

#[tokio::test]
async fn a_wrap_that_was_altered_or_cut_gives_no_key() {
    for kind in Kind::ALL {
        let standin = Standin::start(kind).await;
        let kek = standin.provider();
        let wrap = wrapped(&*kek).await;
        for at in [0, 1, 32, 33, wrap.len() - 1] {
            let mut altered = wrap.clone();
            altered[at] ^= 1;
            let error = kek.unwrap(OF, &altered).await.unwrap_err();
            assert!(matches!(error, RootKeyError::Damaged), "{kind:?} byte {at}: {error:?}");
        }
        for length in [0, 1, 20, 33] {
            let error = kek.unwrap(OF, &wrap[..length]).await.unwrap_err();
            assert!(matches!(error, RootKeyError::Damaged), "{kind:?} {length} bytes: {error:?}");
        }
    }
}

#[tokio::test]
async fn another_key_of_the_same_service_does_not_open_it() {
    for kind in Kind::ALL {
        let standin = Standin::start(kind).await;
        let wrap = wrapped(&*standin.provider()).await;
        let other = standin.provider_of("other");
        let error = other.unwrap(OF, &wrap).await.unwrap_err();
        assert!(matches!(error, RootKeyError::Damaged | RootKeyError::WrongKey), "{kind:?}: {error:?}");
    }
}

#[tokio::test]
async fn credentials_that_the_platform_gives_out_are_used_until_they_end_and_renewed() {
    for kind in Kind::ALL {
        let standin = Standin::start(kind).await;
        let kek = standin.provider();
        let wrap = wrapped(&*kek).await;
        kek.unwrap(OF, &wrap).await.unwrap();
        assert_eq!(standin.given_out(), 1, "{kind:?}: once for two calls");
        standin.pass_an_hour();
        kek.unwrap(OF, &wrap).await.unwrap();
        assert_eq!(standin.given_out(), 2, "{kind:?}");
        standin.end_credentials();
        let second = kek.unwrap(OF, &wrap).await;
        // One that cannot know is told once, and has fresh ones afterwards.
        assert!(second.is_ok() || matches!(second, Err(RootKeyError::Unavailable(_))), "{kind:?}");
        kek.unwrap(OF, &wrap).await.unwrap();
        assert_eq!(standin.given_out(), 3, "{kind:?}");
    }
}

#[tokio::test]
async fn a_web_identity_is_exchanged_for_credentials_and_read_anew_when_they_end() {
    let standin = Standin::start(Kind::Aws).await;
    let (file, kek) = standin.provider_by_identity();
    let silent = |result: Result<_, RootKeyError>| match result {
        Err(error @ RootKeyError::Unavailable(_)) => format!("{error:?}"),
        other => {
            panic!("{}", other.map_or_else(|error| format!("{error:?}"), |_: Vec<u8>| "a wrap".to_owned()))
        }
    };
    let missing = silent(kek.wrap(&Env::system(), OF, &key()).await);
    assert!(missing.contains("identity"), "the file is named: {missing}");
    std::fs::write(&file, "nobody\n").unwrap();
    let refused = silent(kek.wrap(&Env::system(), OF, &key()).await);
    assert!(refused.contains("InvalidIdentityToken") && !refused.contains("secret"), "{refused}");

    std::fs::write(&file, "identity-1\n").unwrap();
    let wrap = wrapped(&*kek).await;
    assert_eq!(kek.unwrap(OF, &wrap).await.unwrap().expose(), key().expose());
    assert_eq!(standin.given_out(), 1, "once for two calls");
    standin.pass_an_hour();
    kek.unwrap(OF, &wrap).await.unwrap();
    assert_eq!(standin.given_out(), 2);

    // The platform writes a new identity into the file before the old one ends.
    standin.end_credentials();
    standin.pass_an_hour();
    let ended = kek.unwrap(OF, &wrap).await.map(|_| Vec::new());
    assert!(silent(ended).contains("ExpiredTokenException"));
    std::fs::write(&file, "identity-3").unwrap();
    kek.unwrap(OF, &wrap).await.unwrap();
    assert_eq!(standin.given_out(), 3);
}
