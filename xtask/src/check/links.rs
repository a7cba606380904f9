//! Links from one document of the repository to another, with their anchors.

use crate::run::root;
use crate::tree::File;

use super::at;

pub(super) fn faults(files: &[File]) -> Vec<String> {
    let pages = files.iter().filter(|file| file.extension() == "md");
    pages
        .flat_map(|page| links(page).into_iter().filter_map(|(line, link)| dead(files, page, line, link)))
        .collect()
}

fn dead(files: &[File], page: &File, line: usize, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { page.path.clone() } else { resolve(&page.path, path) };
    let target = at(files, &path);
    let there = target.is_some() || root().join(&path).exists();
    let lands = match (anchor, target) {
        (Some(anchor), Some(target)) => headings(target).any(|heading| heading == anchor),
        (Some(_), None) => false,
        (None, _) => there,
    };
    (!lands).then(|| format!("{}:{line}: `{link}` leads nowhere", page.path))
}

/// The targets of `[text](target)` outside code.
fn links(page: &File) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in prose(page) {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let Some((link, beyond)) = after.split_once(')') else { break };
            found.push((number, link));
            rest = beyond;
        }
    }
    found
}

fn prose(page: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    page.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The anchors of the headings, made as forges make them: lower case, punctuation dropped, spaces to hyphens.
fn headings(page: &File) -> impl Iterator<Item = String> {
    prose(page).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

fn resolve(page: &str, link: &str) -> String {
    let mut folders: Vec<&str> = page.split('/').collect();
    folders.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(folders.pop()),
            name => folders.push(name),
        }
    }
    folders.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn links_are_followed_to_the_file_and_the_heading() {
        let text = "# A title, here\n[x](b.md) [y](../README.md#the-job) [z](#a-title-here) [w](https://example.com/q)\n\
                    [gone](c.md)\n[no heading](../README.md#nothing)\n```\n[code](d.md)\n```\n";
        let files = [file("docs/a.md", text), file("docs/b.md", ""), file("README.md", "## The job\n")];
        assert_eq!(
            faults(&files),
            ["docs/a.md:3: `c.md` leads nowhere", "docs/a.md:4: `../README.md#nothing` leads nowhere",]
        );
    }
}
