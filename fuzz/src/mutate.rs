//! Mutations, always the same ones: a finding of one run is a finding of every run.

/// Makes new input of known input.
pub struct Mutator {
    state: u64,
    words: &'static [&'static str],
}

impl Mutator {
    /// Knows these words of the language.
    pub const fn new(words: &'static [&'static str]) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, words }
    }

    /// One of the corpus, changed in one to eight places.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut bytes, corpus);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(bytes.len() + 1);
        match self.below(10) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.byte(),
            2 => {
                let byte = self.byte();
                bytes.insert(at, byte);
            }
            3 => {
                let end = bytes.len().min(at + 1 + self.below(8));
                bytes.drain(at..end);
            }
            4 => bytes.truncate(at),
            5 => {
                // a piece once more
                let end = bytes.len().min(at + 1 + self.below(16));
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            6 => {
                // the head of one and the tail of another
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            7 => {
                // a number turned into one at an edge
                let edge = EDGES[self.below(EDGES.len())].bytes();
                let end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                bytes.splice(at..end, edge);
            }
            _ if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())].bytes();
                bytes.splice(at..at, word);
            }
            _ => bytes.reverse(),
        }
    }

    fn byte(&mut self) -> u8 {
        match self.below(3) {
            0 => u8::try_from(self.below(256)).unwrap_or_default(),
            _ => ODD[self.below(ODD.len())],
        }
    }

    /// xorshift64*: good enough to wander about, and the same everywhere.
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let drawn = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or_default() % limit.max(1)
    }
}

/// Characters that mean something to one parser or another.
const ODD: &[u8] = b"\0\t\n\r \"'#%&+,-./0123456789:;<=>?@AZ[\\]^_`az{|}~\x7f\x80\xbf\xc0\xe2\xed\xff";
const EDGES: &[&str] = &[
    "0",
    "-1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551616",
    "1e400",
    "0x7f",
    "0177",
];
/// Above every limit that a parser of ours has, and no more than it takes to show that.
const LONGEST: usize = 96 * 1024;
