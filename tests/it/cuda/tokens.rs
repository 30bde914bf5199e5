//! Texts of different length on the fake: rows are cut to the tokens that they have, and run beside rows that are about as long.

use std::num::NonZeroU32;

use forebay::{
    block::{Column, Table},
    contract::Field,
    engine::{
        Accuracy, Device, Engine as _, cpu::CpuEngine, cuda::product::Math, precision::Precision,
    },
    graph,
};

use super::well_known::shapes::{self, Encoder, Random};
use crate::{
    cuda_place::Place,
    support::fake_cuda,
    trim::{MOST, engine, teller, told_by},
};

const ENCODER: Encoder = Encoder {
    layers: 1,
    hidden: 24,
    heads: 3,
    inner: 40,
    words: 50,
    tokens: 64,
};
const MAX_ROWS: usize = 16;
const GPU: Device = Device::Cuda(0);

fn exact() -> Accuracy {
    Accuracy {
        precision: Precision::As(Math::Single),
        parity: NonZeroU32::new(1),
        ..Accuracy::default()
    }
}

/// What an engine says of where it runs its only step.
fn said(engine: &CpuEngine) -> String {
    engine.placed()[0].reason.clone()
}

/// Rows of so many tokens, with padding behind them or in front.
fn rows(fields: &[Field], lengths: &[usize], in_front: bool) -> Table {
    let most = fields[0].width();
    let mut random = Random::new(5);
    let mut table = Table::for_fields(fields);
    table.rows = lengths.len();
    for length in lengths {
        let mut ids: Vec<i64> = (0..*length)
            .map(|_| i64::try_from(random.below(ENCODER.words)).unwrap())
            .collect();
        let mut mask = vec![1; *length];
        for (series, row) in table.series.iter_mut().zip([&mut ids, &mut mask]) {
            row.resize(most, 0);
            if in_front {
                row.reverse();
            }
            let Column::I64(values) = &mut series.values else {
                panic!("whole numbers");
            };
            values.append(row);
        }
    }
    table
}

fn came_out(engine: &mut CpuEngine, table: &Table) -> Vec<f32> {
    let mut output = Table::default();
    engine.run(table, &mut output).unwrap();
    match &output.series[0].values {
        Column::F32(values) => values.clone(),
        other => panic!("{other:?}"),
    }
}

fn encoder() -> Vec<u8> {
    graph::to_bytes(&shapes::encoder_of_any_length(ENCODER))
}

/// Lengths of many kinds: mostly short, some as long as can be.
fn lengths(count: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed);
    let mut length = || match random.below(8) {
        0 => 1 + random.below(ENCODER.tokens),
        1 => ENCODER.tokens,
        _ => 1 + random.below(20),
    };
    (0..count).map(|_| length()).collect()
}

#[test]
fn an_encoder_gives_what_it_gives_on_the_cpu_for_texts_of_any_length() {
    for seed in 0..4 {
        let seed = seed.to_string();
        let outcome = fake_cuda::run("cuda::tokens::case_encoder", &[("FAKE_SEED", &seed)]);
        assert_eq!(
            outcome.lines(),
            "asked for; products in fp32, as asked for; general kernels, without NVRTC; 25 plans for rows of 16 to 64 tokens"
        );
    }
}

#[test]
fn it_does_so_by_the_library_and_with_kernels_of_its_own() {
    let cache = tempfile::tempdir().unwrap();
    let environment = [
        fake_cuda::with_library(),
        fake_cuda::with_compiler(),
        ("XDG_CACHE_HOME", cache.path().to_str().unwrap()),
    ];
    let outcome = fake_cuda::run("cuda::tokens::case_encoder", &environment);
    assert!(
        outcome.lines().contains("25 plans for rows of"),
        "{outcome:?}"
    );
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_encoder() {
    let model = encoder();
    let (mut cpu, fields) = engine(&model, (ENCODER.tokens, MAX_ROWS), Device::Cpu, exact());
    let (mut gpu, _) = engine(&model, (ENCODER.tokens, MAX_ROWS), GPU, exact());
    println!("\n- {}", said(&gpu));
    let some = [(1, 1), (2, 2), (5, 3), (16, 4), (40, 5), (90, 6)].map(|some| (some, false));
    for ((count, seed), in_front) in some.into_iter().chain([((5, 7), true)]) {
        let table = rows(&fields, &lengths(count, seed), in_front);
        let (expected, found) = (came_out(&mut cpu, &table), came_out(&mut gpu, &table));
        assert_eq!(expected.len(), found.len());
        let largest = expected
            .iter()
            .fold(0.0, |most: f32, it| most.max(it.abs()));
        for (at, (one, other)) in expected.iter().zip(&found).enumerate() {
            let row = at / ENCODER.hidden;
            assert!(
                (one - other).abs() <= largest * 1e-4,
                "row {row}: {one} {other}"
            );
        }
        // One row of each run went through the session too, cut as it was there.
        let compared = gpu.compared();
        let [compared] = compared.as_slice() else {
            panic!("{compared:?}")
        };
        assert!(compared.rows > 0 && compared.beyond == 0, "{compared:?}");
    }
}

#[test]
fn a_few_long_texts_do_not_make_short_ones_as_long() {
    let outcome = fake_cuda::run("cuda::tokens::case_told", &[]);
    assert_eq!(
        outcome.lines(),
        "asked for; general kernels, without NVRTC; 25 plans for rows of 16 to 64 tokens"
    );
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_told() {
    let (mut engine, fields) = engine(&teller(false), (MOST, MAX_ROWS), GPU, exact());
    println!("\n- {}", said(&engine));
    let mut told = |lengths: &[usize], left| told_by(&mut engine, &fields, lengths, left);
    for left in [false, true] {
        assert_eq!(told(&[3, 1, 8], left), [16, 16, 16]);
        // One run of a few tokens more is cheaper than two.
        assert_eq!(told(&[3, 20, 5], left), [24, 24, 24]);
        let mut lengths = [4; 65];
        lengths[11] = 60;
        let mut expected = [16; 65];
        expected[11] = 64;
        assert_eq!(told(&lengths, left), expected);
        let mixed: Vec<usize> = (1..=64).rev().collect();
        for (length, told) in mixed.iter().zip(told(&mixed, left)) {
            assert!((*length..=MOST).contains(&usize::try_from(told).unwrap()));
        }
    }
}

#[test]
fn a_model_that_gives_something_else_for_shorter_rows_gets_them_whole() {
    let outcome = fake_cuda::run("cuda::tokens::case_whole", &[]);
    assert_eq!(outcome.lines(), "asked for; general kernels, without NVRTC");
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_whole() {
    let (mut engine, fields) = engine(&teller(true), (MOST, 4), GPU, exact());
    println!("\n- {}", said(&engine));
    let told = told_by(&mut engine, &fields, &[3, 10, 2, 64, 1, 7], false);
    assert_eq!(told, [64; 6]);
}

/// What is left to the driver and to others.
const SPARE: u64 = 256 << 20;

#[test]
fn where_the_memory_is_small_fewer_tokens_run_at_once() {
    let most = (SPARE + 1).to_string();
    let none = fake_cuda::run("cuda::tokens::case_refused", &[("FAKE_MEM", &most)]);
    let said = none.lines();
    let number = |words: &str| -> u64 {
        let (before, _) = said.split_once(words).unwrap();
        before.rsplit(['(', ' ']).next().unwrap().parse().unwrap()
    };
    let (weights, values) = (number(" for weights"), number(" for batches of 16 rows"));
    let less = (SPARE + weights + values - 1).to_string();
    let outcome = fake_cuda::run("cuda::tokens::case_encoder", &[("FAKE_MEM", &less)]);
    let said = outcome.lines();
    assert!(
        said.contains("plans for rows of 16 to 64 tokens; batches of more than "),
        "{said}"
    );
    assert!(said.contains(" tokens run in parts: it needs "), "{said}");
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test around it reads that")]
fn case_refused() {
    let model = encoder();
    let loaded =
        std::panic::catch_unwind(|| engine(&model, (ENCODER.tokens, MAX_ROWS), GPU, exact()));
    let error = loaded.map(drop).unwrap_err();
    println!(
        "\n- {}",
        error.downcast::<String>().unwrap().replace('\n', " ")
    );
}

#[test]
fn two_engines_work_beside_each_other() {
    let beside = |workers: &str| {
        let place = Place::with_batches("mlp30", ", device: cuda, precision: fp32", 1);
        let file = place.at("pipeline.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace(", workers: 2", workers)).unwrap();
        let rows = std::fs::read_to_string(place.at("rows.jsonl")).unwrap();
        std::fs::write(place.at("rows.jsonl"), rows.repeat(20)).unwrap();
        let ran = place.ran("run", &[fake_cuda::NO_LIBRARY, ("FAKE_PAUSE", "1000")]);
        assert!(ran.status.success(), "{ran:?}");
        let report = place.report();
        assert_eq!(report["violations"], serde_json::json!([]));
        report["graphs_beside_others"].as_u64().unwrap()
    };
    // What looks after the device may be under way besides.
    let [one, two, default] = [", workers: 1", ", workers: 2", ""].map(beside);
    assert!(
        one < 10 && two > 40 && default > 40,
        "{one} {two} {default}"
    );
}
