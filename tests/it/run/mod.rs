//! The run store: what is written is read back, and what is damaged is set aside.

mod atomic;
mod checkpoint;
mod claims;
mod process;
mod ranking;
mod rescue;
mod store;
