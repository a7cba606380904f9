//! What a command says: the answer to stdout, everything else to stderr.
//!
//! Every line goes through [`plain`], so that no name that came from a server can move the cursor or colour a line. In a
//! document the same characters are [`escaped`]: a program reads what there was, a person sees it. Only a token is written
//! as it is.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use carnet_model::shown::{is_hidden, visible};
use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;
use super::jq::Jq;
use super::surroundings::Terminal;

/// Who speaks.
pub(crate) struct Talk {
    terminal: Terminal,
    json: bool,
    /// Whether a failure is told as JSON too: not to whoever picks one member out of the answer.
    json_failures: bool,
    jq: Option<Jq>,
    ask: bool,
    color: bool,
    /// How many characters of progress stand on the last line.
    progress: usize,
    /// What was warned of so far: the document says it too.
    warnings: Vec<String>,
}

/// How to speak, by the flags.
pub(crate) struct Voice {
    /// The answer is one JSON document.
    pub(crate) json: bool,
    /// What is picked out of the document.
    pub(crate) jq: Option<Jq>,
    /// A person may be asked, if there is one.
    pub(crate) ask: bool,
    /// Colour, if the terminal shows it.
    pub(crate) color: bool,
}

impl Talk {
    /// On this terminal.
    pub(crate) fn new(terminal: Terminal, voice: Voice) -> Self {
        let person = terminal.stdin_tty && terminal.stderr_tty;
        let json = voice.json || voice.jq.is_some();
        Self {
            json,
            json_failures: voice.json,
            ask: voice.ask && person && !json,
            color: voice.color && terminal.color && terminal.stderr_tty,
            progress: 0,
            warnings: Vec::new(),
            jq: voice.jq,
            terminal,
        }
    }

    /// Whether the answer is one JSON document.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }

    /// Whether there is a person to ask.
    pub(crate) fn may_ask(&self) -> bool {
        self.ask
    }

    /// Whether a person reads the answer, and not a program.
    pub(crate) fn is_read_by_a_person(&self) -> bool {
        self.terminal.stdout_tty && !self.json
    }

    /// A line of the answer.
    pub(crate) fn answer(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.terminal.stdout, "{line}").and_then(|()| self.terminal.stdout.flush()).map_err(unheard)
    }

    /// The answer, line ends included.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.terminal
            .stdout
            .write_all(text.as_bytes())
            .and_then(|()| self.terminal.stdout.flush())
            .map_err(unheard)
    }

    /// The answer as the one JSON document, or what `--jq` makes of it; with what was warned of.
    pub(crate) fn document(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        if self.warnings.is_empty() {
            return self.json_text(&written(serde_json::to_string_pretty(value))?);
        }
        let mut document = written(serde_json::to_value(value))?;
        self.add_warnings(&mut document);
        self.json_text(&written(serde_json::to_string_pretty(&document))?)
    }

    fn add_warnings(&mut self, document: &mut Value) {
        let warnings = std::mem::take(&mut self.warnings);
        if let (Value::Object(document), false) = (document, warnings.is_empty()) {
            document.entry("warnings").or_insert(warnings.into());
        }
    }

    /// One of several JSON documents, each on a line, or what `--jq` makes of it.
    pub(crate) fn event(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        self.json_text(&written(serde_json::to_string(value))?)
    }

    /// The same for what is JSON already.
    pub(crate) fn json_text(&mut self, text: &str) -> Result<(), Failure> {
        let Some(jq) = &self.jq else { return self.answer(&escaped(text)) };
        for line in jq.lines(text)? {
            // A name that came from a server moves no cursor.
            let line = if self.terminal.stdout_tty { plain_lines(&line) } else { line };
            self.answer(&line)?;
        }
        Ok(())
    }

    /// What a command that was started prints, byte for byte. That nobody reads its stderr is its own affair.
    pub(crate) fn hand_on(&mut self, stderr: bool, bytes: &[u8]) -> Result<(), Failure> {
        if stderr {
            drop(self.terminal.stderr.write_all(bytes).and_then(|()| self.terminal.stderr.flush()));
            return Ok(());
        }
        self.terminal.stdout.write_all(bytes).and_then(|()| self.terminal.stdout.flush()).map_err(unheard)
    }

    /// How far long work has come, on one line that is written over; nothing to take it away. On a terminal only.
    pub(crate) fn progress(&mut self, line: &str) {
        if !self.terminal.stderr_tty || self.json {
            return;
        }
        let line: String = plain(line).chars().take(70).collect();
        let length = line.chars().count();
        let gap = " ".repeat(self.progress.saturating_sub(length));
        let end = if line.is_empty() { "\r" } else { "" };
        drop(write!(self.terminal.stderr, "\r{line}{gap}{end}"));
        drop(self.terminal.stderr.flush());
        self.progress = length;
    }

    /// A line of talk. That nobody hears it is no failure.
    pub(crate) fn say(&mut self, line: &str) {
        self.label_and_say("", line);
    }

    /// Something went well.
    pub(crate) fn success(&mut self, line: &str) {
        let label = format!("> {} ", self.paint("32", "Success!"));
        self.label_and_say(&label, line);
    }

    /// Something a person should know. A document that follows has it among its `warnings`.
    pub(crate) fn warn(&mut self, line: &str) {
        if self.json {
            self.warnings.push(line.to_owned());
        }
        let label = format!("{} ", self.paint("33", "warning:"));
        self.label_and_say(&label, line);
    }

    /// Talk of several lines, all our own.
    pub(crate) fn explain(&mut self, text: &str) {
        drop(writeln!(self.terminal.stderr, "{text}"));
    }

    fn label_and_say(&mut self, label: &str, line: &str) {
        if self.progress > 0 {
            self.progress("");
        }
        drop(writeln!(self.terminal.stderr, "{label}{}", plain(line).trim_end()));
    }

    /// Asks a person. `None` if there is nobody to ask.
    pub(crate) fn confirm(&mut self, question: &str, usual: bool) -> Option<bool> {
        if !self.ask {
            return None;
        }
        let choice = if usual { "Y/n" } else { "y/N" };
        drop(write!(self.terminal.stderr, "? {} ({choice}) ", plain(question)));
        drop(self.terminal.stderr.flush());
        let mut line = String::new();
        if matches!(self.terminal.stdin.read_line(&mut line), Ok(0) | Err(_)) {
            return Some(false);
        }
        Some(match line.trim().to_lowercase().as_str() {
            "" => usual,
            "y" | "yes" => true,
            _ => false,
        })
    }

    /// Goes on only if `yes` was given or a person confirms.
    pub(crate) fn insist(&mut self, yes: bool, question: &str) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        match self.confirm(question, false) {
            Some(true) => Ok(()),
            Some(false) => Err(Failure::new("canceled", "Canceled; nothing was changed.")),
            None => Err(Failure::usage(format!("This needs --yes: {question}"))
                .next("the same command with --yes", "to do it without being asked")),
        }
    }

    /// Goes on only if `yes` was given or a person types the name of what will be gone.
    pub(crate) fn insist_by_name(&mut self, yes: bool, question: &str, name: &str) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        if !self.ask {
            return Err(Failure::usage(format!("This needs --yes: {question}"))
                .next("the same command with --yes", "to do it without being asked")
                .next("the same command with --dry-run", "to see what it would do"));
        }
        drop(write!(self.terminal.stderr, "? {}\n  Type {} to go on: ", plain(question), plain(name)));
        drop(self.terminal.stderr.flush());
        let mut line = String::new();
        let read = self.terminal.stdin.read_line(&mut line);
        if read.is_ok() && line.trim() == name {
            return Ok(());
        }
        Err(Failure::new("canceled", "Canceled; nothing was changed."))
    }

    /// Asks a person for a secret, and does not show it. `None` if there is nobody to ask.
    pub(crate) fn ask_secret(&mut self, question: &str) -> Option<String> {
        if !self.ask {
            return None;
        }
        drop(write!(self.terminal.stderr, "? {}: ", plain(question)));
        drop(self.terminal.stderr.flush());
        (self.terminal.echo)(false);
        let mut line = String::new();
        let read = self.terminal.stdin.read_line(&mut line);
        (self.terminal.echo)(true);
        drop(writeln!(self.terminal.stderr));
        read.is_ok().then(|| line.trim().to_owned()).filter(|line| !line.is_empty())
    }

    /// Reads stdin to its end.
    pub(crate) fn listen(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.terminal.stdin.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Says why the command failed, in the form that was asked for, and returns the exit code.
    pub(crate) fn fail(&mut self, failure: &Failure) -> ExitCode {
        if failure.is_unheard() {
            return failure.exit.into();
        }
        if self.json_failures {
            let mut document = failure.document();
            self.add_warnings(&mut document);
            match self.answer(&escaped(&format!("{document:#}"))) {
                // A full disk takes no answer. A person may still be told.
                Err(unwritten) if !unwritten.is_unheard() => {}
                _ => return failure.exit.into(),
            }
        }
        let label = format!("{} ", self.paint("1;31", "error:"));
        self.label_and_say(&label, &format!("{}   [{}]", failure.message, failure.code));
        let label = format!("  {} ", self.paint("36", "fix:"));
        for next in &failure.next {
            self.label_and_say(&label, &format!("{}   {}", next.command, next.when));
        }
        failure.exit.into()
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Text without control characters, those of a terminal among them, and without what turns or hides what stands around it.
pub(crate) fn plain(text: &str) -> String {
    visible(text)
}

/// JSON in which every character that a terminal obeys, or that turns or hides what stands around it, is written as
/// `\uXXXX` (RFC 8259 §7). Such a one stands nowhere but in a text, so that the value stays the same.
pub(crate) fn escaped(json: &str) -> Cow<'_, str> {
    let deceives = |c: char| is_hidden(c) || (c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    if !json.contains(deceives) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if deceives(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Into a string nothing fails to be written.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The same as [`plain`] for several lines.
fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

fn written<T>(text: serde_json::Result<T>) -> Result<T, Failure> {
    text.map_err(|error| Failure::new("internal", "The answer cannot be written as JSON.").because(&error))
}

fn unheard(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::unheard();
    }
    Failure::new("output_failed", "The answer cannot be written to stdout.")
        .because(&error)
        .next("df -h", "to see whether the disk is full to which stdout goes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_the_same_and_shows_what_deceives() {
        let name = "a\u{202e}b\u{7f}\u{9b}2J\u{2066}\u{e0041}\u{1b}[31mé😀\u{200d}";
        let text = serde_json::to_string_pretty(&serde_json::json!({ "name": name })).unwrap();
        let shown = escaped(&text);
        assert!(shown.contains(r"a\u202eb\u007f\u009b2J\u2066\udb40\udc41\u001b[31mé😀"), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["name"], name);
        assert!(matches!(escaped("{\n  \"name\": \"Zoë\"\n}"), Cow::Borrowed(_)));
    }
}
