//! A scripted authorization server, a manual clock, a whole broker in a test
