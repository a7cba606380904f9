//! The identity crate as its users see it: tokens in, decisions out.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod controls;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod families;
#[cfg(test)]
mod forge;
#[cfg(test)]
mod issuer;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod trust;
