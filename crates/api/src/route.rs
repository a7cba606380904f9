//! A route: how it is called, by whom, what for, what it answers; and what serves it.
//!
//! One value feeds both the server and its description. What a route reads (its query, its body, whether it wants a
//! caller) is taken from the parameters of its handler, so that it cannot be told wrongly; the rest cannot be left out:
//! a route without a purpose or an answer does not compile.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use carnet_engine::{Broker, Pace};
use carnet_model::Code;
use http::Method;
use schemars::JsonSchema;

use crate::body::{Json, Said};
use crate::call::Call;
use crate::path::Path;
use crate::query::Query;
use crate::shape::Shape;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Anybody, without a credential.
    Anybody,
    /// A workload, by its identity token.
    Workload,
    /// A person, by an access token.
    Person,
    /// Either of the two.
    Both,
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{names}` for what differs.
    pub path: &'static str,
    /// Who may call it.
    pub callers: Callers,
    /// What it is for, in a sentence.
    pub purpose: &'static str,
    pub(crate) told: Told,
    pub(crate) answers: BTreeMap<u16, Content>,
    /// Refusals besides those that its form brings about.
    pub(crate) refusals: Vec<Code>,
    pub(crate) handler: MethodRouter<Broker>,
}

/// What an answer holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Nothing.
    None,
    /// JSON.
    Json(Shape),
    /// Something else: its media type.
    Other(&'static str),
}

impl From<Shape> for Content {
    fn from(shape: Shape) -> Self {
        Self::Json(shape)
    }
}

/// A route that does not say yet what it answers.
pub(crate) struct Unanswered(Route);

impl Unanswered {
    /// What it answers if all goes well.
    pub(crate) fn gives(self, status: u16, content: impl Into<Content>) -> Route {
        self.0.or(status, content)
    }
}

impl Route {
    /// What it may answer too.
    pub(crate) fn or(mut self, status: u16, content: impl Into<Content>) -> Self {
        self.answers.insert(status, content.into());
        self
    }

    /// Counts among what is read, whatever its method.
    pub(crate) fn reads(mut self) -> Self {
        self.handler = self.handler.layer(Extension(Pace::Read));
        self
    }

    /// Refusals that come of more than the form of the request.
    pub(crate) fn refuses(mut self, codes: &[Code]) -> Self {
        self.refusals.extend(codes);
        self
    }
}

/// What the parameters of a handler say about its route.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) wants_caller: bool,
    pub(crate) query: Option<Shape>,
    pub(crate) body: Option<Shape>,
    /// The media types of a body that is not JSON.
    pub(crate) upload: &'static [&'static str],
}

/// A parameter of a handler.
pub(crate) trait Parameter {
    fn tell(_: &mut Told) {}
}

impl<S> Parameter for State<S> {}

impl<T> Parameter for Path<T> {}

impl Parameter for Call {
    fn tell(told: &mut Told) {
        told.wants_caller = true;
    }
}

impl<T: JsonSchema> Parameter for Query<T> {
    fn tell(told: &mut Told) {
        told.query = Some(Shape::of::<T>());
    }
}

impl<T: JsonSchema> Parameter for Json<T> {
    fn tell(told: &mut Told) {
        told.body = Some(Shape::of::<T>());
    }
}

impl<T: JsonSchema> Parameter for Said<T> {
    fn tell(told: &mut Told) {
        Json::<T>::tell(told);
    }
}

/// The parameters of a handler, as axum has them: a marker first.
pub(crate) trait Parameters {
    fn told() -> Told;
}

impl Parameters for ((),) {
    fn told() -> Told {
        Told::default()
    }
}

macro_rules! parameters {
    ($($name:ident),+) => {
        impl<Marker, $($name: Parameter),+> Parameters for (Marker, $($name,)+) {
            fn told() -> Told {
                let mut told = Told::default();
                $($name::tell(&mut told);)+
                told
            }
        }
    };
}

parameters!(A);
parameters!(A, B);
parameters!(A, B, C);
parameters!(A, B, C, D);
parameters!(A, B, C, D, E);
parameters!(A, B, C, D, E, F);

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident = $method:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) fn $name<H, T>(
            path: &'static str,
            callers: Callers,
            purpose: &'static str,
            handler: H,
        ) -> Unanswered
        where
            H: Handler<T, Broker>,
            T: Parameters + 'static,
        {
            Unanswered(Route {
                method: Method::$method,
                path,
                callers,
                purpose,
                told: T::told(),
                answers: BTreeMap::new(),
                refusals: Vec::new(),
                handler: on(MethodFilter::$method, handler),
            })
        }
    )*};
}

methods! {
    /// A route that shows something, and changes nothing.
    get = GET;
    /// A route that makes or does something.
    post = POST;
    /// A route that changes a part.
    patch = PATCH;
    /// A route that replaces.
    put = PUT;
    /// A route that removes.
    delete = DELETE;
}
