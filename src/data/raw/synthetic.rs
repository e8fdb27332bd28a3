//! placeholder
use super::{Context, Raw};
use crate::data::error::Error;
use crate::experiment::SyntheticSpec;
pub(crate) fn read(_spec: &SyntheticSpec, _context: Context<'_>) -> Result<Raw, Error> {
    todo!()
}
