//! The program as a user sees it: its words and its exit codes.

use std::process::Output;

use clap::CommandFactory as _;
use forebay::cli::Cli;

pub(crate) use crate::support::program::forebay;

pub(crate) fn run(args: &[&str]) -> Output {
    forebay(args).output().expect("the program runs")
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_says_what_each_command_does() {
    for command in [
        "",
        "run",
        "bench",
        "check",
        "compile",
        "schema",
        "new",
        "verify",
        "demo",
        "doctor",
        "send",
        "tail",
        "transform",
        "completions",
    ] {
        let args: Vec<&str> = [command, "--help"]
            .into_iter()
            .filter(|arg| !arg.is_empty())
            .collect();
        let output = run(&args);
        assert!(output.status.success());
        let text = out(&output);
        assert!(text.contains("Examples:\n  forebay "), "{text}");
        assert!(text.contains("Exit codes:\n  0 "), "{text}");
        let name = if command.is_empty() { "all" } else { command };
        insta::assert_snapshot!(format!("help_{name}"), text);
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success(), "{shell}");
        assert!(out(&output).contains("onnxruntime"), "{shell}");
    }
}

#[test]
fn exit_codes_are_as_documented() {
    for (args, code, says) in [
        (&["--version"][..], 0, ""),
        (&[], 2, "Usage: forebay"),
        (&["fly"], 2, "unrecognized subcommand"),
        (&["send"], 2, "required arguments"),
        (&["tail", "a", "--log", "loud"], 2, "`loud` is no log level"),
        (
            &["send", "-", "-s", "a", "--repeat"],
            2,
            "standard input cannot be repeated",
        ),
        (&["send", "-", "-s", "a..b"], 2, "empty part"),
        (
            &["send", "-", "-s", "a", "--rate", "fast"],
            2,
            "like 1000/s",
        ),
        (
            &["send", "-", "-s", "a", "--tensor", "x:f16"],
            2,
            "`f16` is no type",
        ),
        (&["send", "-", "-s", "a", "--header", "x"], 2, "no colon"),
        (
            &["send", "-", "-s", "a", "--request", "--timeout", "0"],
            2,
            "like 5s",
        ),
        (
            &["tail", "a", "--url", "nats://a b"],
            2,
            "`nats://a b` is not the address of a NATS server",
        ),
        (
            &["send", "no/such.jsonl", "-s", "a"],
            66,
            "no/such.jsonl cannot be opened",
        ),
        (
            &["demo", "--pipeline", "no/such.yaml"],
            66,
            "no/such.yaml is not here",
        ),
        (
            &["tail", "a", "--url", "nats://me:secret@127.0.0.1:1"],
            69,
            "cannot reach NATS at nats://127.0.0.1:1",
        ),
    ] {
        let output = run(args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            err(&output)
        );
        assert!(err(&output).contains(says), "{args:?}: {}", err(&output));
        assert!(
            !err(&output).contains("secret"),
            "{args:?}: {}",
            err(&output)
        );
    }
}

#[test]
fn a_demo_without_a_server_says_where_to_get_one() {
    let output = forebay(&["demo"])
        .env("FOREBAY_NATS_SERVER", "/no/such/server")
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(69));
    assert!(
        err(&output).contains("FOREBAY_NATS_SERVER is /no/such/server"),
        "{}",
        err(&output)
    );
}

#[test]
fn a_missing_file_is_told_from_a_wrong_one() {
    let missing = "cannot read `no/such.yaml`";
    for (args, code, says) in [
        (&["check", "no/such.yaml"][..], 66, missing),
        (&["run", "no/such.yaml"], 66, missing),
        (&["check", "no/such.yaml", "Cargo.toml"], 78, missing),
        (
            &["new", "no/such.onnx", "-o", "Cargo.toml"],
            66,
            "no/such.onnx: there is no such file",
        ),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(code), "{}", err(&output));
        assert!(err(&output).contains(says), "{}", err(&output));
    }
}

#[test]
fn subjects_that_make_no_sense_are_refused_at_once() {
    for (args, says) in [
        (
            &["tail", "a.>.b"][..],
            "`>` stands for all parts that follow, so it comes last",
        ),
        (&["tail", "a.b*"], "`*` and `>` stand for whole parts"),
        (&["tail", "a..b"], "it has an empty part"),
        (&["tail", "a b"], "it has white space in it"),
        (
            &["send", "-", "--subject", "a.>.b"],
            "wildcards are for reading only",
        ),
        (
            &["send", "-", "--subject", "a.{x}.b*"],
            "wildcards are for reading only",
        ),
        (&["send", "-", "--subject", "a..b"], "it has an empty part"),
        (
            &["send", "-", "--subject", "a", "--header", ": v"],
            "its name is empty",
        ),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        assert!(err(&output).contains(says), "{}", err(&output));
    }
}

#[test]
fn a_variable_that_is_no_text_is_said_to_be_none() {
    use std::os::unix::ffi::OsStrExt as _;
    let output = forebay(&["check", "pipelines/income/pipeline.yaml"])
        .env("NATS_URL", std::ffi::OsStr::from_bytes(b"nats://\xff"))
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(78), "{}", err(&output));
    let says = "the environment variable `NATS_URL` is not UTF-8 text";
    assert!(err(&output).contains(says), "{}", err(&output));
}
