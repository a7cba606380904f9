use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Span {
    Span::Text(text.to_owned())
}

fn link_to(text: &str, to: &str, host: Option<&str>) -> Span {
    Span::Link { text: text.to_owned(), to: to.to_owned(), host: host.map(Label::name) }
}

#[test]
fn blocks_are_read() {
    let read = Instructions::parse(
        "# Get a key\r\nOpen the page\nand sign in.\n\n1. Choose **New key**.\n2) Give it `read` only,\n   nothing else.\n\n3. Copy it.\n\n- one\n* two",
    );
    let want = [
        Block::Paragraph(vec![Span::Bold("Get a key".to_owned())]),
        Block::Paragraph(vec![text("Open the page and sign in.")]),
        Block::Steps(vec![
            vec![text("Choose "), Span::Bold("New key".to_owned()), text(".")],
            vec![text("Give it "), Span::Code("read".to_owned()), text(" only, nothing else.")],
            vec![text("Copy it.")],
        ]),
        Block::Bullets(vec![vec![text("one")], vec![text("two")]]),
    ];
    assert_eq!(read.unwrap().0, want);
}

#[test]
fn only_plain_https_links_become_links_and_each_names_its_host() {
    for (source, want) in [
        ("[Keys](https://a.example/k)", link_to("Keys", "https://a.example/k", Some("a.example"))),
        ("[https://good.example](https://evil.example/)", {
            link_to("https://good.example", "https://evil.example/", Some("evil.example"))
        }),
        ("https://a.example/k", link_to("https://a.example/k", "https://a.example/k", None)),
        ("[x](http://a.example)", text("[x](http://a.example)")),
        ("[x](javascript:alert(1))", text("[x](javascript:alert(1))")),
        ("[x](data:text/html,y)", text("[x](data:text/html,y)")),
        ("[x](https://good.example@evil.example/)", text("[x](https://good.example@evil.example/)")),
        ("[x](/authorize/car_1)", text("[x](/authorize/car_1)")),
        ("[ ](https://a.example)", text("[ ](https://a.example)")),
    ] {
        let Some(Instructions(blocks)) = Instructions::parse(source) else { panic!("{source}") };
        let [Block::Paragraph(spans)] = blocks.as_slice() else { panic!("{source}: {blocks:?}") };
        if let Span::Link { .. } = want {
            assert_eq!(spans, &[want], "{source}");
        } else {
            assert!(
                spans
                    .iter()
                    .all(|span| !matches!(span, Span::Link { to, .. } if !to.starts_with("https://"))),
                "{source}: {spans:?}"
            );
            assert!(
                !spans.iter().any(|s| matches!(s, Span::Link { host: Some(_), .. })),
                "{source}: {spans:?}"
            );
        }
    }
}

#[test]
fn a_sentence_ends_after_its_address() {
    let Some(Instructions(blocks)) = Instructions::parse("See https://a.example/k.") else { panic!() };
    let want = vec![text("See "), link_to("https://a.example/k", "https://a.example/k", None), text(".")];
    assert_eq!(blocks, [Block::Paragraph(want)]);
}

#[test]
fn what_is_not_whole_is_text() {
    for source in
        ["**bold", "`code", "[text](https://a.example", "[text]", "****", "``", "-x", "1.x", "#x", "<b>x</b>"]
    {
        let Some(Instructions(blocks)) = Instructions::parse(source) else { panic!("{source}") };
        let [Block::Paragraph(spans)] = blocks.as_slice() else { panic!("{source}: {blocks:?}") };
        let plain: String = spans
            .iter()
            .map(|span| match span {
                Span::Text(text) | Span::Code(text) | Span::Bold(text) => text.as_str(),
                Span::Link { text, .. } => text.trim_end_matches('/'),
            })
            .collect();
        assert_eq!(plain, source);
    }
    assert_eq!(Instructions::parse(" \n\t\n\u{200b}"), None);
}

proptest! {
    #[test]
    fn any_text_is_read_and_no_link_leaves_https(source in "[\\[\\]()*`# \\n.0-9a-z:/@-]{0,200}|\\PC{0,200}") {
        let blocks = Instructions::parse(&source).map(|read| read.0).unwrap_or_default();
        let lines = blocks.into_iter().flat_map(|block| match block {
            Block::Paragraph(spans) => vec![spans],
            Block::Bullets(items) | Block::Steps(items) => items,
        });
        for span in lines.flatten() {
            if let Span::Link { to, .. } = span {
                prop_assert!(to.starts_with("https://"));
            }
        }
    }
}
