//! Golden rows on a GPU, by the driver and the cuBLASLt that stand for the real ones: they have a say in what products are
//! multiplied as, and the examples run there unchanged.

use std::{fs, path::Path};

use crate::{
    cli::{err, forebay, out},
    cuda_place::Place,
    engine::lines,
    support::{
        examples::{changed, example},
        fake_cuda,
    },
};

/// With golden rows that may be off by this part.
fn place(options: &str, rtol: &str) -> Place {
    let place = Place::new("mlp30", options);
    let results = lines(&place.case_folder().join("expected.jsonl"));
    let results = results.into_iter().enumerate().map(|(id, mut result)| {
        result["id"] = id.into();
        format!("{result}\n")
    });
    fs::write(place.at("expected.jsonl"), results.collect::<String>()).unwrap();
    let mut text = fs::read_to_string(place.at("pipeline.yaml")).unwrap();
    text += &format!(
        "golden: {{ input: rows.jsonl, expected: expected.jsonl, rtol: {rtol}, atol: 0 }}\n"
    );
    fs::write(place.at("pipeline.yaml"), text).unwrap();
    place
}

#[test]
fn where_they_do_not_pass_with_what_auto_chose_something_more_exact_is_taken() {
    let near = place("", "0.1");
    assert!(near.off(&[]) > 1e-5);
    assert!(near.products("tf32") > 8);

    let exact = place("", "1e-5");
    let said = exact.checked(&[]);
    assert!(
        said.contains("products in fp32, the fastest within the tolerance and as exact as the golden rows need"),
        "{said}"
    );
    // Both engines.
    assert!(exact.off(&[]) < 1e-5);
    assert!(exact.products("tf32") > 0 && exact.products("fp32") > 8);
}

#[test]
fn what_is_asked_for_is_not_made_more_exact() {
    let asked = place(", precision: tf32", "1e-5");
    let said = asked.checked(&[]);
    assert!(said.contains("the golden rows in"), "{said}");
    assert_eq!(asked.products("fp32"), 0);
    assert_eq!(asked.ran("run", &[]).status.code(), Some(78));
}

#[test]
fn rows_that_no_precision_passes_are_told_as_the_most_exact_finds_them() {
    let wrong = place("", "1e-5");
    let expected = fs::read_to_string(wrong.at("expected.jsonl")).unwrap();
    let (first, rest) = expected.split_once('\n').unwrap();
    let odd = first.replace("0.79", "0.69");
    assert_ne!(odd, first);
    fs::write(wrong.at("expected.jsonl"), format!("{odd}\n{rest}")).unwrap();
    for command in ["check", "run"] {
        let output = wrong.ran(command, &[]);
        assert_eq!(output.status.code(), Some(78));
        let said = err(&output);
        assert!(said.contains("1 of 16 differ"), "{said}");
    }
    assert!(!wrong.at("out.jsonl").exists());
}

#[test]
fn verify_compares_what_would_serve_by_the_tolerance_that_it_is_given() {
    let verify = |place: &Place, more: &[&str]| {
        let file = place.at("pipeline.yaml");
        let output = forebay(&["verify", file.to_str().unwrap()])
            .args(more)
            .env("FOREBAY_LIBCUDA", fake_cuda::library())
            .env("XDG_CACHE_HOME", place.at("cache"))
            .envs([fake_cuda::with_library(), fake_cuda::NO_COMPILER])
            .output()
            .unwrap();
        output.status.code()
    };
    let near = place("", "0.1");
    assert_eq!(verify(&near, &[]), Some(0));
    assert_eq!(verify(&near, &["--rtol", "1e-6"]), Some(1));
    let exact = place("", "1e-5");
    assert_eq!(verify(&exact, &[]), Some(0));
}

/// What `check` says of a pipeline with a GPU at hand.
fn checked(file: &Path) -> String {
    let cache = tempfile::tempdir().unwrap();
    let output = forebay(&["check", file.to_str().unwrap()])
        .env("FOREBAY_LIBCUDA", fake_cuda::library())
        .env("XDG_CACHE_HOME", cache.path())
        .envs([fake_cuda::with_library(), fake_cuda::NO_COMPILER])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    out(&output)
}

#[test]
fn examples_pass_unchanged_on_a_gpu() {
    for file in [
        "penguins/pipeline.yaml",
        "penguins/pipeline.steps.yaml",
        "penguins/pipeline.nats.yaml",
        "income/pipeline.yaml",
        "digits/pipeline.yaml",
        "margin/pipeline.yaml",
        "margin/pipeline.model.yaml",
    ] {
        let said = checked(&example(file));
        assert!(said.contains(" runs on cuda:0 ("), "{file}: {said}");
        let golden = fs::read_to_string(example(file))
            .unwrap()
            .contains("\ngolden:");
        assert_eq!(golden, said.contains(" rows pass"), "{file}: {said}");
    }
    // One operator of it is not the GPU's, and that is said.
    let said = checked(&example("voice/pipeline.yaml"));
    assert!(said.contains("runs on cpu (not on cuda:0: node "), "{said}");
}

/// What is said of an example with a large model, in batches of one row and in one precision: more is too much for a stand-in.
fn large(file: &str, rows: &str, model: &str) {
    let rows = format!("max_rows: {rows},");
    let (path, exact) = (
        format!("{model}: {{ path"),
        format!("{model}: {{ precision: fp32, path"),
    );
    let few = [(&*rows, "max_rows: 1,"), (&*path, &*exact)];
    let pipeline = changed(file, &few);
    let said = checked(&pipeline.file);
    assert!(said.contains(" runs on cuda:0 ("), "{file}: {said}");
    assert!(said.contains(" rows pass"), "{file}: {said}");
}

#[test]
fn files_pass_on_a_gpu() {
    large("filetype/pipeline.yaml", "64", "magika");
}

#[test]
fn lines_of_text_pass_on_a_gpu() {
    large("textline/pipeline.yaml", "8", "paddleocr");
}

#[test]
fn sentences_pass_on_a_gpu() {
    large("sentences/pipeline.yaml", "16", "minilm");
}
