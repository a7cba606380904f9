//! All entries: those that are compiled in, and the operator's in their place or beside them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};
use std::{fs, io};

use crate::entry::{Entry, Method};
use crate::read::Invalid;

/// Every service that is known. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    own: Arc<BTreeMap<String, Entry>>,
}

/// An operator's folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A file is wrong.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The folder or a file cannot be read.
    #[error("{path} cannot be read: {source}", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any description of a service.
    #[error("{path} is larger than {LARGEST} bytes", path = .0.display())]
    TooLarge(PathBuf),
}

impl Catalog {
    /// With the files of a folder: each takes the place of the entry of its name, or is a new one. Every file that ends
    /// in `.toml` is read; if one cannot be used, none is.
    pub fn overlaid(folder: &Path) -> Result<Self, Unreadable> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |source| Unreadable::Io { path, source }
        };
        let mut paths = fs::read_dir(folder)
            .and_then(|files| files.map(|file| file.map(|file| file.path())).collect::<io::Result<Vec<_>>>())
            .map_err(unreadable(folder))?;
        paths.sort();
        let mut own = BTreeMap::new();
        for path in paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "toml")) {
            let length = fs::metadata(&path).map_err(unreadable(&path))?.len();
            if length > LARGEST {
                return Err(Unreadable::TooLarge(path));
            }
            let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let entry = Entry::read(&path.display().to_string(), &stem, &text)?;
            own.insert(entry.slug.to_string(), entry);
        }
        Ok(Self { own: Arc::new(own) })
    }

    /// The service of this short name.
    pub fn get(&self, slug: &str) -> Option<&Entry> {
        self.own.get(slug).or_else(|| BUILT_IN.get(slug)?.entry())
    }

    /// The service that has a way whose server is found out about at this address, written without its scheme:
    /// `mcp.linear.app/mcp`.
    pub fn of_server(&self, address: &str) -> Option<&Entry> {
        let server = format!("https://{address}");
        let has = |entry: &&Entry| {
            let mut ways = entry.methods.iter().filter_map(|method| method.oauth.as_ref()?.server.as_ref());
            ways.any(|known| known.get_ref().as_str() == server)
        };
        let line = format!("server = \"{server}\"");
        let built_in = BUILT_IN.iter().filter(|(_, leaf)| leaf.text.contains(&line));
        let built_in = built_in.filter(|(slug, _)| !self.own.contains_key(**slug));
        self.own.values().chain(built_in.filter_map(|(_, leaf)| leaf.entry())).find(has)
    }

    /// The service that somebody means: by its short name, or by the address of a server that one of its ways is for, with
    /// or without scheme and path. With an address comes that way.
    pub fn named(&self, name: &str) -> Option<(&Entry, Option<&Method>)> {
        let name = name.to_lowercase();
        if let Some(entry) = self.get(&name) {
            return Some((entry, None));
        }
        let address = name.strip_prefix("https://").unwrap_or(&name).trim_end_matches('/');
        // A host is anything but a short name; without a path it stands for whatever is known to be there.
        let entry = match (address.contains('.'), address.contains('/')) {
            (false, _) => None,
            (true, true) => self.of_server(address),
            (true, false) => self.of_server(address).or_else(|| self.of_server(&format!("{address}/mcp"))),
        }?;
        let host = address.split('/').next()?;
        let is_there = |method: &&Method| {
            let server = method.oauth.as_ref().and_then(|oauth| oauth.server.as_ref());
            server.is_some_and(|server| {
                let rest = server.get_ref().as_str().strip_prefix("https://");
                rest.is_some_and(|rest| rest.split('/').next() == Some(host))
            })
        };
        Some((entry, entry.methods.iter().find(is_there)))
    }

    /// Whether the operator's own file stands for this service.
    pub fn is_own(&self, slug: &str) -> bool {
        self.own.contains_key(slug)
    }

    /// All of them, by short name.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        let slugs = BUILT_IN.keys().copied().chain(self.own.keys().map(String::as_str));
        let slugs: std::collections::BTreeSet<&str> = slugs.collect();
        slugs.into_iter().filter_map(|slug| self.get(slug))
    }

    /// Those in which every word stands, and of this category if one is named: the ones with the words in their names
    /// first, each lot by short name.
    pub fn search(&self, words: &str, category: Option<&str>) -> Vec<&Entry> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let mut found: Vec<(u8, &Entry)> = self
            .all()
            .filter(|entry| {
                category.is_none_or(|wanted| entry.categories.iter().any(|c| c.as_str() == wanted))
            })
            .filter_map(|entry| Some((rank(entry, &words)?, entry)))
            .collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, entry)| entry).collect()
    }
}

/// How well all the words fit, the lower the better; `None` if one of them does not stand there at all.
fn rank(entry: &Entry, words: &[String]) -> Option<u8> {
    let name = entry.name.as_str().to_lowercase();
    let slug = entry.slug.as_str();
    let about = entry.description.as_str().to_lowercase();
    let of = |word: &String| {
        if slug == word || name == *word {
            Some(0)
        } else if slug.starts_with(word.as_str()) || name.starts_with(word.as_str()) {
            Some(1)
        } else if slug.contains(word.as_str()) || name.contains(word.as_str()) {
            Some(2)
        } else if about.contains(word.as_str()) || entry.categories.iter().any(|c| c.as_str() == word) {
            Some(3)
        } else {
            None
        }
    };
    words.iter().map(of).try_fold(0, |worst, rank| Some(worst.max(rank?)))
}

/// A file that is read when it is first asked for: a server that starts needs few of them.
struct Leaf {
    text: &'static str,
    slug: &'static str,
    entry: OnceLock<Option<Entry>>,
}

impl Leaf {
    // One that cannot be read is left out here, and fails the tests.
    fn entry(&self) -> Option<&Entry> {
        self.entry.get_or_init(|| Entry::read(self.slug, self.slug, self.text).ok()).as_ref()
    }
}

static BUILT_IN: LazyLock<BTreeMap<&'static str, Leaf>> = LazyLock::new(|| {
    FILES.iter().map(|(slug, text)| (*slug, Leaf { text, slug, entry: OnceLock::new() })).collect()
});

/// The files of `catalog/`, by name.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// In bytes. The longest file that is compiled in has a tenth of it.
const LARGEST: u64 = 256 * 1024;
