//! Opening a page in the person's browser.

use std::io;
use std::process::{Command, Stdio};

use url::Url;

use super::failure::Failure;

/// Hands the page to the desktop. The URL is one argument of the program, and no shell sees it.
pub(crate) fn open(page: &Url) -> io::Result<()> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(page.as_str()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop)
}

/// A page that may be opened: http or https, so that no answer of a server can start another program.
pub(crate) fn page(text: &str) -> Result<Url, Failure> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(Failure::new("unexpected_answer", "The server names a page that is not http or https.")
            .next("carnet doctor", "to see whether this is the right server")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_web_are_opened() {
        assert_eq!(page("https://carnet.example/authorize/car_1").unwrap().scheme(), "https");
        for text in
            ["file:///etc/passwd", "javascript:alert(1)", "--help", "", "mailto:a@b", "data:text/html,x"]
        {
            assert!(page(text).is_err(), "{text}");
        }
    }
}
