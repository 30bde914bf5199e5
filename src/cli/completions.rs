//! `forebay completions`: the script that makes a shell complete forebay's command line.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Failure, output::Output};

/// What `completions` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay completions bash > ~/.local/share/bash-completion/completions/forebay",
        "forebay completions zsh > ~/.zfunc/_forebay   with fpath+=~/.zfunc before compinit",
        "forebay completions fish > ~/.config/fish/completions/forebay.fish",
    )
}

/// Prints the script.
///
/// # Errors
/// Standard output cannot be written.
pub fn completions(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "forebay", &mut script);
    let mut output = Output::new();
    if output.write(&[&script])?.is_gone() {
        return Ok(());
    }
    output.flush().map(drop)
}
