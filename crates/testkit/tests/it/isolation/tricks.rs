//! Paths that are written so that somebody reads them otherwise.

use carnet_testkit::Kit;

use super::examples::Names;
use super::{operations, strangers};

/// Each name in each path, written in every odd way. Whoever calls, none of it means anything.
pub(crate) async fn by(kit: &Kit, names: &Names, who: &str, bearer: &str) {
    let is_owner = bearer == kit.tenant.token;
    for operation in operations() {
        for part in operation.parameters() {
            let meant = names.of(part);
            let other = if part == "connector" { names.of("project") } else { names.of("connector") };
            let long = "a".repeat(6_000);
            for (trick, written) in [
                ("dots", "..".to_owned()),
                ("a dot", ".".to_owned()),
                ("coded dots", "%2e%2e".to_owned()),
                ("dots and a slash before it", format!("..%2f{meant}")),
                ("a slash behind it", format!("{meant}%2f")),
                ("dots behind it", format!("{meant}%2f..%2f{meant}")),
                ("double coding", format!("%25{:02x}{}", meant.as_bytes()[0], &meant[1..])),
                ("another case", swapped(meant)),
                ("another thing's identifier", other.to_owned()),
                ("a space before it", format!("%20{meant}")),
                ("a parameter behind it", format!("{meant};x=y")),
                ("nothing behind it", format!("{meant}%00")),
                ("a new line behind it", format!("{meant}%0a")),
                ("no text", "%ff%fe".to_owned()),
                ("a wildcard", "%25".to_owned()),
                ("a quote", format!("{meant}'%20or%20'1'='1")),
                ("far too much", long),
            ] {
                // Services are found in any case.
                if written == meant || part == "service" && trick == "another case" {
                    continue;
                }
                let name = format!("{who}: {}: {trick}", operation.name());
                let tricked = names.with(part, &written);
                let answer = operation.call(kit, Some(bearer), &tricked).await;
                // What a new thing may be called is for its owner to say.
                let makes =
                    is_owner && matches!(operation.method.as_str(), "POST" | "PUT") && answer.status < 300;
                assert!(
                    makes || (400..500).contains(&answer.status),
                    "{name}: {} {}",
                    answer.status,
                    answer.text()
                );
                if !is_owner {
                    // What the caller brought along may be said back.
                    let said = operation.parameters().iter().fold(answer.text(), |said, part| {
                        said.replace(tricked.of(part), "").replace(names.of(part), "")
                    });
                    strangers::leaks_nothing(kit, names, &name, who, &said);
                }
            }
        }
    }
}

fn swapped(text: &str) -> String {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(swap).collect()
}
