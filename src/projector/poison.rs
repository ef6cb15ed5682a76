//! Tells a fact that cannot be applied from a database that cannot apply anything at the moment.

pub(super) use projections::is_passing;
