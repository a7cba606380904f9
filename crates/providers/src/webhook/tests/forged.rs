//! Nothing that a provider did not send, and nothing that it sent another time.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, HMAC_SHA512};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::sender::{NOW, SENDERS, Sender, Sent, hex};
use super::*;

type Forgery = (&'static str, Sent);

/// What is wrong with the proof itself.
fn with_another_proof(sender: &Sender) -> Vec<Forgery> {
    let (good, name) = (sender.send(NOW), sender.proof);
    let change = |change: fn(&mut Vec<u8>)| good.clone().with(name, change);
    let mut forged = vec![
        ("missing", good.clone().without(name)),
        ("empty", change(Vec::clear)),
        ("cut by one", change(|value| value.truncate(value.len() - 1))),
        ("cut by two", change(|value| value.truncate(value.len() - 2))),
        ("cut in half", change(|value| value.truncate(value.len() / 2))),
        ("longer by a digit", change(|value| value.push(b'a'))),
        ("longer by two digits", change(|value| value.extend(b"00"))),
        ("the last bit of its end flipped", change(|value| *value.last_mut().unwrap() ^= 1)),
        (
            "a bit in its middle flipped",
            change(|value| {
                let middle = value.len() / 2;
                value[middle] ^= 1;
            }),
        ),
        ("behind a space", change(|value| value.insert(0, b' '))),
        ("before a space", change(|value| value.push(b' '))),
        (
            "in quotes",
            change(|value| {
                value.insert(0, b'"');
                value.push(b'"');
            }),
        ),
        ("not ASCII", change(|value| value.push(0xe9))),
        ("with a zero-width space", change(|value| value.extend("\u{200b}".as_bytes()))),
        ("only spaces", change(|value| value.fill(b' '))),
        (
            "only zeros",
            change(|value| {
                let digits = value.iter_mut().filter(|byte| byte.is_ascii_alphanumeric()).skip(8);
                digits.for_each(|byte| *byte = b'0');
            }),
        ),
        (
            "twice, the same in one",
            change(|value| {
                let again = value.clone();
                value.push(b',');
                value.extend(again);
            }),
        ),
    ];
    let again = good.headers.iter().find(|(found, _)| *found == name).unwrap().clone();
    let mut twice = good.clone();
    twice.headers.push(again);
    forged.push(("twice, the same", twice.clone()));
    twice.headers.last_mut().unwrap().1.reverse();
    forged.push(("twice, the second wrong", twice.clone()));
    twice.headers.swap_remove(1);
    let (_, right) = good.headers.iter().find(|(found, _)| *found == name).unwrap();
    twice.headers.push((name, right.clone()));
    forged.push(("twice, the first wrong", twice));
    forged
}

/// What is signed, and not as it must be.
fn with_another_signature(sender: &Sender) -> Vec<Forgery> {
    let (good, name) = (sender.send(NOW), sender.proof);
    let time = NOW.to_string();
    let by = |algorithm, secret: &str| sender.sign(algorithm, secret, &time, &good.body);
    let other = match sender.scheme {
        Scheme::Standard => "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        _ => "another",
    };
    let mut forged = vec![("by another secret", by(HMAC_SHA256, other))];
    if !sender.signs() {
        return forged;
    }
    let flip = |place: usize| {
        let mut body = good.body.clone();
        body[place] ^= 1;
        Sent { body, ..good.clone() }
    };
    let text = String::from_utf8(good.body.clone()).unwrap();
    let with = |body: Vec<u8>| Sent { body, ..good.clone() };
    let elsewhere = sender.sign(HMAC_SHA256, sender.secret, &time, b"{}");
    forged.extend([
        ("of another body", Sent { headers: elsewhere.headers, ..good.clone() }),
        ("the first bit of the body flipped", flip(0)),
        ("a bit of the body flipped", flip(good.body.len() / 2)),
        ("the last bit of the body flipped", flip(good.body.len() - 1)),
        ("a newline behind the body", with(format!("{text}\n").into_bytes())),
        ("the body cut", with(good.body[..good.body.len() - 1].to_vec())),
        ("no body", with(Vec::new())),
        ("the body in UTF-16", with(text.encode_utf16().flat_map(u16::to_le_bytes).collect())),
        ("the body with a mark of its order", with(format!("\u{feff}{text}").into_bytes())),
        ("the body written anew", with(text.replace(": ", ":").into_bytes())),
    ]);
    if sender.scheme == Scheme::Discord {
        return forged;
    }
    let proof = good.value(name);
    let upper = proof.rsplit_once(['=', ',']).map_or_else(
        || proof.to_uppercase(),
        |(head, digits)| format!("{head}{}{}", &proof[head.len()..=head.len()], digits.to_uppercase()),
    );
    if sender.scheme != Scheme::Standard {
        forged.push(("in capitals", good.clone().with(name, |value| *value = upper.into_bytes())));
    }
    let mut extra = vec![
        ("by SHA-1", by(HMAC_SHA1_FOR_LEGACY_USE_ONLY, sender.secret)),
        ("by SHA-512", by(HMAC_SHA512, sender.secret)),
    ];
    if sender.scheme != Scheme::Standard {
        extra.push(("by no secret", by(HMAC_SHA256, "")));
        extra.push(("by the secret and a newline", by(HMAC_SHA256, &format!("{}\n", sender.secret))));
    }
    let plain = digest(&SHA256, &good.body);
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, sender.secret.as_bytes()), &good.body);
    let replaced = |text: String| good.clone().with(name, |value| *value = text.into_bytes());
    extra.extend([
        ("a digest without a key", replaced(format!("{}{}", sender.prefix, hex(plain.as_ref())))),
        (
            "in the other alphabet",
            replaced(format!(
                "{}{}",
                sender.prefix,
                match sender.scheme {
                    Scheme::Standard => hex(tag.as_ref()),
                    _ => BASE64_STANDARD.encode(tag.as_ref()),
                }
            )),
        ),
        (
            "under another name of the method",
            replaced(match sender.prefix {
                "" => format!("sha256={proof}"),
                prefix => proof.replacen(prefix, "sha1=", 1),
            }),
        ),
        (
            "without the name of the method",
            replaced(match sender.prefix {
                "" => format!("={proof}"),
                prefix => proof.replacen(prefix, "", 1),
            }),
        ),
    ]);
    forged.extend(extra);
    forged
}

/// What was signed at another time, or at what is none.
fn at_another_time(sender: &Sender) -> Vec<Forgery> {
    let most = if sender.scheme == Scheme::Linear { 60 } else { 300 };
    let mut forged = Vec::new();
    if sender.dates() {
        forged.extend([
            ("too old", sender.send(NOW - most - 1)),
            ("of yesterday", sender.send(NOW - 86_400)),
            ("of the future", sender.send(NOW + most + 1)),
            ("of tomorrow", sender.send(NOW + 86_400)),
            ("of 1970", sender.send(0)),
        ]);
    }
    let by = |time: &str| sender.sign(HMAC_SHA256, sender.secret, time, sender.body.as_bytes());
    if sender.time.is_some() || sender.scheme == Scheme::Stripe {
        forged.extend([
            ("at a time with a sign", by(&format!("+{NOW}"))),
            ("at a time with a fraction", by(&format!("{NOW}.0"))),
            ("at a time with a unit", by(&format!("{NOW}s"))),
            ("at a time in base 16", by(&format!("0x{NOW:x}"))),
            ("at a time before 1970", by(&format!("-{NOW}"))),
            ("at a time in milliseconds", by(&format!("{NOW}000"))),
            ("at a time without end", by("99999999999999999999999999")),
            ("at a time that overflows", by("18446744073709551616")),
            ("at no time", by("")),
            ("at a word", by("now")),
            ("at a time and another", by(&format!("{NOW},{NOW}"))),
        ]);
    }
    let good = sender.send(NOW);
    if let Some(name) = sender.time {
        let mut twice = good.clone();
        twice.headers.push((name, (NOW + 1).to_string().into_bytes()));
        forged.extend([
            ("at a time that is missing", good.clone().without(name)),
            ("at two times", twice),
            (
                "with the time changed",
                good.clone().with(name, |value| *value = (NOW + 1).to_string().into_bytes()),
            ),
        ]);
    }
    if sender.scheme == Scheme::Stripe {
        let proof = good.value(sender.proof);
        let replaced = |text: String| good.clone().with(sender.proof, |value| *value = text.into_bytes());
        forged.extend([
            ("with the time changed", replaced(proof.replace(&NOW.to_string(), &(NOW + 1).to_string()))),
            ("at two times", replaced(format!("t={},{proof}", NOW + 1))),
            ("as a test", replaced(proof.replace("v1=", "v0="))),
            ("at no time at all", replaced(proof.split_once(',').unwrap().1.to_owned())),
        ]);
    }
    if sender.scheme == Scheme::Linear {
        let body = |time: &str| {
            let body = sender.body.replace("TIME", time);
            sender.sign(HMAC_SHA256, sender.secret, "", body.as_bytes())
        };
        let mut beside = sender.send(NOW - 3_600);
        beside.headers.push(("linear-timestamp", (NOW * 1000).to_string().into_bytes()));
        forged.extend([
            ("at a time in a text", body(&format!("\"{}\"", NOW * 1000))),
            ("at no time", body("null")),
            ("at a time in seconds", body(&NOW.to_string())),
            ("at a time without end", body("1e400")),
            ("old, with a header that is not signed", beside),
        ]);
    }
    forged
}

/// What is signed and says something else to other readers.
fn in_another_form(sender: &Sender) -> Vec<Forgery> {
    let good = sender.send(NOW);
    let typed = |value: &'static str| good.clone().with("content-type", |found| *found = value.into());
    let mut packed = good.clone();
    packed.headers.push(("content-encoding", b"gzip".to_vec()));
    let mut twice = good.clone();
    twice.headers.push(("content-type", b"text/plain".to_vec()));
    let body = |body: &str| sender.send_body(NOW, body);
    let mut forged = vec![
        ("in another encoding", typed("application/json; charset=utf-16")),
        ("in an encoding of its own", typed("application/json; x=y; CharSet = \"utf-7\"")),
        ("compressed", packed),
        ("of two types", twice),
        ("a list", body("[]")),
        ("a text", body("\"x\"")),
        ("no JSON", body("{")),
        ("an object with nothing in it", body("{}")),
        ("two objects", body("{}{}")),
        (
            "a type that is none",
            body(r#"{"type": "a b", "webhookTimestamp": TIME, "event": {"type": "a\nb"}, "id": "1"}"#),
        ),
    ];
    forged.push(("deeper than anybody goes", body(&"[".repeat(100_000))));
    if sender.names_in_header() {
        forged.retain(|(what, _)| !matches!(*what, "an object with nothing in it" | "a type that is none"));
    }
    for (name, _) in sender.needs {
        let mut twice = good.clone();
        twice.headers.push((name, b"other".to_vec()));
        forged.extend([
            ("without what it needs", good.clone().without(name)),
            ("with what it needs twice", twice),
            ("with what it needs empty", good.clone().with(name, Vec::clear)),
            ("with a space in what it needs", good.clone().with(name, |value| value.insert(1, b' '))),
            ("with markup in what it needs", good.clone().with(name, |value| value.extend(b"<b>"))),
            ("with more than it needs", good.clone().with(name, |value| value.extend([b'a'; 200]))),
        ]);
    }
    if sender.scheme == Scheme::Standard {
        forged.push(("as another delivery", good.clone().with("webhook-id", |value| value.push(b'2'))));
    }
    forged
}

#[test]
fn nothing_forged_is_taken() {
    for sender in &SENDERS {
        let good = sender.send(NOW);
        let verdict = good.judged(sender.scheme, &[sender.secret], NOW);
        assert!(matches!(verdict, Verdict::Event(_)), "{:?}: {verdict:?}", sender.scheme);
        let forged = [
            with_another_proof(sender),
            with_another_signature(sender),
            at_another_time(sender),
            in_another_form(sender),
        ];
        let forged = forged.concat();
        assert!(forged.len() >= 30, "{:?} has {}", sender.scheme, forged.len());
        for (what, sent) in forged {
            let verdict = sent.judged(sender.scheme, &[sender.secret], NOW);
            assert!(matches!(verdict, Verdict::Refused(_)), "{:?}, {what}: {verdict:?}", sender.scheme);
        }
    }
}

#[test]
fn what_one_provider_sends_is_taken_for_no_other() {
    for sender in &SENDERS {
        for scheme in Scheme::ALL.into_iter().filter(|scheme| *scheme != sender.scheme) {
            // Even with the same secret.
            let verdict = sender.send(NOW).judged(scheme, &[sender.secret], NOW);
            assert!(
                matches!(verdict, Verdict::Refused(Refusal::Missing(_))),
                "{:?} as {scheme:?}",
                sender.scheme
            );
        }
    }
}

#[test]
fn nothing_is_taken_without_a_secret_or_with_an_empty_one() {
    for sender in &SENDERS {
        for secrets in [&[][..], &[""]] {
            let verdict = sender.send(NOW).judged(sender.scheme, secrets, NOW);
            assert!(
                matches!(verdict, Verdict::Refused(Refusal::NoSecret)),
                "{:?}: {verdict:?}",
                sender.scheme
            );
            let unsigned = sender.send(NOW).without(sender.proof);
            let verdict = unsigned.judged(sender.scheme, secrets, NOW);
            assert!(matches!(verdict, Verdict::Refused(_)), "{:?}: {verdict:?}", sender.scheme);
        }
        if !matches!(sender.scheme, Scheme::Discord | Scheme::Standard) {
            let by_nothing = sender.sign(HMAC_SHA256, "", &NOW.to_string(), sender.body.as_bytes());
            let verdict = by_nothing.judged(sender.scheme, &[""], NOW);
            assert!(matches!(verdict, Verdict::Refused(_)), "{:?}: {verdict:?}", sender.scheme);
        }
    }
}

#[test]
fn two_secrets_are_good_while_one_takes_the_place_of_the_other() {
    for sender in &SENDERS {
        let other = match sender.scheme {
            Scheme::Standard => "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            Scheme::Discord => "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            _ => "another",
        };
        for secrets in [[sender.secret, other], [other, sender.secret]] {
            let verdict = sender.send(NOW).judged(sender.scheme, &secrets, NOW);
            assert!(matches!(verdict, Verdict::Event(_)), "{:?}: {verdict:?}", sender.scheme);
        }
        let verdict = sender.send(NOW).judged(sender.scheme, &[other], NOW);
        assert!(matches!(verdict, Verdict::Refused(Refusal::Unproven)), "{:?}: {verdict:?}", sender.scheme);
    }
    // Where the provider signs with both, either is enough, and a signature of another kind is no matter.
    let (stripe, standard) = (Sender::of(Scheme::Stripe), Sender::of(Scheme::Standard));
    let both = stripe.send(NOW).with(stripe.proof, |value| {
        value.extend(format!(",v1={},v0={}", "0".repeat(64), "ab".repeat(32)).into_bytes());
    });
    assert!(matches!(both.judged(Scheme::Stripe, &[stripe.secret], NOW), Verdict::Event(_)));
    let both = standard.send(NOW).with(standard.proof, |value| {
        let tag = BASE64_STANDARD.encode([0; 32]);
        *value = [format!("v1,{tag} v1a,{tag} ").as_bytes(), value.as_slice()].concat();
    });
    assert!(matches!(both.judged(Scheme::Standard, &[standard.secret], NOW), Verdict::Event(_)));
}

#[test]
fn a_signed_time_may_be_off_by_as_much_as_the_provider_says() {
    for sender in SENDERS.iter().filter(|sender| sender.dates()) {
        let most = if sender.scheme == Scheme::Linear { 60 } else { 300 };
        for (off, taken) in [(-most - 1, false), (-most, true), (0, true), (most, true), (most + 1, false)] {
            let verdict = sender.send(NOW).judged(sender.scheme, &[sender.secret], NOW + off);
            assert_eq!(matches!(verdict, Verdict::Event(_)), taken, "{:?} {off}: {verdict:?}", sender.scheme);
            assert_eq!(
                matches!(verdict, Verdict::Refused(Refusal::Stale)),
                !taken,
                "{:?} {off}",
                sender.scheme
            );
        }
    }
}

#[test]
fn what_arrives_again_has_the_same_identifier() {
    for sender in &SENDERS {
        let again = |at| match sender.send(at).judged(sender.scheme, &[sender.secret], at) {
            Verdict::Event(event) => event.delivery,
            other => panic!("{other:?}"),
        };
        assert_eq!(again(NOW), again(NOW + 60), "{:?}", sender.scheme);
        let named = sender.scheme != Scheme::Discord;
        assert_eq!(again(NOW).is_some(), named, "{:?}", sender.scheme);
    }
}
