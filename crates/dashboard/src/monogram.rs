//! The tile of a service without a picture: its initials in its colour.
//!
//! The colour stands in attributes of a drawing, because the pages allow no styles but their own. It comes from the
//! catalog or from the team that owns the connector, so that only a plain colour is taken, and the letters are light or
//! dark, whichever can be read on it.

/// Two colours, as `#rrggbb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monogram {
    /// Behind the letters.
    pub(crate) back: String,
    /// The letters.
    pub(crate) front: &'static str,
}

impl Monogram {
    /// The tile in this colour; `None` for what is none.
    pub fn of(colour: &str) -> Option<Self> {
        let digits = colour.strip_prefix('#')?;
        let plain = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| plain)?;
        let [_, red, green, blue] = number.to_be_bytes();
        let light = luminance([red, green, blue]);
        // The contrast with white and with near-black (WCAG 2.2, 1.4.3).
        let front = if 1.05 / (light + 0.05) >= (light + 0.05) / 0.0556 { "#ffffff" } else { "#111113" };
        Some(Self { back: colour.to_owned(), front })
    }
}

/// How bright a colour is, from 0 to 1 (WCAG 2.2, "relative luminance").
fn luminance(rgb: [u8; 3]) -> f64 {
    let linear = |part: u8| {
        let part = f64::from(part) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = rgb.map(linear);
    0.0722f64.mul_add(blue, 0.2126f64.mul_add(red, 0.7152 * green))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_can_be_read_on_every_colour() {
        for (colour, front) in [
            ("#4A154B", "#ffffff"),
            ("#000000", "#ffffff"),
            ("#24292f", "#ffffff"),
            ("#FFFFFF", "#111113"),
            ("#FFE01B", "#111113"),
            ("#29B5E8", "#111113"),
        ] {
            assert_eq!(Monogram::of(colour).map(|tile| tile.front), Some(front), "{colour}");
        }
    }

    #[test]
    fn what_is_no_colour_is_not_drawn() {
        for text in ["", "red", "#fff", "#12345g", "#1234567", "4A154B", "#+12345", "#4A154B\"/>", "url(#x)"]
        {
            assert_eq!(Monogram::of(text), None, "{text}");
        }
    }
}
