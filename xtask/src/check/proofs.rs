//! `docs/failure-modes.md` names a test for every row, and every test that it names exists.

use std::collections::BTreeSet;

use super::at;
use crate::tree::File;

const PAGE: &str = "docs/failure-modes.md";
/// What makes a test of each name in it: for both stores, and for each target of the fuzzer.
const MAKERS: [&str; 2] = ["on_both_engines!(", "targets! {"];

pub(super) fn faults(files: &[File]) -> Vec<String> {
    let Some(page) = at(files, PAGE) else { return vec![format!("{PAGE} is missing")] };
    let tests: BTreeSet<String> = files.iter().flat_map(tests).collect();
    let mut wrong = Vec::new();
    for (number, line) in
        page.lines().filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| situation"))
    {
        let last = line.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let named: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            wrong.push(format!("{PAGE}:{number}: names no test"));
        }
        let missing = named.into_iter().filter(|name| !tests.contains(*name));
        wrong.extend(missing.map(|name| format!("{PAGE}:{number}: there is no test {name}")));
    }
    wrong
}

/// The tests of a file, each as `crate::name`.
fn tests(file: &File) -> Vec<String> {
    let home = file.path.strip_prefix("crates/").unwrap_or(&file.path);
    let Some((home, _)) = home.split_once('/').filter(|_| file.extension() == "rs") else {
        return Vec::new();
    };
    let (mut found, mut attribute, mut inside) = (Vec::new(), false, false);
    for (_, line) in file.lines() {
        let line = line.trim();
        let maker = MAKERS.iter().find_map(|maker| line.strip_prefix(maker));
        if inside || maker.is_some() {
            let rest = maker.unwrap_or(line);
            let names = rest.split([',', ')', '}', ';']).filter_map(|part| part.split(':').next());
            let names = names.map(str::trim).filter(|name| !name.is_empty());
            found.extend(names.map(|name| format!("{home}::{name}")));
            inside = !rest.contains([')', '}']);
        } else if line.starts_with("#[") {
            attribute |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if attribute && !line.starts_with("//") {
            let name = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
            found.extend(name.map(|(name, _)| format!("{home}::{name}")));
            attribute = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_row_without_a_test_and_a_test_that_is_not_there_are_told() {
        let page = "| situation | what happens | test |\n|---|---|---|\n| a | x | `store::is` |\n| b | `not::this` | |\n\
                    | c | x | `store::on_both`, `store::not` |\n| d | x | `store::helper` |\n";
        let text = "on_both_engines!(\n    on_both,\n    too,\n);\n#[tokio::test(flavor = \"x\")]\n\
                    #[expect(y)]\nasync fn is() {}\nfn helper() {}\non_both_engines!(one, two);\ntargets! {\n    three: \"x\",\n}\n";
        let files = [file(PAGE, page), file("crates/store/tests/a.rs", text)];
        assert_eq!(
            super::tests(&files[1]),
            ["on_both", "too", "is", "one", "two", "three"].map(|name| format!("store::{name}"))
        );
        let want =
            [(4, "names no test"), (5, "there is no test store::not"), (6, "there is no test store::helper")];
        assert_eq!(faults(&files), want.map(|(line, what)| format!("{PAGE}:{line}: {what}")));
    }
}
