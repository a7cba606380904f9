//! Light Markdown: what a team writes about how to get a key.
//!
//! Read: paragraphs, lists, `` `code` ``, `**bold**`, `[text](https://…)` and bare https addresses. A heading becomes a
//! bold line. Everything else, HTML first of all, is text. The result is a tree that a template writes out and escapes;
//! no HTML is made here. A link says to which host it leads, whatever its text says.

use url::Url;

use crate::label::{Label, clean};

/// Instructions, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instructions(pub(crate) Vec<Block>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Paragraph(Vec<Span>),
    Bullets(Vec<Vec<Span>>),
    Steps(Vec<Vec<Span>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Text(String),
    Code(String),
    Bold(String),
    Link { text: String, to: String, host: Option<Label> },
}

impl Instructions {
    /// The most characters that are read; the rest is left out.
    pub const MAX_LEN: usize = 4000;

    /// Reads any text; nothing is refused. `None` if nothing is left to show.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.char_indices().nth(Self::MAX_LEN).map_or(text.len(), |(at, _)| at);
        let text = text.get(..end).unwrap_or_default().replace("\r\n", "\n");
        let mut reader = Reader::default();
        for line in text.split(['\n', '\r']) {
            reader.line(&clean(line, Self::MAX_LEN));
        }
        reader.close();
        (!reader.blocks.is_empty()).then_some(Self(reader.blocks))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Paragraph,
    Heading,
    Bullet,
    Step,
}

/// Collects lines into blocks.
#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    open: Option<(Kind, String)>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let (kind, text) = kind_of(line);
        match &mut self.open {
            _ if text.is_empty() => self.close(),
            // A plain line goes on with the paragraph or list item above it.
            Some((Kind::Paragraph | Kind::Bullet | Kind::Step, so_far)) if kind == Kind::Paragraph => {
                so_far.push(' ');
                so_far.push_str(text);
            }
            _ => {
                self.close();
                self.open = Some((kind, text.to_owned()));
            }
        }
    }

    fn close(&mut self) {
        let Some((kind, text)) = self.open.take() else { return };
        match (kind, self.blocks.last_mut()) {
            (Kind::Heading, _) => self.blocks.push(Block::Paragraph(vec![Span::Bold(text)])),
            (Kind::Paragraph, _) => self.blocks.push(Block::Paragraph(spans(&text))),
            (Kind::Bullet, Some(Block::Bullets(items))) | (Kind::Step, Some(Block::Steps(items))) => {
                items.push(spans(&text));
            }
            (Kind::Bullet, _) => self.blocks.push(Block::Bullets(vec![spans(&text)])),
            (Kind::Step, _) => self.blocks.push(Block::Steps(vec![spans(&text)])),
        }
    }
}

/// What a cleaned line begins with, and what follows.
fn kind_of(line: &str) -> (Kind, &str) {
    if let Some(text) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return (Kind::Bullet, text);
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if let Some((number, rest)) = line.split_at_checked(digits)
        && (1..=3).contains(&number.len())
        && let Some(text) = rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))
    {
        return (Kind::Step, text);
    }
    let marks = line.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&marks)
        && let Some(text) = line.get(marks..).and_then(|rest| rest.strip_prefix(' '))
    {
        return (Kind::Heading, text);
    }
    (Kind::Paragraph, line)
}

/// Reads what stands within a line.
fn spans(mut rest: &str) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    while let Some(c) = rest.chars().next() {
        if let Some((span, after)) = marked(rest) {
            out.push(span);
            rest = after;
            continue;
        }
        if let Some(Span::Text(text)) = out.last_mut() {
            text.push(c);
        } else {
            out.push(Span::Text(c.to_string()));
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}

/// The marked span at the start of `text`, if it is whole.
fn marked(text: &str) -> Option<(Span, &str)> {
    if let Some(rest) = text.strip_prefix('`') {
        let (code, after) = rest.split_once('`').filter(|(code, _)| !code.is_empty())?;
        return Some((Span::Code(code.to_owned()), after));
    }
    if let Some(rest) = text.strip_prefix("**") {
        let (bold, after) = rest.split_once("**").filter(|(bold, _)| !bold.is_empty())?;
        return Some((Span::Bold(bold.to_owned()), after));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (words, rest) = rest.split_once("](").filter(|(words, _)| !words.trim().is_empty())?;
        let (address, after) = rest.split_once(')')?;
        let (to, host) = link(address)?;
        return Some((Span::Link { text: words.to_owned(), to, host: Some(host) }, after));
    }
    if text.starts_with("https://") {
        let end = text.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`'));
        let address = text
            .get(..end.unwrap_or(text.len()))?
            .trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'']);
        let (to, _) = link(address)?;
        // The address as parsed, so that what is read is where it leads.
        return Some((Span::Link { text: to.clone(), to, host: None }, text.get(address.len()..)?));
    }
    None
}

/// A link is https, to a host, without a user name in front of it that could pass for the host.
fn link(address: &str) -> Option<(String, Label)> {
    let url = Url::parse(address).ok()?;
    let plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    (plain && url.host().is_some()).then(|| (url.to_string(), Label::host(&url)))
}

#[cfg(test)]
mod tests;
