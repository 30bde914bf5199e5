//! The program: reads the command line, runs the command, says how it ended.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use forebay::{
    cli::{self, Cli, Exit, Failure},
    threads,
};

fn main() -> ExitCode {
    without_telemetry();
    // Models are loaded here too, for which the system's own stack may be too small.
    let code = match threads::spawn(threads::deep("main"), run) {
        Ok(command) => command.join().unwrap_or_else(|_| {
            // The panic has said by then what happened and where.
            complain("error: this is a bug in forebay; please report the lines above");
            Exit::Bug as u8
        }),
        Err(error) => {
            complain(&format!("error: no thread can be started: {error}"));
            Exit::Failed as u8
        }
    };
    threads::end(code)
}

/// Runs the command; gives the exit code.
fn run() -> u8 {
    let cli = Cli::parse();
    let Err(error) = start(cli) else {
        return 0;
    };
    if let Some(failure) = error.downcast_ref::<Failure>() {
        complain(&failure.report());
        failure.exit() as u8
    } else {
        complain(&format!("error: {error:#}"));
        Exit::Failed as u8
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    let level = cli.log_level().to_owned();
    forebay::telemetry::logs::init(&level, cli.globals.log_format)
        .context("the logs cannot be set up")?;
    Ok(cli::dispatch(cli)?)
}

/// ONNX Runtime reports each process to its maker from the moment its environment is made, before
/// it can be told not to; only this variable, read when the library is loaded, keeps it quiet. A
/// process cannot safely change its own variables, so it starts itself anew, once.
fn without_telemetry() {
    use std::os::unix::process::CommandExt as _;
    const OFF: &str = "ORT_DISABLE_TELEMETRY";
    if std::env::var_os(OFF).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_else(|| "forebay".into());
    // Returns only where it fails; then the library's own switch must do.
    let error = std::process::Command::new(program)
        .arg0(name)
        .args(arguments)
        .env(OFF, "1")
        .exec();
    complain(&format!(
        "warning: cannot turn ONNX Runtime's telemetry off: {error}"
    ));
}

/// Says it on standard error; where that is closed there is nobody to tell.
fn complain(text: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "{text}"));
}
