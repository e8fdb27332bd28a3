//! The files of language models: descriptions, folders, the hub.

mod config;
