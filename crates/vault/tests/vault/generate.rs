//! The published vectors: envelopes that must open, moved, damaged, opened with other keys, and made wrong.
//!
//! The same text comes out each time. A test compares it with the file and the file with the crate; the example
//! `envelope-vectors` writes it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use serde::{Deserialize, Serialize};

use crate::reference::{Made, Place, Recipe, hex, id, text_of};

/// The whole file.
#[derive(Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) about: Vec<String>,
    pub(crate) opening: usize,
    pub(crate) failing: usize,
    pub(crate) vectors: Vec<Vector>,
}

/// One envelope, and what must come of opening it with this key in this place. Bytes are in hex.
#[derive(Serialize, Deserialize)]
pub(crate) struct Vector {
    pub(crate) number: usize,
    pub(crate) what: String,
    pub(crate) outcome: Outcome,
    pub(crate) key_id: String,
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) envelope: String,
    /// These three only where it opens.
    pub(crate) plaintext: Option<String>,
    pub(crate) record_key: Option<String>,
    pub(crate) bound: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Opens,
    Malformed,
    WrongKey,
    Refused,
}

/// The file's text.
pub(crate) fn text() -> Result<String, Box<dyn std::error::Error>> {
    let mut vectors = Vectors::default();
    vectors.opening()?;
    for suite in [1, 2] {
        vectors.moved(suite)?;
        vectors.damaged(suite)?;
        vectors.other_keys(suite)?;
        vectors.made_wrong(suite)?;
    }
    let vectors = vectors.all;
    let opening = vectors.iter().filter(|vector| vector.outcome == Outcome::Opens).count();
    let about = [
        "Record envelopes, version 1, of Carnet. The format is described on the page of the crate carnet-vault.",
        "Each vector is opened with `key`, named `key_id`, in `place`. `outcome` is what must come of it:",
        "opens: gives `plaintext`; `record_key` and `bound` are what the format calls so.",
        "malformed: not an envelope of version 1. wrong-key: names another key. refused: altered or moved.",
        "Bytes are in hex; the row version is in decimal; null is an absent part, which is not an empty one.",
    ];
    let file =
        File { about: about.map(str::to_owned).to_vec(), opening, failing: vectors.len() - opening, vectors };
    Ok(serde_json::to_string_pretty(&file)? + "\n")
}

type ChangePlace = fn(&mut Place);
type ChangeRecipe = fn(&mut Recipe);

#[derive(Default)]
struct Vectors {
    all: Vec<Vector>,
    drawn: u64,
}

impl Vectors {
    fn opening(&mut self) -> Made<()> {
        for suite in [1, 2] {
            for len in [0, 1, 16, 62, 63, 64, 65, 127, 128, 600] {
                let secret = self.bytes(len);
                let recipe = self.recipe(suite, &secret);
                self.opens(&format!("suite {suite}, {len} bytes"), &recipe, &secret)?;
            }
            for (what, secret) in [
                ("a secret that is one 80", vec![0x80]),
                ("a secret that ends in 80 00", vec![1, 0x80, 0]),
                ("a secret of 64 zero bytes", vec![0; 64]),
            ] {
                let recipe = self.recipe(suite, &secret);
                self.opens(&format!("suite {suite}, {what}"), &recipe, &secret)?;
            }
        }
        let places: [(&str, ChangePlace); 8] = [
            ("only the parts that are never absent", |place| {
                place.team = None;
                place.project = None;
                place.environment = None;
                place.connector = None;
                place.subject = None;
            }),
            ("empty texts and an empty row", |place| {
                place.table.clear();
                place.column.clear();
                place.row.clear();
                place.subject = Some(String::new());
            }),
            ("environment preview", |place| place.environment = Some(text_of("preview"))),
            ("environment development", |place| place.environment = Some(text_of("development"))),
            ("a custom environment", |place| {
                place.environment = Some(text_of("env_0000000000000000000007"));
            }),
            ("a subject outside ASCII", |place| place.subject = Some(text_of("user:Zoë 🗝"))),
            ("row version 0", |place| place.version = text_of("0")),
            ("the highest row version", |place| place.version = u64::MAX.to_string()),
        ];
        for (what, change) in places {
            let secret = self.bytes(40);
            let mut recipe = self.recipe(1, &secret);
            change(&mut recipe.place);
            self.opens(what, &recipe, &secret)?;
        }
        Ok(())
    }

    /// Right envelopes, opened in another place.
    fn moved(&mut self, suite: u8) -> Made<()> {
        let secret = self.bytes(40);
        let recipe = self.recipe(suite, &secret);
        let envelope = recipe.seal()?.envelope;
        let moves: [(&str, ChangePlace); 27] = [
            ("another deployment", |place| place.deployment = id(0xD9)),
            ("another team", |place| place.team = Some(id(0x7F))),
            ("no team", |place| place.team = None),
            ("another table", |place| place.table = text_of("connectors")),
            ("an empty table", |place| place.table.clear()),
            ("another column", |place| place.column = text_of("access_token")),
            ("the border between table and column moved", |place| {
                place.table = text_of("grantsr");
                place.column = text_of("efresh_token");
            }),
            ("table and column exchanged", |place| std::mem::swap(&mut place.table, &mut place.column)),
            ("another row", |place| place.row = id(0x0F)),
            ("a row with a byte more", |place| place.row.push_str("00")),
            ("an empty row", |place| place.row.clear()),
            ("another project", |place| place.project = Some(id(0x9F))),
            ("no project", |place| place.project = None),
            ("project and connector exchanged", |place| {
                std::mem::swap(&mut place.project, &mut place.connector);
            }),
            ("team and project exchanged", |place| std::mem::swap(&mut place.team, &mut place.project)),
            ("environment preview", |place| place.environment = Some(text_of("preview"))),
            ("environment development", |place| place.environment = Some(text_of("development"))),
            ("a custom environment", |place| {
                place.environment = Some(text_of("env_0000000000000000000007"));
            }),
            ("no environment", |place| place.environment = None),
            ("another connector", |place| place.connector = Some(id(0xCF))),
            ("no connector", |place| place.connector = None),
            ("another subject", |place| place.subject = Some(text_of("user:eve"))),
            ("the subject in capitals", |place| place.subject = Some(text_of("USER:ALICE"))),
            ("no subject", |place| place.subject = None),
            ("the next row version", |place| place.version = text_of("8")),
            ("the row version before", |place| place.version = text_of("6")),
            ("row version 0", |place| place.version = text_of("0")),
        ];
        for (what, change) in moves {
            let mut place = recipe.place.clone();
            change(&mut place);
            self.fails(
                &format!("suite {suite}, moved: {what}"),
                Outcome::Refused,
                &recipe,
                &place,
                &envelope,
            );
        }
        let filled: [(&str, ChangePlace, ChangePlace); 3] = [
            ("a team where there was none", |place| place.team = None, |place| place.team = Some(id(0x7E))),
            (
                "an empty subject where there was none",
                |place| place.subject = None,
                |place| {
                    place.subject = Some(String::new());
                },
            ),
            (
                "no subject where it was empty",
                |place| place.subject = Some(String::new()),
                |place| {
                    place.subject = None;
                },
            ),
        ];
        for (what, before, after) in filled {
            let mut recipe = self.recipe(suite, &secret);
            before(&mut recipe.place);
            let mut place = recipe.place.clone();
            after(&mut place);
            let envelope = recipe.seal()?.envelope;
            self.fails(
                &format!("suite {suite}, moved: {what}"),
                Outcome::Refused,
                &recipe,
                &place,
                &envelope,
            );
        }
        Ok(())
    }

    /// Right envelopes with bytes changed, missing or added.
    fn damaged(&mut self, suite: u8) -> Made<()> {
        let secret = self.bytes(100);
        let recipe = self.recipe(suite, &secret);
        let place = recipe.place.clone();
        let envelope = recipe.seal()?.envelope;
        let len = envelope.len();
        for (what, at, outcome) in [
            ("the magic", 0, Outcome::Malformed),
            ("the magic", 1, Outcome::Malformed),
            ("the version", 2, Outcome::Malformed),
            ("the key id", 4, Outcome::WrongKey),
            ("the key id", 19, Outcome::WrongKey),
            ("the salt", 20, Outcome::Refused),
            ("the salt", 51, Outcome::Refused),
            ("the commitment", 52, Outcome::Refused),
            ("the commitment", 83, Outcome::Refused),
            ("the ciphertext", 84, Outcome::Refused),
            ("the ciphertext", 84 + 64, Outcome::Refused),
            ("the padding", len - 17, Outcome::Refused),
            ("the tag", len - 16, Outcome::Refused),
            ("the tag", len - 1, Outcome::Refused),
        ] {
            for bit in [0, 7] {
                let mut altered = envelope.clone();
                *altered.get_mut(at).ok_or(Unspecified)? ^= 1 << bit;
                let what = format!("suite {suite}, bit {bit} of byte {at} flipped, in {what}");
                self.fails(&what, outcome, &recipe, &place, &altered);
            }
        }
        for (number, outcome) in [
            (0, Outcome::Malformed),
            (3 - suite, Outcome::Refused),
            (3, Outcome::Malformed),
            (0xFF, Outcome::Malformed),
        ] {
            let mut altered = envelope.clone();
            *altered.get_mut(3).ok_or(Unspecified)? = number;
            self.fails(&format!("suite {suite} relabelled {number}"), outcome, &recipe, &place, &altered);
        }
        for kept in [0, 1, 2, 3, 4, 20, 52, 83, 84, 85, 99, 100, 101, 163, len - 17, len - 16, len - 1] {
            let cut = envelope.get(..kept).ok_or(Unspecified)?;
            let what = format!("suite {suite}, cut after {kept} bytes");
            self.fails(&what, Outcome::Malformed, &recipe, &place, cut);
        }
        let cut = envelope.get(..len - 64).ok_or(Unspecified)?;
        self.fails(&format!("suite {suite}, cut by a block"), Outcome::Refused, &recipe, &place, cut);
        let (header, body) = envelope.split_at_checked(84).ok_or(Unspecified)?;
        let (first, rest) = body.split_at_checked(64).ok_or(Unspecified)?;
        let (second, tag) = rest.split_at_checked(64).ok_or(Unspecified)?;
        for (what, outcome, parts) in [
            ("without its first byte", Outcome::Malformed, vec![envelope.get(1..).unwrap_or_default()]),
            ("with a byte before it", Outcome::Malformed, vec![&[0], &envelope]),
            ("with a byte after it", Outcome::Malformed, vec![&envelope, &[0]]),
            ("with a block after it", Outcome::Refused, vec![&envelope, &[0; 64]]),
            ("twice", Outcome::Malformed, vec![&envelope, &envelope]),
            ("without its first block", Outcome::Refused, vec![header, second, tag]),
            ("with its blocks exchanged", Outcome::Refused, vec![header, second, first, tag]),
        ] {
            self.fails(&format!("suite {suite}, {what}"), outcome, &recipe, &place, &parts.concat());
        }
        Ok(())
    }

    /// Right envelopes, opened with another key.
    fn other_keys(&mut self, suite: u8) -> Made<()> {
        let secret = self.bytes(40);
        let recipe = self.recipe(suite, &secret);
        let envelope = recipe.seal()?.envelope;
        let place = recipe.place.clone();
        let mut flipped = recipe.clone();
        if let Some(first) = flipped.key.first_mut() {
            *first ^= 1;
        }
        let named = Recipe { key_id: [0xEE; 16], ..recipe.clone() };
        let zero = Recipe { key: [0; 32], ..recipe.clone() };
        for (what, outcome, recipe) in [
            ("another key of the same name", Outcome::Refused, flipped),
            ("a key of zero bytes with the same name", Outcome::Refused, zero),
            ("the same key under another name", Outcome::WrongKey, named),
        ] {
            self.fails(&format!("suite {suite}, {what}"), outcome, &recipe, &place, &envelope);
        }
        Ok(())
    }

    /// Envelopes made with the right key, but not by the rules.
    fn made_wrong(&mut self, suite: u8) -> Made<()> {
        let secret = b"a refresh token of 31 character".to_vec();
        let changes: [(&str, Outcome, ChangeRecipe); 24] = [
            ("magic CC", Outcome::Malformed, |recipe| recipe.magic = *b"CC"),
            ("version 0", Outcome::Malformed, |recipe| recipe.version = 0),
            ("version 2", Outcome::Malformed, |recipe| recipe.version = 2),
            ("suite 0", Outcome::Malformed, |recipe| recipe.suite = 0),
            ("suite 3", Outcome::Malformed, |recipe| recipe.suite = 3),
            ("the other suite's cipher", Outcome::Refused, |recipe| recipe.cipher = 3 - recipe.suite),
            ("no ciphertext", Outcome::Malformed, |recipe| recipe.padded.clear()),
            ("padding to 63 bytes", Outcome::Malformed, |recipe| recipe.padded.truncate(63)),
            ("padding to 65 bytes", Outcome::Malformed, |recipe| recipe.padded.push(0)),
            ("a block more of padding", Outcome::Refused, |recipe| recipe.padded.resize(128, 0)),
            ("only zero bytes", Outcome::Refused, |recipe| recipe.padded = vec![0; 64]),
            ("no start of the padding", Outcome::Refused, |recipe| {
                recipe.padded.truncate(31);
                recipe.padded.resize(64, 0);
            }),
            ("padding of 81 00 …", Outcome::Refused, |recipe| {
                recipe.padded.truncate(31);
                recipe.padded.push(0x81);
                recipe.padded.resize(64, 0);
            }),
            ("padding of 80 01 01 …", Outcome::Refused, |recipe| {
                recipe.padded.truncate(32);
                recipe.padded.resize(64, 1);
            }),
            ("PKCS #7 padding", Outcome::Refused, |recipe| {
                recipe.padded.truncate(31);
                recipe.padded.resize(64, 33);
            }),
            ("no padding at all", Outcome::Refused, |recipe| recipe.padded = vec![0x41; 64]),
            ("a commitment of zero bytes", Outcome::Refused, |recipe| recipe.commitment = Some([0; 32])),
            ("no commitment in the derivation", Outcome::Refused, |recipe| {
                recipe.commit_label = "cb/rec/1/key";
            }),
            ("the record key from the commitment's label", Outcome::Refused, |recipe| {
                recipe.key_label = "cb/rec/1/commit";
            }),
            ("record key and commitment of version 2", Outcome::Refused, |recipe| {
                recipe.key_label = "cb/rec/2/key";
                recipe.commit_label = "cb/rec/2/commit";
            }),
            ("a nonce of 1", Outcome::Refused, |recipe| recipe.nonce = 1),
            ("another label of the bound parts", Outcome::Refused, |recipe| recipe.bound_label = "cb-aad/2"),
            ("no header in the bound parts", Outcome::Refused, |recipe| recipe.bind_header = false),
            ("an absent part written as an empty one", Outcome::Refused, |recipe| {
                recipe.place.subject = None;
                recipe.absent = 0;
            }),
        ];
        for (what, outcome, change) in changes {
            let mut recipe = self.recipe(suite, &secret);
            change(&mut recipe);
            let envelope = recipe.seal()?.envelope;
            let place = recipe.place.clone();
            self.fails(&format!("suite {suite}, made with {what}"), outcome, &recipe, &place, &envelope);
        }
        Ok(())
    }

    fn opens(&mut self, what: &str, recipe: &Recipe, secret: &[u8]) -> Made<()> {
        let sealed = recipe.seal()?;
        self.all.push(Vector {
            plaintext: Some(hex(secret)),
            record_key: Some(hex(&sealed.record_key)),
            bound: Some(hex(&sealed.bound)),
            ..self.vector(what, Outcome::Opens, recipe, &recipe.place, &sealed.envelope)
        });
        Ok(())
    }

    fn fails(&mut self, what: &str, outcome: Outcome, recipe: &Recipe, place: &Place, envelope: &[u8]) {
        let vector = self.vector(what, outcome, recipe, place, envelope);
        self.all.push(vector);
    }

    fn vector(
        &self,
        what: &str,
        outcome: Outcome,
        recipe: &Recipe,
        place: &Place,
        envelope: &[u8],
    ) -> Vector {
        Vector {
            number: self.all.len() + 1,
            what: what.to_owned(),
            outcome,
            key_id: hex(&recipe.key_id),
            key: hex(&recipe.key),
            place: place.clone(),
            envelope: hex(envelope),
            plaintext: None,
            record_key: None,
            bound: None,
        }
    }

    /// By the rules, with a name, a key and a salt of its own.
    fn recipe(&mut self, suite: u8, secret: &[u8]) -> Recipe {
        let (key_id, key, salt) = (self.array(), self.array(), self.array());
        Recipe::by_the_rules(suite, secret, key_id, key, salt)
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = self.bytes(N).into_iter();
        std::array::from_fn(|_| bytes.next().unwrap_or_default())
    }

    /// SHA-256 over a name and a counter, again and again: nothing about a vector is secret.
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < len {
            self.drawn += 1;
            let block = digest(&SHA256, format!("carnet envelope v1 vectors {}", self.drawn).as_bytes());
            out.extend_from_slice(block.as_ref());
        }
        out.truncate(len);
        out
    }
}
