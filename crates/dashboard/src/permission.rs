//! What a scope means to a person, and what follows that an app will not be able to do.

use crate::label::Label;

/// One scope that the app asks for, or has already.
#[derive(Clone, Debug)]
pub struct Permission {
    /// As the provider names it.
    pub scope: Label,
    /// What it means; `None` if the catalog does not say.
    pub words: Option<Words>,
}

/// The catalog's description of a scope.
#[derive(Clone, Debug)]
pub struct Words {
    /// What can be done with it, as it follows "It will be able to": "Create issues".
    pub can: Label,
    /// Whether things can be deleted with it.
    pub deletes: bool,
    /// Whether members or settings can be changed with it.
    pub manages: bool,
    /// Whether it was read at the service itself. What follows from a guess is not promised to anybody.
    pub sure: bool,
}

impl Permission {
    pub(crate) fn deletes(&self) -> bool {
        self.words.as_ref().is_some_and(|words| words.deletes)
    }
}

/// What follows from all scopes together. `None` as soon as one of them is unknown or nobody is sure of its words, or
/// there is none at all: then nothing can be ruled out.
pub(crate) fn ruled_out<'a>(
    scopes: impl Iterator<Item = &'a Permission>,
    service: &Label,
) -> Option<Vec<String>> {
    let known = scopes.map(|permission| permission.words.as_ref()).collect::<Option<Vec<_>>>()?;
    if known.is_empty() || !known.iter().all(|words| words.sure) {
        return None;
    }
    let deletes = known.iter().any(|words| words.deletes);
    let manages = known.iter().any(|words| words.manages);
    let mut out = Vec::new();
    match (deletes, manages) {
        (false, false) => out.push("Delete anything, or manage members and settings".to_owned()),
        (false, true) => out.push("Delete anything".to_owned()),
        (true, false) => out.push("Manage members and settings".to_owned()),
        (true, true) => {}
    }
    out.push(format!("See your {service} password"));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(deletes: bool, manages: bool) -> Permission {
        let words = Words { can: Label::words("Read"), deletes, manages, sure: true };
        Permission { scope: Label::name("read"), words: Some(words) }
    }

    #[test]
    fn only_known_scopes_rule_anything_out() {
        let unknown = Permission { scope: Label::name("x"), words: None };
        let mut guessed = known(false, false);
        guessed.words.as_mut().unwrap().sure = false;
        let demo = Label::name("Demo");
        let says = |scopes: &[Permission]| ruled_out(scopes.iter(), &demo);
        assert_eq!(says(&[]), None);
        assert_eq!(says(&[known(false, false), unknown]), None);
        assert_eq!(says(&[known(false, false), guessed]), None);
        let both = "Delete anything, or manage members and settings";
        let password = "See your Demo password";
        assert_eq!(says(&[known(false, false)]).unwrap(), [both, password]);
        assert_eq!(says(&[known(false, false), known(false, true)]).unwrap(), ["Delete anything", password]);
        assert_eq!(says(&[known(true, false)]).unwrap(), ["Manage members and settings", password]);
        assert_eq!(says(&[known(true, false), known(false, true)]).unwrap(), [password]);
    }
}
