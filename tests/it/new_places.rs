//! Where `forebay new` writes, what it says when it cannot, and what to do next.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

use crate::{
    cli::{err, forebay, out},
    engine::folder,
    new_names::copies,
};

/// The program, run in a folder.
fn run_in(place: &Path, args: &[&str]) -> Output {
    forebay(args).current_dir(place).output().unwrap()
}

/// A folder with a model in it.
fn place(model: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(model);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(folder("tests/data/models/mlp30/model.onnx"), path).unwrap();
    place
}

fn succeeds(place: &Path, args: &[&str]) -> String {
    let output = run_in(place, args);
    assert!(output.status.success(), "{args:?}: {}", err(&output));
    err(&output) + &out(&output)
}

/// Exit code and words.
fn fails(place: &Path, args: &[&str]) -> String {
    let output = run_in(place, args);
    let code = output.status.code().unwrap();
    assert_ne!(code, 0, "{args:?}");
    let said = err(&output);
    assert!(
        !said.contains(".cc:") && !said.contains("panicked"),
        "{said}"
    );
    let said = said
        .trim_end()
        .replace(&format!("{}/", place.display()), "");
    format!(
        "forebay {}\n  exit {code}: {}",
        args.join(" "),
        said.replace('\n', "\n  ")
    )
}

#[test]
fn the_model_is_named_relative_to_the_file() {
    let place = place("deep in/the models/score.onnx");
    let at = place.path();
    fs::create_dir_all(at.join("sub/dir")).unwrap();
    symlink(at.join("sub/dir"), at.join("linked")).unwrap();
    let model = "deep in/the models/score.onnx";
    let absolute = at.join(model);
    let absolute = absolute.to_str().unwrap();
    for (model, file, path) in [
        (model, None, "score.onnx"),
        (
            model,
            Some("pipeline.yaml"),
            "\"deep in/the models/score.onnx\"",
        ),
        (
            model,
            Some("sub/dir/pipeline.yaml"),
            "\"../../deep in/the models/score.onnx\"",
        ),
        (
            model,
            Some("linked/other file.yaml"),
            "\"../../deep in/the models/score.onnx\"",
        ),
        (
            absolute,
            Some("sub/p.yaml"),
            "\"../deep in/the models/score.onnx\"",
        ),
    ] {
        let mut args = vec!["new", model];
        args.extend(file.map(|file| ["-o", file]).into_iter().flatten());
        let said = succeeds(at, &args);
        let file = file.unwrap_or("deep in/the models/pipeline.yaml");
        let quoted = if file.contains(' ') {
            format!("'{file}'")
        } else {
            file.to_owned()
        };
        assert_eq!(
            said,
            format!("wrote {file}; answer the questions in it, then: forebay check {quoted}\n")
        );
        let yaml = fs::read_to_string(at.join(file)).unwrap();
        assert!(
            yaml.contains(&format!("score: {{ path: {path} }}")),
            "{yaml}"
        );
        let said = succeeds(at, &["check", file]);
        assert!(said.starts_with(&format!("{file}: ok\n")), "{said}");
    }
}

#[test]
fn what_is_printed_can_be_stored_here() {
    let place = place("models/score.onnx");
    let at = place.path();
    let output = run_in(at, &["new", "models/score.onnx", "-o", "-"]);
    assert!(output.status.success());
    assert_eq!(err(&output), "");
    fs::write(at.join("printed.yaml"), &output.stdout).unwrap();
    succeeds(at, &["check", "printed.yaml"]);
    assert!(!at.join("models/pipeline.yaml").exists());
}

#[test]
fn the_editor_line_is_there_where_the_schema_is() {
    let place = place("one/score.onnx");
    let at = place.path();
    let line = |file: &str| {
        succeeds(at, &["new", "one/score.onnx", "-o", file]);
        let yaml = fs::read_to_string(at.join(file)).unwrap();
        yaml.lines().next().unwrap().to_owned()
    };
    assert!(line("one/a.yaml").starts_with("# Written by"));
    fs::write(at.join("pipeline.schema.json"), "{}").unwrap();
    assert_eq!(
        line("one/b.yaml"),
        "# yaml-language-server: $schema=../pipeline.schema.json"
    );
    assert_eq!(
        line("c.yaml"),
        "# yaml-language-server: $schema=pipeline.schema.json"
    );
}

#[test]
fn what_cannot_be_written_or_read_is_said() {
    let place = place("score.onnx");
    let at = place.path();
    fs::write(at.join("there.yaml"), "mine").unwrap();
    fs::create_dir(at.join("folder")).unwrap();
    symlink("nowhere", at.join("dangling.yaml")).unwrap();
    let mut said = vec![
        fails(at, &["new", "score.onnx", "-o", "there.yaml"]),
        fails(at, &["new", "score.onnx", "-o", "dangling.yaml"]),
        fails(at, &["new", "score.onnx", "-o", "folder"]),
        fails(at, &["new", "score.onnx", "-o", "no/such/pipeline.yaml"]),
        fails(at, &["new", "score.onnx", "-o", "there.yaml/pipeline.yaml"]),
        fails(at, &["new", "missing.onnx"]),
        fails(at, &["new", "folder"]),
        fails(at, &["new", "there.yaml"]),
    ];
    succeeds(at, &["new", "score.onnx"]);
    said.push(fails(at, &["new", "score.onnx"]));
    insta::assert_snapshot!(said.join("\n"));
    assert_eq!(fs::read_to_string(at.join("there.yaml")).unwrap(), "mine");
    // Nobody can write here; why differs from system to system.
    let said = fails(at, &["new", "score.onnx", "-o", "/proc/pipeline.yaml"]);
    assert!(
        said.contains("cannot write /proc/pipeline.yaml: "),
        "{said}"
    );
}

#[test]
fn a_folder_that_may_not_be_written_is_said() {
    let place = place("score.onnx");
    let at = place.path();
    fs::create_dir(at.join("locked")).unwrap();
    let locked = |mode| {
        Command::new("chmod")
            .args([mode, "locked"])
            .current_dir(at)
            .status()
    };
    assert!(locked("555").unwrap().success());
    // The superuser may write all the same.
    if fs::write(at.join("locked/probe"), "").is_err() {
        let said = fails(at, &["new", "score.onnx", "-o", "locked/pipeline.yaml"]);
        assert!(
            said.contains("cannot write locked/pipeline.yaml: permission denied"),
            "{said}"
        );
    }
    assert!(locked("755").unwrap().success());
}

#[test]
fn bad_models_are_refused_by_new_and_by_check() {
    let place = place("score.onnx");
    let at = place.path();
    succeeds(at, &["new", "score.onnx"]);
    let yaml = fs::read_to_string(at.join("pipeline.yaml")).unwrap();
    let mut models: Vec<_> = fs::read_dir(folder("tests/data/bad_models"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    models.sort();
    let mut said = Vec::new();
    for model in models {
        let name = model.file_name().unwrap().to_str().unwrap();
        fs::copy(&model, at.join(name)).unwrap();
        said.push(fails(at, &["new", name, "-o", "bad.yaml"]));
        assert!(!at.join("bad.yaml").exists());
        let file = format!("{name}.yaml");
        fs::write(
            at.join(&file),
            yaml.replace("path: score.onnx", &format!("path: {name}")),
        )
        .unwrap();
        said.push(fails(at, &["check", &file]));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn without_a_server_the_file_as_written_says_so() {
    let place = place("score.onnx");
    let at = place.path();
    succeeds(at, &["new", "score.onnx"]);
    let output = forebay(&["run", "pipeline.yaml"])
        .env("NATS_URL", "nats://127.0.0.1:1")
        .env("HTTP_LISTEN", "127.0.0.1:0")
        .current_dir(at)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let said = err(&output) + &out(&output);
    assert!(
        said.contains("cannot reach NATS yet; trying for 10 s"),
        "{said}"
    );
    assert!(
        said.contains("error: pipeline `score`: cannot reach NATS at nats://127.0.0.1:1: connection refused; is the server running, and is the address right?"),
        "{said}"
    );
}

/// The file with the lines of comments that begin so taken up, and with the example's fields.
fn answered(yaml: &str, offers: &[&str]) -> String {
    let taken = |line: &str| {
        let (indent, offer) = line.split_once("# ")?;
        let taken = offers.iter().any(|key| offer.starts_with(key));
        taken.then(|| format!("{indent}{offer}"))
    };
    let example = |key: &str| {
        let line = yaml.lines().find(|line| line.starts_with(key));
        line.unwrap().replacen("#  ", " ", 1)
    };
    let mut lines: Vec<String> = Vec::new();
    for line in yaml.lines() {
        if let Some(offer) = taken(line) {
            // What is offered instead of `nats` stands below it.
            if !offer.contains("pass:") {
                let nats = lines.iter().rposition(|line| line.starts_with("  nats:"));
                lines.truncate(nats.unwrap());
            }
            lines.push(offer);
        } else if line.starts_with("  X: {") {
            lines.push(example("#   height:"));
            lines.push(example("#   state:").replacen("state", "id", 1));
            lines.push("  age: { unit: a }".to_owned());
        } else {
            lines.push(line.replace("X: X", "X: [age, height]"));
        }
    }
    lines.join("\n")
}

#[test]
fn what_the_comments_offer_is_right() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    fs::write(at.join("size.onnx"), copies(&[("X", "y")], "2")).unwrap();
    succeeds(at, &["new", "size.onnx"]);
    let yaml = fs::read_to_string(at.join("pipeline.yaml")).unwrap();
    for (offer, ends) in [
        (
            "jetstream:",
            [
                "stream: ROWS",
                "sink:\n  jetstream:",
                "dead_letter:\n  jetstream:",
            ],
        ),
        (
            "reply:",
            ["source:\n  nats:", "reply: {}", "dead_letter:\n  nats:"],
        ),
    ] {
        let text = answered(&yaml, &[offer, "pass:"]);
        fs::write(at.join("answered.yaml"), &text).unwrap();
        let said = succeeds(at, &["check", "answered.yaml", "--resolved"]);
        for part in ends.into_iter().chain(["height", "unit: cm", "id"]) {
            assert!(said.contains(part), "{part}\n{said}\n{text}");
        }
    }
}
