//! Finding services.

use carnet_catalog::Catalog;

fn found(words: &str, category: Option<&str>) -> Vec<String> {
    Catalog::default().search(words, category).iter().map(|entry| entry.slug.to_string()).collect()
}

#[test]
fn a_name_comes_before_what_is_only_about_it() {
    assert_eq!(found("slack", None).first().map(String::as_str), Some("slack"));
    assert_eq!(found("GitHub", None).first().map(String::as_str), Some("github"));
    let microsoft = found("microsoft", None);
    assert_eq!(microsoft.first().map(String::as_str), Some("microsoft"));
    assert!(microsoft.contains(&"microsoft-teams".to_owned()));
    assert!(found("issues", None).contains(&"linear".to_owned()));
}

#[test]
fn every_word_has_to_fit_and_so_has_the_category() {
    assert_eq!(found("github nonsense", None), Vec::<String>::new());
    assert!(found("", Some("ai")).contains(&"anthropic".to_owned()));
    assert!(!found("", Some("ai")).contains(&"slack".to_owned()));
    assert_eq!(found("slack", Some("ai")), Vec::<String>::new());
    assert_eq!(found("", Some("nonsense")), Vec::<String>::new());
    assert_eq!(found("", None).len(), Catalog::default().all().count());
}
