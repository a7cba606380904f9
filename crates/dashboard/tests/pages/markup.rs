//! Reads the pages' own HTML, strictly: what it cannot read is a failure.

use std::collections::BTreeSet;

use carnet_dashboard::Page;
use http::Response;

use crate::samples;

/// A start tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Tag {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Name and attribute names: what no text may change.
    pub(crate) fn shape(&self) -> String {
        let names: Vec<_> = self.attributes.iter().map(|(name, _)| name.as_str()).collect();
        format!("{} {}", self.name, names.join(" "))
    }
}

pub(crate) fn html(page: Page) -> String {
    Response::from(page).into_body()
}

/// The start tags in order. Panics at what is not closed, quoted or nested as it should be.
pub(crate) fn tags(html: &str) -> Vec<Tag> {
    let mut rest = html.strip_prefix("<!doctype html>").expect("a doctype");
    let (mut out, mut open) = (Vec::new(), Vec::new());
    while let Some((_, after)) = rest.split_once('<') {
        let (inside, after) = after.split_once('>').expect("a tag ends");
        assert!(!inside.contains('<'), "a tag within a tag: {inside}");
        rest = after;
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "tags nest");
            continue;
        }
        let (inside, closed) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        let (name, mut left) = inside.split_once(' ').unwrap_or((inside, ""));
        let mut attributes = Vec::new();
        while !left.trim().is_empty() {
            let word = left.trim_start();
            let end = word.find([' ', '=']).unwrap_or(word.len());
            let (key, after) = word.split_at(end);
            left = after;
            let mut value = "";
            if let Some(quoted) = after.strip_prefix("=\"") {
                (value, left) = quoted.split_once('"').expect("a value ends");
            } else {
                assert!(!after.starts_with('='), "a value is quoted: {inside}");
            }
            assert!(key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-'), "{key:?}");
            attributes.push((key.to_owned(), unescape(value)));
        }
        let void = matches!(name, "meta" | "link" | "input");
        if !void && !closed {
            open.push(name.to_owned());
        }
        out.push(Tag { name: name.to_owned(), attributes });
    }
    assert_eq!(open, Vec::<String>::new(), "every tag is closed");
    out
}

/// What a reader sees: text without tags, white space as one space.
pub(crate) fn text(html: &str) -> String {
    let body = html.split_once("<body").expect("a body").1;
    let mut text = String::new();
    for (tag, after) in body.split('<').filter_map(|part| part.split_once('>')) {
        let inline = ["bdi", "/bdi", "b", "/b", "strong", "code", "/code", "span", "a"];
        if !inline.iter().any(|name| tag.split(' ').next() == Some(name)) {
            text.push(' ');
        }
        text.push_str(after);
    }
    unescape(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn unescape(text: &str) -> String {
    text.replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

#[test]
fn pages_hold_only_known_elements_and_attributes_and_nothing_inline() {
    let elements = BTreeSet::from([
        "a",
        "b",
        "bdi",
        "blockquote",
        "body",
        "button",
        "code",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "head",
        "header",
        "html",
        "input",
        "label",
        "li",
        "link",
        "main",
        "meta",
        "ol",
        "p",
        "path",
        "pre",
        "rect",
        "script",
        "section",
        "span",
        "strong",
        "summary",
        "svg",
        "text",
        "title",
        "ul",
        "var",
    ]);
    let attributes = BTreeSet::from([
        "action",
        "aria-describedby",
        "aria-hidden",
        "aria-invalid",
        "aria-label",
        "as",
        "autocapitalize",
        "autocomplete",
        "charset",
        "class",
        "content",
        "crossorigin",
        "d",
        "data-challenge",
        "data-host",
        "data-name",
        "data-passkey",
        "data-user",
        "defer",
        "fill",
        "for",
        "form",
        "height",
        "hidden",
        "href",
        "http-equiv",
        "id",
        "lang",
        "maxlength",
        "method",
        "name",
        "rel",
        "role",
        "required",
        "spellcheck",
        "src",
        "tabindex",
        "target",
        "title",
        "type",
        "value",
        "viewBox",
        "width",
        "x",
        "y",
    ]);
    for (name, page) in samples::pages(&str::to_owned) {
        for tag in tags(&html(page)) {
            assert!(elements.contains(tag.name.as_str()), "{name}: <{}>", tag.name);
            for (attribute, value) in &tag.attributes {
                assert!(attributes.contains(attribute.as_str()), "{name}: {attribute}");
                if attribute == "src" {
                    assert!(value.starts_with("/assets/"), "{name}: {value}");
                }
                if matches!(attribute.as_str(), "href" | "action") {
                    assert!(value.starts_with("https://") || value.starts_with('/'), "{name}: {value}");
                    assert!(!value.starts_with("//"), "{name}: {value}");
                }
            }
        }
    }
}

#[test]
fn every_page_can_be_read_aloud_and_walked_by_keyboard() {
    for (name, page) in samples::pages(&str::to_owned) {
        let html = html(page);
        let tags = tags(&html);
        let count = |element: &str| tags.iter().filter(|tag| tag.name == element).count();
        assert_eq!((count("title"), count("main"), count("h1")), (1, 1, 1), "{name}");
        assert_eq!(tags[0].get("lang"), Some("en"), "{name}");
        assert!(html.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0.len() > 5, "{name}");

        let ids: Vec<_> = tags.iter().filter_map(|tag| tag.get("id")).collect();
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{name}: ids are unique");
        for tag in &tags {
            for reference in
                [tag.get("for"), tag.get("aria-describedby"), tag.get("form")].into_iter().flatten()
            {
                assert!(ids.contains(&reference), "{name}: {reference}");
            }
            if tag.name == "input" && tag.get("type") != Some("hidden") {
                let id = tag.get("id").unwrap();
                assert!(
                    tags.iter().any(|tag| tag.name == "label" && tag.get("for") == Some(id)),
                    "{name}: {id}"
                );
            }
            if tag.name == "svg" {
                assert_eq!(tag.get("aria-hidden"), Some("true"), "{name}");
            }
            assert!(
                tag.get("tabindex").is_none_or(|index| index == "0"),
                "{name}: the order is that of the page"
            );
        }
        let levels: Vec<_> = tags
            .iter()
            .filter(|tag| matches!(tag.name.as_str(), "h1" | "h2" | "h3"))
            .map(|tag| &tag.name[1..])
            .collect();
        assert_eq!(levels.first(), Some(&"1"), "{name}");
    }
}

#[test]
fn the_stylesheet_knows_every_class() {
    let css = include_str!("../../assets/app.css");
    for (name, page) in samples::pages(&str::to_owned) {
        for tag in tags(&html(page)) {
            for class in tag.get("class").unwrap_or_default().split_whitespace() {
                let known = css
                    .split(&format!(".{class}"))
                    .skip(1)
                    .any(|after| after.starts_with(|c: char| !c.is_ascii_alphanumeric() && c != '-'));
                assert!(known, "{name}: .{class}");
            }
        }
    }
    assert!(!css.contains("@import") && !css.contains("//"), "nothing from elsewhere");
}
