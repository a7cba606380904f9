//! How a connector looks: a picture that was uploaded, and two colours.

use carnet_model::connector::Branding;
use carnet_model::{Code, Fault, Id, kind};
use carnet_store::pictures;

use crate::broker::Broker;
use crate::faults;

impl Broker {
    /// The branding as it is stored, if every part of it is well-formed and the picture was uploaded.
    pub(super) async fn branding(&self, team: Id<kind::Team>, branding: Branding) -> Result<Branding, Fault> {
        check_branding(&branding)?;
        let icon = branding.icon.map(|sha1| sha1.to_ascii_lowercase());
        if let Some(sha1) = &icon
            && !pictures::is_there(&self.inner.db, team, sha1).await.map_err(faults::store)?
        {
            return Err(Fault::new(
                Code::InvalidRequest,
                "icon names no picture of this team. Upload it to /v2/files first.",
            )
            .with("field", "icon"));
        }
        Ok(Branding { icon, ..branding })
    }
}

pub(super) fn check_branding(branding: &Branding) -> Result<(), Fault> {
    let colour = |text: &String| {
        text.len() == 7 && text.starts_with('#') && text.bytes().skip(1).all(|b| b.is_ascii_hexdigit())
    };
    let sha1 = |text: &String| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let bad = [
        (
            "icon",
            branding.icon.as_ref().is_none_or(sha1),
            "the SHA-1 of an uploaded picture, 40 hexadecimal digits",
        ),
        ("backgroundColor", branding.background_color.as_ref().is_none_or(colour), "#RRGGBB"),
        ("accentColor", branding.accent_color.as_ref().is_none_or(colour), "#RRGGBB"),
    ];
    match bad.into_iter().find(|(_, sound, _)| !sound) {
        Some((field, _, form)) => {
            Err(Fault::new(Code::InvalidRequest, format!("{field} is {form}.")).with("field", field))
        }
        None => Ok(()),
    }
}
