//! The files of `catalog/`, an operator's own files, and what comes of a file for a connector.

#![cfg(test)]

mod files;
mod overlay;
mod plan;
mod search;
mod words;
