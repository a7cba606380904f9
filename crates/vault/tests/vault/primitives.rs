//! The primitives, judged by the Wycheproof vectors. How many ran is checked, so that an empty set fails.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use carnet_vault::equal;
use wycheproof::TestResult;

#[test]
fn the_ciphers_do_as_wycheproof_says() {
    use wycheproof::aead::{TestName, TestSet};
    for (name, algorithm, at_least) in [
        (TestName::AesGcm, &aead::AES_256_GCM, 60),
        (TestName::ChaCha20Poly1305, &aead::CHACHA20_POLY1305, 300),
    ] {
        let mut ran = [0, 0];
        let groups = TestSet::load(name).unwrap().test_groups;
        for group in groups.iter().filter(|group| (group.key_size, group.tag_size) == (256, 128)) {
            for test in &group.tests {
                let valid = test.result == TestResult::Valid;
                let Ok(nonce) = <[u8; 12]>::try_from(test.nonce.to_vec()) else {
                    // Only nonces of 96 bits exist here.
                    continue;
                };
                let key = LessSafeKey::new(UnboundKey::new(algorithm, &test.key).unwrap());
                let nonce = || Nonce::assume_unique_for_key(nonce);
                let mut buffer = test.ct.to_vec();
                let aad = Aad::from(test.aad.to_vec());
                let opened = key.open_in_place_separate_tag(nonce(), aad, &test.tag, &mut buffer).is_ok();
                assert_eq!(opened, valid, "{name:?} {}: {}", test.tc_id, test.comment);
                if valid {
                    assert_eq!(buffer, test.pt.to_vec(), "{name:?} {}", test.tc_id);
                    let aad = Aad::from(test.aad.to_vec());
                    let tag = key.seal_in_place_separate_tag(nonce(), aad, &mut buffer).unwrap();
                    assert_eq!(buffer, test.ct.to_vec(), "{name:?} {}", test.tc_id);
                    assert_eq!(tag.as_ref(), test.tag.to_vec(), "{name:?} {}", test.tc_id);
                }
                ran[usize::from(valid)] += 1;
            }
        }
        let [invalid, valid] = ran;
        assert!(invalid >= 20 && invalid + valid >= at_least, "{name:?}: {invalid} invalid, {valid} valid");
    }
}

#[test]
fn hkdf_sha_512_does_as_wycheproof_says() {
    use wycheproof::hkdf::{TestName, TestSet};
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut ran = 0;
    for test in TestSet::load(TestName::HkdfSha512).unwrap().test_groups.iter().flat_map(|group| &group.tests)
    {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, &test.salt).extract(&test.ikm);
        let mut okm = vec![0; test.size];
        let info = [test.info.as_ref()];
        let made = prk.expand(&info, Length(test.size)).and_then(|made| made.fill(&mut okm));
        match test.result {
            TestResult::Invalid => assert!(made.is_err(), "{}: {}", test.tc_id, test.comment),
            _ => assert_eq!((made.is_ok(), okm), (true, test.okm.to_vec()), "{}", test.tc_id),
        }
        ran += 1;
    }
    assert!(ran >= 80, "{ran}");
}

#[test]
fn hmac_sha_256_does_as_wycheproof_says() {
    use wycheproof::mac::{TestName, TestSet};
    let mut ran = 0;
    for group in TestSet::load(TestName::HmacSha256).unwrap().test_groups {
        for test in group.tests {
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &test.key), &test.msg);
            let valid = equal(&tag.as_ref()[..group.tag_size / 8], &test.tag);
            assert_eq!(valid, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
            ran += 1;
        }
    }
    assert!(ran >= 170, "{ran}");
}
