//! Texts that have broken other people's pages, in every place where a text from outside can stand.

use carnet_dashboard::{Instructions, PasteKey, Stage};

use crate::markup::{Tag, html, tags, text};
use crate::samples;

const TEXTS: &[&str] = &[
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</textarea></style></script><img src=x onerror=alert(1)>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<math><mi//xlink:href=\"data:x,<script>alert(4)</script>\">",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<form action=https://evil.example><button>Continue",
    "</form><form action=\"https://evil.example\">",
    "<button form=cancel name=decision value=allow>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{display:none}</style>",
    "<!-- ",
    "--><b>",
    "<![CDATA[ x ]]>",
    "<?xml version=\"1.0\"?>",
    "\" onfocus=\"alert(1)\" autofocus=\"",
    "' onmouseover='alert(1)",
    "\"><script>alert(1)</script>",
    "'><script>alert(1)</script>",
    "` onerror=alert(1) `",
    "x\" style=\"position:fixed;inset:0",
    "\"/><input name=decision value=allow>",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;",
    "&quot; onclick=&quot;alert(1)",
    "&amp;amp;",
    "&",
    "&&&&",
    "{{ 7*7 }}",
    "{% include \"page.html\" %}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "'; drop table grants; --",
    "' or '1'='1",
    "$(reboot)",
    "`reboot`",
    "../../../etc/passwd",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\\u003cscript\\u003e",
    "\u{0}<b>\u{0}",
    "\r\nset-cookie: a=b\r\n\r\n<b>",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{202e}gnp.exe",
    "\u{2066}left\u{2069}\u{2067}right",
    "\u{200b}\u{200b}\u{feff}",
    "\u{200d}",
    "Z\u{310}\u{301}\u{334}\u{33b}\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}a",
    "ﷺﷺﷺﷺﷺﷺﷺﷺﷺﷺ",
    "表ポあA鷗ŒéＢ逍Üßªąñ丂㐀𠀀",
    "مرحبا بالعالم",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\u{e0001}\u{e0041}",
    "＜script＞alert(1)＜/script＞",
    "ʺ onload=ʺ",
    "undefined",
    "null",
    "NaN",
    "0",
    "-1e999",
    "",
    " ",
    "\t\n",
    "A very long name that goes on and on without saying anything new, so that the button it stands on would push every other thing off the page if nobody had thought of cutting it, which somebody has",
    "Averyveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryveryverylongwordwithoutanybreak",
];

#[test]
fn no_text_changes_the_shape_of_a_page() {
    let shapes = |say: &dyn Fn(&str) -> String| -> Vec<(&'static str, Vec<String>)> {
        samples::pages(say)
            .into_iter()
            .map(|(name, page)| (name, tags(&html(page)).iter().map(Tag::shape).collect()))
            .collect()
    };
    let friendly = shapes(&str::to_owned);
    assert!(TEXTS.len() > 60);
    for hostile in TEXTS {
        for ((name, got), (_, want)) in shapes(&|_| (*hostile).to_owned()).iter().zip(&friendly) {
            assert_eq!(got, want, "{name} with {hostile:?}");
        }
    }
}

#[test]
fn no_text_reaches_an_address_or_another_field() {
    for hostile in TEXTS {
        for (name, page) in samples::pages(&|_| (*hostile).to_owned()) {
            for tag in tags(&html(page)) {
                for (attribute, value) in &tag.attributes {
                    let place = format!("{name}: <{} {attribute}=\"{value}\"> with {hostile:?}", tag.name);
                    match attribute.as_str() {
                        "href" | "action" => {
                            let ours = value.starts_with('/') && !value.starts_with("//");
                            let known = [
                                "https://linear.app/",
                                "https://agent.acme.dev/",
                                "https://api.slack.com/apps",
                                "https://github.com/organizations/acme/settings/apps/new?state=s",
                            ];
                            assert!(ours || known.iter().any(|start| value.starts_with(start)), "{place}");
                        }
                        "content" => {
                            let fixed = ["width=device-width, initial-scale=1", "light dark"];
                            let refresh = value.starts_with("0;url=https://linear.app/")
                                && !value.contains([' ', '"', '\'']);
                            let again = value == "5;url=/authorize/car_5PqJ0aTwXyZ3kLmN8bVc2D?waited";
                            assert!(refresh || again || fixed.contains(&value.as_str()), "{place}");
                        }
                        "value" => {
                            let typed = tag.get("type") != Some("hidden") && tag.name == "input";
                            let fixed = [
                                "form-token-of-this-browser",
                                "a-manifest",
                                "deny",
                                "allow",
                                "/account",
                                "WDJB-MJHT",
                                "https://accounts.acme.dev",
                                "248289761001",
                                "c2l4dGVlbiBieXRlcyBhdA",
                                "",
                            ];
                            let team = value.starts_with("team_4Kd0aTwXyZ3kLmN8bVc2D");
                            assert!(typed || team || fixed.contains(&value.as_str()), "{place}");
                        }
                        // What an authenticator calls the person; the script hands it on as text.
                        // And what a browser calls itself, which the browser shows as text.
                        "data-name" | "title" => {}
                        _ => assert!(hostile.len() < 3 || !value.contains(hostile), "{place}"),
                    }
                }
            }
        }
    }
}

#[test]
fn what_turns_or_hides_text_does_not_reach_the_reader() {
    for hostile in TEXTS {
        for (name, page) in samples::pages(&|_| (*hostile).to_owned()) {
            // The set-up form gives back what was typed, into a field of the person who typed it.
            if matches!(name, "setup-wrong" | "invitation-wrong" | "invitation-only-wrong") {
                continue;
            }
            let text = text(&html(page));
            let found = text.chars().find(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{feff}'));
            assert_eq!(found, None, "{name} with {hostile:?}");
        }
    }
}

#[test]
fn instructions_are_text_with_a_few_marks_whatever_is_in_them() {
    let hostile = TEXTS.iter().flat_map(|text| {
        [
            (*text).to_owned(),
            format!("- {text}\n1. {text}\n# {text}"),
            format!("**{text}** `{text}`"),
            format!("[{text}]({text}) [{text}](https://a.example/{text})"),
            format!("https://a.example/{text}"),
        ]
    });
    for instructions in hostile {
        let page = PasteKey {
            request: samples::consent(&str::to_owned, Stage::Production).request,
            instructions: Instructions::parse(&instructions),
            refused: None,
        };
        let html = html(page.render());
        tags(&html);
        let Some((_, prose)) = html.split_once("<div class=\"prose\">") else { continue };
        let prose = format!("<!doctype html>{}", prose.split_once("</div>").unwrap().0);
        for tag in tags(&prose) {
            let allowed = ["p", "ul", "ol", "li", "code", "strong", "a", "span"];
            assert!(allowed.contains(&tag.name.as_str()), "{instructions:?}: {tag:?}");
            for (attribute, value) in &tag.attributes {
                match (tag.name.as_str(), attribute.as_str()) {
                    ("a", "href") => assert!(value.starts_with("https://"), "{instructions:?}: {tag:?}"),
                    ("a", "target") => assert_eq!(value, "_blank"),
                    ("a", "rel") => assert_eq!(value, "noopener noreferrer nofollow"),
                    ("span", "class") => assert!(matches!(value.as_str(), "sr" | "dim")),
                    _ => panic!("{instructions:?}: {tag:?}"),
                }
            }
        }
    }
}
