//! Texts from outside, made fit for a page and for a terminal.
//!
//! Escaping is the business of whoever writes them out. Here goes what would still deceive after it: control characters,
//! the ones that turn the direction of writing round, invisible ones, towers of accents, and sheer length.

/// Removes what deceives, makes every run of white space one space, and cuts after `most` characters.
pub fn clean(text: &str, most: usize) -> String {
    let mut out = String::new();
    let (mut length, mut marks, mut gap) = (0, 0_usize, false);
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = length > 0;
            continue;
        }
        if is_hidden(c) {
            continue;
        }
        marks = if is_mark(c) { marks + 1 } else { 0 };
        if marks > MARKS {
            continue;
        }
        if length + usize::from(gap) >= most {
            out.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            out.push(' ');
            length += 1;
        }
        out.push(c);
        length += 1;
    }
    out
}

/// One line without what deceives, its spaces as they are: what is not to be seen is left out, and what would move a
/// cursor is a space.
pub fn visible(text: &str) -> String {
    let mut marks = 0_usize;
    text.chars()
        .filter(|c| {
            marks = if is_mark(*c) { marks + 1 } else { 0 };
            !is_hidden(*c) && marks <= MARKS
        })
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Two accents on a letter occur in real names (Vietnamese); more make a tower over the lines above.
const MARKS: usize = 2;

/// Format characters, fillers and tags: nothing to see, or a change of what is seen around them. The two joiners
/// (U+200C, U+200D) stay, because Persian, Hindi and emoji are spelled with them.
pub fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffc}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether this joins what stands around it, and shows nothing by itself.
pub fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0f}')
}

/// Whether a text can be a name that people are shown: 1 to `most` characters (not bytes), something to see among them, and
/// none that deceives. What letters and emoji are spelled with stays: joiners, variation selectors, the tags of flags.
pub fn is_name(text: &str, most: usize) -> bool {
    let spells = |c| {
        is_joiner(c)
            || matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0e}' | '\u{e0020}'..='\u{e007f}'
                | '\u{e0100}'..='\u{e01ef}')
    };
    (1..=most).contains(&text.chars().count())
        && text.chars().all(|c| !c.is_control() && (!is_hidden(c) || spells(c)))
        && text.chars().any(|c| !c.is_whitespace() && !is_hidden(c) && !is_joiner(c))
}

fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_counted_in_characters_and_has_none_that_deceives() {
        let long = "日".repeat(100);
        for good in [
            "Acme",
            "é",
            &long,
            "می\u{200c}خواهم",
            "👩\u{200d}💻 ❤\u{fe0f}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        ] {
            assert!(is_name(good, 100), "{good:?}");
        }
        for bad in [
            "",
            " ",
            "\u{200d}",
            "a\u{202e}b",
            "a\u{2066}b",
            "pay\u{200b}pal",
            "\u{feff}a",
            "a\u{200f}b",
            "a\nb",
            &format!("{long}日"),
        ] {
            assert!(!is_name(bad, 100), "{bad:?}");
        }
    }

    #[test]
    fn a_line_keeps_its_spaces_and_loses_what_deceives() {
        for (from, to) in [
            ("demo/hello  Hello", "demo/hello  Hello"),
            ("nep\u{202e}gnp.exe\u{2066}x\u{2069}", "nepgnp.exex"),
            ("pay\u{200b}pal\u{feff}", "paypal"),
            ("a\u{1b}[31mb\nc", "a [31mb c"),
            ("Z\u{300}\u{301}\u{302}\u{303}a", "Z\u{300}\u{301}a"),
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
        ] {
            assert_eq!(visible(from), to, "{from:?}");
        }
    }
}
