//! A person's browser: cookies, forms, links. It follows no redirect by itself, so that a test sees each step.

use std::collections::BTreeMap;

use http::header::SET_COOKIE;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::http::{Answer, Http};

/// One browser. Cookies are kept by name, as all servers of a test are on one host.
#[derive(Clone, Default)]
pub struct Browser {
    http: Http,
    /// The cookies.
    pub cookies: BTreeMap<String, String>,
    /// Headers that every request has besides.
    pub headers: Vec<(&'static str, &'static str)>,
}

impl Browser {
    /// Opens a page.
    pub async fn get(&mut self, url: &str) -> Answer {
        self.send("GET", url, "").await
    }

    /// Asks for what a page would be sent with, and not for the page.
    pub async fn head(&mut self, url: &str) -> Answer {
        self.send("HEAD", url, "").await
    }

    /// Posts a form.
    pub async fn post(&mut self, url: &str, fields: &[(&str, &str)]) -> Answer {
        let form = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send("POST", url, &form).await
    }

    async fn send(&mut self, method: &str, url: &str, body: &str) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers: Vec<(&str, &str)> = self.headers.clone();
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        if method == "POST" {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let answer = self.http.send(method, url, &headers, body.to_owned()).await;
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    /// Decides on our page: `allow` or `deny`. The answer leads to the provider, or ends it.
    pub async fn decide(&mut self, url: &str, decision: &str) -> Answer {
        let page = self.get(url).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let form_token = page.hidden("form_token");
        self.post(url, &[("form_token", &form_token), ("decision", decision)]).await
    }

    /// Says yes on our page; what comes back is the provider's address.
    pub async fn leave(&mut self, url: &str) -> String {
        let answer = self.decide(url, "allow").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.link()
    }

    /// Decides at the provider, as `person` (`ada` or `grace`); what comes back is our callback's address.
    pub async fn at_provider(&mut self, url: &str, decision: &str, person: &str) -> String {
        let page = self.get(url).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let seal = page.hidden("seal");
        let fields = [("seal", seal.as_str()), ("decision", decision), ("person", person)];
        let answer = self.post(url, &fields).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        answer.header("location").unwrap().to_owned()
    }

    /// Pastes a key on our page.
    pub async fn paste(&mut self, url: &str, key: &str) -> Answer {
        let page = self.get(url).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let form_token = page.hidden("form_token");
        self.post(url, &[("form_token", &form_token), ("decision", "allow"), ("key", key)]).await
    }

    /// The whole walk, with a yes everywhere; what comes back is the last page, or the way to the application.
    pub async fn consent(&mut self, url: &str, person: &str) -> Answer {
        let provider = self.leave(url).await;
        let callback = self.at_provider(&provider, "allow", person).await;
        self.come_back(&callback).await
    }

    /// Opens our callback, and the clean page of ours to which it leads, if it leads to one.
    pub async fn come_back(&mut self, callback: &str) -> Answer {
        let answer = self.get(callback).await;
        match answer.header("location") {
            Some(path) if answer.status == 303 && path.starts_with('/') => {
                let clean = Url::parse(callback).unwrap().join(path).unwrap();
                self.get(clean.as_str()).await
            }
            _ => answer,
        }
    }
}

impl Answer {
    /// The value of a hidden field.
    #[track_caller]
    pub fn hidden(&self, name: &str) -> String {
        let page = self.text();
        let after = page.split(&format!("name=\"{name}\" value=\"")).nth(1);
        let value = after.and_then(|rest| rest.split('"').next());
        unescaped(value.unwrap_or_else(|| panic!("no field {name}: {page}")))
    }

    /// Where the page's main button leads.
    #[track_caller]
    pub fn link(&self) -> String {
        let page = self.text();
        let after = page.split("class=\"btn main\" href=\"").nth(1);
        let value = after.and_then(|rest| rest.split('"').next());
        unescaped(value.unwrap_or_else(|| panic!("no link: {page}")))
    }
}

/// Text as it stands in HTML, read back.
pub fn unescaped(html: &str) -> String {
    let pairs =
        [("&#38;", "&"), ("&amp;", "&"), ("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">")];
    pairs.iter().fold(html.to_owned(), |text, (from, to)| text.replace(from, to))
}
