//! The one integration-test binary: modules of sentences about behaviour.
mod support;
