//! Authenticators as they are, and as somebody would like them to be.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::*;

const CEREMONY: Ceremony<'static> =
    Ceremony { origin: "https://connect.acme.dev", host: "connect.acme.dev", challenge: b"sixteen bytes at" };
const CREDENTIAL: &[u8] = b"credential-1";
const GOOD: u8 = PRESENT | VERIFIED;

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    fn both() -> [Self; 2] {
        [
            Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
            Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
        ]
    }

    fn cose(&self) -> Vec<u8> {
        match self {
            Self::P256(pair) => {
                let point = pair.public_key().as_ref();
                [
                    &[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32][..],
                    &point[1..33],
                    &[0x22, 0x58, 32],
                    &point[33..],
                ]
                .concat()
            }
            Self::Ed25519(pair) => {
                [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32][..], pair.public_key().as_ref()].concat()
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

fn client(kind: &str) -> Value {
    json!({"type": kind, "challenge": encoding::encode(CEREMONY.challenge), "origin": CEREMONY.origin,
        "crossOrigin": false, "other_keys_can_be_added_here": "do not compare"})
}

fn head(host: &str, flags: u8, count: u32) -> Vec<u8> {
    [digest(&SHA256, host.as_bytes()).as_ref(), &[flags], &count.to_be_bytes()].concat()
}

fn made(pair: &Pair, flags: u8) -> Vec<u8> {
    let length = u16::try_from(CREDENTIAL.len()).unwrap().to_be_bytes();
    [&head(CEREMONY.host, flags | ATTESTED, 0)[..], &[0; 16], &length, CREDENTIAL, &pair.cose()].concat()
}

fn registered(pair: &Pair) -> NewPasskey {
    register(&CEREMONY, client("webauthn.create").to_string().as_bytes(), &made(pair, GOOD)).unwrap()
}

/// Uses a passkey with this account of the browser's and these data.
fn used(
    pair: &Pair,
    key: &PasskeyKey,
    count: u32,
    client: &str,
    data: &[u8],
) -> Result<UsedPasskey, PasskeyError> {
    let signature = pair.sign(&[data, digest(&SHA256, client.as_bytes()).as_ref()].concat());
    assert(&CEREMONY, key, count, client.as_bytes(), data, &signature)
}

#[test]
fn a_passkey_of_either_algorithm_is_made_and_used() {
    for pair in Pair::both() {
        let new = registered(&pair);
        assert_eq!((new.credential.as_slice(), new.count, new.synced), (CREDENTIAL, 0, false));
        let stored = PasskeyKey::stored(new.key.algorithm().as_str(), new.key.bytes().to_vec()).unwrap();
        assert_eq!(stored, new.key);
        let text = client("webauthn.get").to_string();
        for (before, now) in [(0, 0), (0, 1), (7, 8), (7, 1000)] {
            assert_eq!(
                used(&pair, &stored, before, &text, &head(CEREMONY.host, GOOD, now)).unwrap().count,
                now
            );
        }
        let synced = register(
            &CEREMONY,
            client("webauthn.create").to_string().as_bytes(),
            &made(&pair, GOOD | CAN_BE_BACKED_UP | BACKED_UP),
        );
        assert!(synced.unwrap().synced);
    }
}

#[test]
fn what_is_not_of_this_page_this_moment_and_this_person_is_refused() {
    use PasskeyError as E;
    let changed = |name: &str, value: Value| {
        let mut text = client("webauthn.get");
        text[name] = value;
        text.to_string()
    };
    let good = client("webauthn.get").to_string();
    let twice = good.replacen('{', "{\"origin\":\"https://evil.example\",", 1);
    for pair in Pair::both() {
        let key = registered(&pair).key;
        let data = head(CEREMONY.host, GOOD, 5);
        for (text, why) in [
            (changed("type", "webauthn.create".into()), E::Kind),
            (changed("type", "payment.get".into()), E::Kind),
            (changed("challenge", encoding::encode(b"another sixteen ").into()), E::Challenge),
            (changed("challenge", "".into()), E::Challenge),
            (changed("challenge", format!("{}=", encoding::encode(CEREMONY.challenge)).into()), E::Challenge),
            (changed("origin", "https://evil.example".into()), E::Origin),
            (changed("origin", "https://connect.acme.dev.evil.example".into()), E::Origin),
            (changed("origin", "https://connect.acme.dev:8443".into()), E::Origin),
            (changed("origin", "http://connect.acme.dev".into()), E::Origin),
            (changed("origin", "https://sub.connect.acme.dev".into()), E::Origin),
            (changed("crossOrigin", true.into()), E::Origin),
            (changed("topOrigin", CEREMONY.origin.into()), E::Origin),
            (changed("crossOrigin", "false".into()), E::ClientData),
            (twice.clone(), E::ClientData),
            ("{}".to_owned(), E::ClientData),
            ("[]".to_owned(), E::ClientData),
            (String::new(), E::ClientData),
            (changed("more", "x".repeat(5000).into()), E::ClientData),
        ] {
            assert_eq!(used(&pair, &key, 0, &text, &data), Err(why), "{text}");
        }
        for (data, why) in [
            (head("evil.example", GOOD, 5), E::Host),
            (head("acme.dev", GOOD, 5), E::Host),
            (head(CEREMONY.host, PRESENT, 5), E::NotVerified),
            (head(CEREMONY.host, VERIFIED, 5), E::NotVerified),
            (head(CEREMONY.host, 0, 5), E::NotVerified),
            (head(CEREMONY.host, GOOD | BACKED_UP, 5), E::AuthenticatorData),
            (head(CEREMONY.host, GOOD | ATTESTED, 5), E::AuthenticatorData),
            ([head(CEREMONY.host, GOOD, 5), vec![0]].concat(), E::AuthenticatorData),
            (Vec::new(), E::AuthenticatorData),
            (head(CEREMONY.host, GOOD, 5)[..36].to_vec(), E::AuthenticatorData),
            (vec![0; 9000], E::AuthenticatorData),
        ] {
            assert_eq!(used(&pair, &key, 0, &good, &data), Err(why), "{data:?}");
        }
        for (before, now) in [(5, 5), (5, 4), (5, 0), (u32::MAX, 1)] {
            let data = head(CEREMONY.host, GOOD, now);
            assert_eq!(used(&pair, &key, before, &good, &data), Err(E::Copy), "{before} {now}");
        }
    }
}

#[test]
fn a_signature_is_of_this_key_over_these_bytes() {
    let text = client("webauthn.get").to_string();
    let data = head(CEREMONY.host, GOOD, 5);
    let [one, other] = [Pair::both(), Pair::both()];
    for (pair, stranger) in one.iter().zip(&other) {
        let key = registered(pair).key;
        assert_eq!(used(stranger, &key, 0, &text, &data), Err(PasskeyError::Signature), "another key");
        let signature = pair.sign(&[&data[..], digest(&SHA256, text.as_bytes()).as_ref()].concat());
        let told = |client: &str, data: &[u8], signature: &[u8]| {
            assert(&CEREMONY, &key, 0, client.as_bytes(), data, signature)
        };
        assert!(told(&text, &data, &signature).is_ok());
        assert_eq!(told(&format!("{text} "), &data, &signature), Err(PasskeyError::Signature));
        assert_eq!(told(&text, &head(CEREMONY.host, GOOD, 6), &signature), Err(PasskeyError::Signature));
        for at in 0..signature.len() {
            let mut bent = signature.clone();
            bent[at] ^= 1;
            assert_eq!(told(&text, &data, &bent), Err(PasskeyError::Signature), "{at}");
        }
        for odd in
            [&[][..], &signature[..signature.len() - 1], &[signature.as_slice(), &[0]].concat(), &[0; 64]]
        {
            assert_eq!(told(&text, &data, odd), Err(PasskeyError::Signature));
        }
    }
}

#[test]
fn a_key_is_an_es256_or_eddsa_key_in_its_one_form() {
    let text = client("webauthn.create").to_string();
    let with = |cose: &[u8], flags: u8| {
        let length = u16::try_from(CREDENTIAL.len()).unwrap().to_be_bytes();
        let data =
            [&head(CEREMONY.host, flags | ATTESTED, 0)[..], &[0; 16], &length, CREDENTIAL, cose].concat();
        register(&CEREMONY, text.as_bytes(), &data)
    };
    let [p256, ed25519] = Pair::both().map(|pair| pair.cose());
    let change = |cose: &[u8], at: usize, to: u8| {
        let mut cose = cose.to_vec();
        cose[at] = to;
        cose
    };
    for (what, cose) in [
        ("RS256", change(&p256, 4, 0x38)),
        ("P-384", change(&p256, 6, 2)),
        ("a key of another kind", change(&p256, 2, 1)),
        ("EdDSA on P-256", change(&p256, 4, 0x27)),
        ("ES256 on Ed25519", change(&ed25519, 4, 0x26)),
        ("a private member", [&[0xa5], &ed25519[1..], &[0x23, 0x41, 1]].concat()),
        ("a member twice", [&[0xa5], &ed25519[1..], &[1, 1]].concat()),
        ("too many members", change(&p256, 0, 0xa6)),
        ("no end", vec![0xbf, 1, 2]),
        ("no map", vec![0x80]),
        ("nothing", Vec::new()),
        ("cut", p256[..p256.len() - 1].to_vec()),
        ("a number in a longer form", [&[0xa5, 0x18, 1], &p256[2..]].concat()),
        ("a short coordinate", change(&p256, 9, 31)),
    ] {
        assert_eq!(with(&cose, GOOD), Err(PasskeyError::Key), "{what}");
    }
    assert_eq!(
        with(&[&p256[..], &[0]].concat(), GOOD),
        Err(PasskeyError::AuthenticatorData),
        "something behind it"
    );
    assert!(with(&[&p256[..], &[0xa0]].concat(), GOOD | EXTENSIONS).is_ok());
    // A point that is not on the curve is no key: whatever it is asked to verify, it does not.
    let off = change(&p256, 20, p256[20] ^ 1);
    let new = with(&off, GOOD).unwrap();
    let data = head(CEREMONY.host, GOOD, 1);
    let told = assert(&CEREMONY, &new.key, 0, client("webauthn.get").to_string().as_bytes(), &data, &[0; 70]);
    assert_eq!(told, Err(PasskeyError::Signature));
    for length in [0, LONGEST_CREDENTIAL + 1] {
        let credential = vec![1; length];
        let bytes = u16::try_from(length).unwrap().to_be_bytes();
        let data =
            [&head(CEREMONY.host, GOOD | ATTESTED, 0)[..], &[0; 16], &bytes, &credential, &p256].concat();
        assert_eq!(register(&CEREMONY, text.as_bytes(), &data), Err(PasskeyError::AuthenticatorData));
    }
    assert_eq!(
        register(&CEREMONY, text.as_bytes(), &head(CEREMONY.host, GOOD, 0)),
        Err(PasskeyError::AuthenticatorData),
        "no key at all"
    );
    for (algorithm, length) in [("ES256", 64), ("EdDSA", 33), ("RS256", 65), ("", 32)] {
        assert!(PasskeyKey::stored(algorithm, vec![4; length]).is_none(), "{algorithm}");
    }
}
