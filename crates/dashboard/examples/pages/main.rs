//! Writes every page as a file, with its assets, so that a browser can look at them:
//!
//! ```sh
//! cargo run -p carnet-dashboard --example pages -- DIR && python3 -m http.server -d DIR
//! ```

mod samples;

use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use http::Response;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args().nth(1) else { return Err("usage: pages DIR".into()) };
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder.join("assets"))?;
    let mut index = String::from("<!doctype html><title>Pages</title>");
    for (name, page) in samples::pages(&str::to_owned) {
        let html = Response::from(page).into_body();
        keep_assets(folder, &html)?;
        std::fs::write(folder.join(format!("{name}.html")), html)?;
        writeln!(index, "<p><a href=\"{name}.html\">{name}</a>")?;
    }
    std::fs::write(folder.join("index.html"), index)?;
    Ok(())
}

/// Writes the assets that `text` names, and those that they name.
fn keep_assets(folder: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    for name in text.split("\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()) {
        let asset = carnet_dashboard::asset(name).ok_or("an asset is named that is not there")?;
        std::fs::write(folder.join("assets").join(name), asset.bytes)?;
        keep_assets(folder, std::str::from_utf8(asset.bytes).unwrap_or_default())?;
    }
    Ok(())
}
