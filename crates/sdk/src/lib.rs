//! The Rust client of Carnet
