//! `forebay demo`.
use super::{Failure, Globals};
/// What `demo` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {}
pub(super) fn examples() -> String {
    super::examples!("forebay demo")
}
/// Demo.
pub async fn demo(_args: Args, _globals: &Globals) -> Result<(), Failure> {
    Ok(())
}
