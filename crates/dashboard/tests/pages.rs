//! What a browser gets: every page, with friendly and with hostile texts.

#[path = "../examples/pages/samples.rs"]
mod samples;

#[cfg(test)]
#[path = "pages/markup.rs"]
mod markup;

#[cfg(test)]
#[path = "pages/hostile.rs"]
mod hostile;

#[cfg(test)]
#[path = "pages/headers.rs"]
mod headers;

#[cfg(test)]
#[path = "pages/said.rs"]
mod said;
