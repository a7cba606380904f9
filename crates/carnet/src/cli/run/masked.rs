//! A command whose output is looked through for the tokens it was given.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use carnet_model::SecretString;
use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::context::Context;
use crate::cli::failure::Failure;

/// What comes from the threads that wait for the child.
enum News {
    Printed { stderr: bool, bytes: Vec<u8> },
    Closed,
    Ended(io::Result<ExitStatus>),
}

/// Runs the command, replaces the tokens in what it prints, and hands signals on.
pub(super) async fn run(
    cx: &mut Context<'_>,
    mut command: Command,
    tokens: Vec<SecretString>,
    failed: impl Fn(&io::Error) -> Failure,
) -> Result<ExitCode, Failure> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut signals = Signals::listen().map_err(|error| failed(&error))?;
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (tell, mut news) = mpsc::channel(64);
    let open = pump(&mut child, &tell);
    std::thread::spawn(move || drop(tell.blocking_send(News::Ended(child.wait()))));
    let mut masks = [Mask::new(&tokens), Mask::new(&tokens)];
    let mut open = open;
    let mut ended: Option<io::Result<ExitStatus>> = None;
    loop {
        // A child of the command may hold its output open; what it still prints is waited for, itself is not.
        let patience = if ended.is_some() { LINGER } else { Duration::MAX };
        let said = tokio::select! {
            said = news.recv() => said,
            number = signals.next() => {
                if let (Some(pid), None) = (pid, &ended) {
                    // That it is gone already is what was wanted.
                    let _ = kill_process(pid, number);
                }
                continue;
            }
            () = tokio::time::sleep(patience) => None,
        };
        match said {
            Some(News::Printed { stderr, bytes }) => {
                let [out, err] = &mut masks;
                let shown = if stderr { err } else { out }.pass(&bytes);
                cx.talk.hand_on(stderr, &shown)?;
            }
            Some(News::Closed) => open -= 1,
            Some(News::Ended(status)) => ended = Some(status),
            None => break,
        }
        if open == 0 && ended.is_some() {
            break;
        }
    }
    let [out, err] = &mut masks;
    cx.talk.hand_on(false, &out.finish())?;
    cx.talk.hand_on(true, &err.finish())?;
    let status = ended.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()));
    status.map(code_of).map_err(|error| failed(&error))
}

/// As shells have it: the code, or 128 and the signal.
pub(crate) fn code_of(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Two threads that read what the child prints; how many pipes there are.
fn pump(child: &mut Child, tell: &mpsc::Sender<News>) -> usize {
    let out = child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    let err = child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    let mut open = 0;
    for (stderr, pipe) in [(false, out), (true, err)] {
        let Some(mut pipe) = pipe else { continue };
        open += 1;
        let tell = tell.clone();
        std::thread::spawn(move || {
            let mut room = vec![0; 16 << 10];
            loop {
                match pipe.read(&mut room) {
                    Ok(0) => break,
                    Ok(read) => {
                        let bytes = room.get(..read).unwrap_or_default().to_vec();
                        if tell.blocking_send(News::Printed { stderr, bytes }).is_err() {
                            break;
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            drop(tell.blocking_send(News::Closed));
        });
    }
    open
}

/// The signals by which a command is told to stop.
struct Signals([(tokio::signal::unix::Signal, Signal); 4]);

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self([
            (signal(SignalKind::interrupt())?, Signal::INT),
            (signal(SignalKind::terminate())?, Signal::TERM),
            (signal(SignalKind::hangup())?, Signal::HUP),
            (signal(SignalKind::quit())?, Signal::QUIT),
        ]))
    }

    async fn next(&mut self) -> Signal {
        let [int, term, hup, quit] = &mut self.0;
        tokio::select! {
            _ = int.0.recv() => int.1,
            _ = term.0.recv() => term.1,
            _ = hup.0.recv() => hup.1,
            _ = quit.0.recv() => quit.1,
        }
    }
}

/// Replaces secrets in a stream of bytes. Only what may be the beginning of one is held back.
struct Mask {
    secrets: Vec<SecretString>,
    held: Vec<u8>,
}

impl Mask {
    fn new(secrets: &[SecretString]) -> Self {
        let secrets = secrets.iter().filter(|secret| !secret.expose().is_empty());
        Self { secrets: secrets.map(SecretString::duplicate).collect(), held: Vec::new() }
    }

    /// What may be shown of what came so far.
    fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut shown = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while let Some(rest) = self.held.get(at..).filter(|rest| !rest.is_empty()) {
            let secrets = || self.secrets.iter().map(|secret| secret.expose().as_bytes());
            if let Some(length) = secrets().filter(|secret| rest.starts_with(secret)).map(<[u8]>::len).max() {
                shown.extend_from_slice(REPLACEMENT);
                at += length;
            } else if secrets().any(|secret| secret.starts_with(rest)) {
                break;
            } else {
                shown.extend(rest.first());
                at += 1;
            }
        }
        self.held.drain(..at);
        shown
    }

    /// What was held back, at the end: the beginning of a secret is not one.
    fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

const REPLACEMENT: &[u8] = b"***";
/// How long output is waited for after the command has ended.
const LINGER: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &[&str], chunks: &[&str]) -> String {
        let secrets: Vec<_> = secrets.iter().map(|text| SecretString::from((*text).to_owned())).collect();
        let mut mask = Mask::new(&secrets);
        let mut shown: Vec<u8> = chunks.iter().flat_map(|chunk| mask.pass(chunk.as_bytes())).collect();
        shown.extend(mask.finish());
        String::from_utf8(shown).unwrap()
    }

    #[test]
    fn a_token_is_replaced_wherever_the_output_is_cut() {
        let text = "a secret-one b secret-one-more c";
        for cut in 0..text.len() {
            let (before, after) = text.split_at(cut);
            let shown = masked(&["secret-one", "secret-one-more"], &[before, after]);
            assert!(!shown.contains("secret"), "{cut}: {shown}");
            assert!(shown.starts_with("a *** b ***") && shown.ends_with(" c"), "{cut}: {shown}");
        }
    }

    #[test]
    fn what_is_no_token_is_shown_at_once() {
        let mut mask = Mask::new(&[SecretString::from("secret".to_owned())]);
        assert_eq!(mask.pass(b"password: "), b"password: ");
        assert_eq!(mask.pass(b"sec"), b"");
        assert_eq!(mask.pass(b"ond"), b"second");
        assert_eq!(masked(&["secret"], &["secre"]), "secre");
        assert_eq!(masked(&[""], &["x"]), "x");
    }
}
