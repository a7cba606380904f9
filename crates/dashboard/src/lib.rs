//! HTML for people: the consent family and what frames it
