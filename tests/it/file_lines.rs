//! Files in and out.

use std::path::PathBuf;

use forebay::{
    message::Outcome,
    sink::file::{FileSink, FileTarget},
    source::file::{FileOptions, FileSource},
};
use tempfile::TempDir;

use crate::support::line::{Line, Step, echo};

fn source(path: PathBuf) -> FileSource {
    FileSource::new(FileOptions { path: Some(path) })
}

fn sink(path: PathBuf) -> FileSink {
    FileSink::new(FileTarget { path: Some(path) })
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_go_in_and_out_and_the_end_ends_it() {
    let dir = TempDir::new().expect("a folder");
    let (input, output) = (dir.path().join("rows.jsonl"), dir.path().join("out.jsonl"));
    let text: Vec<_> = (0..5000).map(|n| format!("{n}\n\n")).collect();
    std::fs::write(&input, text.concat()).expect("written");
    std::fs::write(&output, "before\n").expect("written");
    let line = Line::start(source(input), sink(output.clone()), |message| {
        assert_eq!(message.subject(), "rows.jsonl");
        let position = message.position.as_ref().expect("a position");
        assert_eq!(
            position.sequence,
            1 + 2 * crate::support::line::number(&message.payload) as u64
        );
        echo(message)
    });
    line.ended().await;
    let expected: Vec<_> = (0..5000).map(|n| format!("r:{n}\n")).collect();
    assert_eq!(
        std::fs::read_to_string(output).expect("read"),
        format!("before\n{}", expected.concat())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_came_to_no_end_are_an_error() {
    let dir = TempDir::new().expect("a folder");
    let input = dir.path().join("rows.jsonl");
    std::fs::write(&input, "1\n2\n3\n4\n").expect("written");
    let line = Line::start(
        source(input),
        sink(dir.path().join("out")),
        |message| match message.payload.as_ref() {
            b"2" => Step::Settle(Outcome::Retry { after: None }),
            b"3" => Step::Lose,
            _ => echo(message),
        },
    );
    let error = line
        .source
        .await
        .expect("no panic")
        .expect_err("two lines are lost");
    let error = error.message.replace(&*dir.path().to_string_lossy(), "DIR");
    insta::assert_snapshot!(error, @"2 lines of `DIR/rows.jsonl` could not be finished, the first is line 2; send them again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_opened_is_named() {
    let dir = TempDir::new().expect("a folder");
    let line = Line::start(
        source(dir.path().join("none.jsonl")),
        sink(dir.path().join("no/such/folder")),
        echo,
    );
    let show = |message: String| message.replace(&*dir.path().to_string_lossy(), "DIR");
    let error = line.source.await.expect("no panic").expect_err("no file");
    insta::assert_snapshot!(show(error.message), @"cannot read `DIR/none.jsonl`: no such file or directory");
    let error = line.sink.await.expect("no panic").expect_err("no folder");
    insta::assert_snapshot!(show(error.message), @"cannot write to `DIR/no/such/folder`: no such file or directory");

    let line = Line::start(
        source(dir.path().into()),
        sink(dir.path().join("out")),
        echo,
    );
    let error = line.source.await.expect("no panic").expect_err("a folder");
    insta::assert_snapshot!(show(error.message), @"cannot read `DIR`: it is a folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_sink() {
    let full = PathBuf::from("/dev/full");
    if !full.exists() {
        return;
    }
    let dir = TempDir::new().expect("a folder");
    let input = dir.path().join("rows.jsonl");
    std::fs::write(&input, "1\n").expect("written");
    let line = Line::start(source(input), sink(full), echo);
    let error = line.sink.await.expect("no panic").expect_err("no space");
    insta::assert_snapshot!(error, @"cannot write to `/dev/full`: no space left on device");
}
