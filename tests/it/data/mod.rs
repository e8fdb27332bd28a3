//! From raw files to splits.

mod golden;
