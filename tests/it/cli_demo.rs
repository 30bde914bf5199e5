//! The demo as a user sees it: real rows, a real server, a real model, and nothing left of it.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::cli::{err, forebay, out, run};

/// The first number after `word`.
fn number_after(text: &str, word: &str) -> f64 {
    let rest = text.split(word).nth(1).expect(word);
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.' || *c == ',')
        .filter(|c| *c != ',')
        .collect();
    digits.parse().expect(word)
}

#[test]
fn every_row_comes_back_once_with_the_accuracy_of_the_model() {
    let started = Instant::now();
    let output = run(&["demo", "--seconds", "2", "--rate", "1000/s"]);
    let text = out(&output);
    assert!(output.status.success(), "{text}{}", err(&output));
    assert!(!err(&output).contains("WARN"), "{}", err(&output));
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(text.contains("each has exactly one"), "{text}");
    let first = number_after(&text, "the first result was there");
    assert!(first < 5.0, "{text}");
    let accuracy = number_after(&text, "accuracy");
    assert!((80.0..87.0).contains(&accuracy), "{text}");
    assert!(text.contains("/metrics"), "{text}");
    for command in [" check ", " new ", " run "] {
        assert!(text.contains(command), "{text}");
    }
}

#[test]
fn even_a_killed_demo_leaves_no_server_behind() {
    let temporary = tempfile::tempdir().expect("a folder");
    let mut demo = forebay(&["demo", "--seconds", "60", "--rate", "100/s"])
        .env("TMPDIR", temporary.path())
        .spawn()
        .expect("runs");
    let mut said = BufReader::new(demo.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.starts_with("NATS is at nats://") {
        line.clear();
        let read = said.read_line(&mut line).expect("readable");
        assert!(read > 0, "the demo says where its server is");
    }
    let address = line
        .trim_start_matches("NATS is at nats://")
        .split(',')
        .next()
        .expect("an address");
    assert!(TcpStream::connect(address).is_ok());
    let left = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(temporary.path()).expect("readable");
        entries
            .map(|entry| entry.expect("an entry").path())
            // ONNX Runtime keeps a file `.ses` of its own there.
            .filter(|path| path.is_dir())
            .collect()
    };
    assert_eq!(left().len(), 1, "{:?}", left());

    demo.kill().expect("can be killed");
    demo.wait().expect("is dead");
    let killed = Instant::now();
    while TcpStream::connect(address).is_ok() || !left().is_empty() {
        assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", left());
        std::thread::sleep(Duration::from_millis(10));
    }
}
