//! How a connector looks: its icon is read here, looked at by its first bytes, and uploaded as the official command line
//! does.

use std::fs;
use std::path::Path;

use carnet_sdk::Client;

use super::context::Context;
use super::data::unreadable;
use super::failure::Failure;

/// The picture of `--icon`. One that no server would take is refused before anything is made.
pub(crate) fn picture(cx: &Context<'_>, file: Option<&Path>) -> Result<Option<Vec<u8>>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let path = cx.place.folder.join(file);
    let is_small = fs::metadata(&path).map(|file| file.len() <= LARGEST);
    let bytes = is_small.and_then(|is_small| if is_small { fs::read(&path).map(Some) } else { Ok(None) });
    let bytes = bytes.map_err(|error| unreadable(&path, &error))?;
    let why = match bytes {
        None => "is larger than 5 MiB",
        Some(bytes) if bytes.starts_with(PNG) || bytes.starts_with(JPEG) => return Ok(Some(bytes)),
        Some(_) => "is neither a PNG nor a JPEG picture",
    };
    Err(Failure::usage(format!("{} {why}.", path.display()))
        .next("--icon FILE", "with a square PNG or JPEG of at most 5 MiB"))
}

/// Uploads it; what comes back names it.
pub(crate) async fn upload(client: &Client, picture: Option<Vec<u8>>) -> Result<Option<String>, Failure> {
    match picture {
        None => Ok(None),
        Some(picture) => Ok(Some(client.upload_picture(picture).await?)),
    }
}

/// PNG 3rd edition §5.2
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// A JPEG begins with SOI and a marker.
const JPEG: &[u8] = b"\xff\xd8\xff";
const LARGEST: u64 = 5 * 1024 * 1024;
