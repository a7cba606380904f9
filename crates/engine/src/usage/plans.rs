//! Plans: what a team's token requests cost, where they end, and how fast they may come. Data, not code.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use carnet_model::{Id, kind};
use serde::{Deserialize, Serialize};

/// One plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Token requests of a month that cost nothing; `None` for any number.
    pub included: Option<u32>,
    /// What requests beyond that cost.
    pub price: Option<Price>,
    /// Whether requests beyond what is included are refused until the month is over.
    #[serde(default)]
    pub stops: bool,
    /// Reads of a team in a minute, token requests among them; `None` for any number.
    pub reads: Option<NonZeroU32>,
    /// Writes of a team in a minute; `None` for any number.
    pub writes: Option<NonZeroU32>,
}

/// So many cents for so many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Cents of a US dollar.
    pub cents: u32,
    /// For so many.
    pub requests: NonZeroU32,
}

/// The plans of a deployment, and which team has which.
#[derive(Clone, Debug)]
pub struct Plans {
    known: BTreeMap<String, Plan>,
    usual: String,
    teams: BTreeMap<Id<kind::Team>, String>,
}

/// Why plans cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadPlans {
    /// A name that no plan has.
    #[error("there is no plan {0:?}; the plans are {1}")]
    Unknown(String, String),
    /// Neither a name nor a number of requests at which it could stop.
    #[error("the plan {0:?} stops, and does not say after how many requests: set included")]
    StopsNowhere(String),
    /// No team has this name.
    #[error("{0:?} is no team's identifier: team_ and 22 letters or digits, as `carnet whoami` shows it")]
    Team(String),
}

impl Default for Plans {
    /// Every team asks as often as it likes.
    fn default() -> Self {
        Self { known: built_in(), usual: UNLIMITED.to_owned(), teams: BTreeMap::new() }
    }
}

impl Plans {
    /// The built-in plans, with those of the operator added or put in their place; the one that teams have, and the one
    /// that some teams have instead, by their identifier.
    pub fn new(
        own: BTreeMap<String, Plan>,
        usual: Option<String>,
        teams: &BTreeMap<String, String>,
    ) -> Result<Self, BadPlans> {
        let mut known = built_in();
        known.extend(own);
        if let Some((name, _)) = known.iter().find(|(_, plan)| plan.stops && plan.included.is_none()) {
            return Err(BadPlans::StopsNowhere(name.clone()));
        }
        let named = |name: &String| {
            if known.contains_key(name) {
                return Ok(name.clone());
            }
            let names = known.keys().cloned().collect::<Vec<_>>().join(", ");
            Err(BadPlans::Unknown(name.clone(), names))
        };
        let usual = usual.as_ref().map_or_else(|| Ok(UNLIMITED.to_owned()), named)?;
        let teams = teams
            .iter()
            .map(|(team, plan)| {
                let id = Id::parse(team).map_err(|_| BadPlans::Team(team.clone()))?;
                Ok((id, named(plan)?))
            })
            .collect::<Result<_, BadPlans>>()?;
        Ok(Self { known, usual, teams })
    }

    /// A team's plan, and its name.
    pub fn of(&self, team: Id<kind::Team>) -> (&str, Plan) {
        let name = self.teams.get(&team).unwrap_or(&self.usual);
        (name, self.known.get(name).copied().unwrap_or_default())
    }
}

impl Plan {
    /// How many token requests of a month are answered, if there is an end to them.
    pub fn most(&self) -> Option<i64> {
        self.included.filter(|_| self.stops).map(i64::from)
    }

    /// What so many requests of a month cost, in cents, a begun one for a whole.
    pub fn cents(&self, requests: i64) -> i64 {
        let Some(price) = self.price else { return 0 };
        let beyond = (requests - self.included.map_or(requests, i64::from)).max(0);
        let cents = i128::from(beyond) * i128::from(price.cents);
        let per = i128::from(price.requests.get());
        i64::try_from((cents + per - 1) / per).unwrap_or(i64::MAX)
    }
}

/// A file that cannot be read leaves the one plan that limits nothing, and fails the test below.
fn built_in() -> BTreeMap<String, Plan> {
    toml::from_str(include_str!("../../plans.toml"))
        .unwrap_or_else(|_| BTreeMap::from([(UNLIMITED.to_owned(), Plan::default())]))
}

const UNLIMITED: &str = "unlimited";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_plans_are_those_of_the_file() {
        let plans = built_in();
        assert_eq!(plans.keys().collect::<Vec<_>>(), ["enterprise", "hobby", "pro", "unlimited"]);
        assert_eq!(plans["unlimited"], Plan::default());
        assert_eq!(plans["hobby"].most(), Some(5000));
        assert_eq!(plans["pro"].most(), None);
    }

    #[test]
    fn what_is_beyond_the_included_costs_and_a_begun_cent_is_a_cent() {
        let plans = built_in();
        let pro = plans["pro"];
        assert_eq!(
            [0, 1, 33, 34, 10_000, 10_001, 1_000_000].map(|n| pro.cents(n)),
            [0, 1, 1, 2, 300, 301, 30_000]
        );
        assert_eq!(plans["hobby"].cents(5000), 0);
        assert_eq!(plans["unlimited"].cents(i64::MAX), 0);
        let some = Plan { included: Some(100), ..pro };
        assert_eq!([100, 101, 10_100].map(|n| some.cents(n)), [0, 1, 300]);
        assert_eq!(
            Plan {
                price: Some(Price { cents: u32::MAX, requests: NonZeroU32::MIN }),
                included: Some(0),
                ..pro
            }
            .cents(i64::MAX),
            i64::MAX
        );
    }

    #[test]
    fn a_plan_that_is_not_there_stops_the_start() {
        let nothing = BTreeMap::new;
        let unknown = Plans::new(BTreeMap::new(), Some("gold".to_owned()), &nothing());
        assert!(matches!(unknown, Err(BadPlans::Unknown(name, _)) if name == "gold"));
        let nowhere = BTreeMap::from([("own".to_owned(), Plan { stops: true, ..Plan::default() })]);
        assert!(matches!(Plans::new(nowhere, None, &nothing()), Err(BadPlans::StopsNowhere(_))));
        let team = BTreeMap::from([("acme".to_owned(), "pro".to_owned())]);
        assert!(matches!(Plans::new(BTreeMap::new(), None, &team), Err(BadPlans::Team(_))));
    }
}
