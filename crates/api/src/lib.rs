//! HTTP for programs: one file per resource, callers, problems, listener and limits
