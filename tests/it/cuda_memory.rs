//! A GPU whose memory has not room for what a model asks for: fewer rows at once, and the same results.

use crate::{cuda_place::Place, support::fake_cuda};

/// What is left to the driver and to others.
const SPARE: u64 = 256 << 20;

/// With batches of 16 rows, as many as there are, and one engine: another would need as much for its batches.
fn place(options: &str) -> Place {
    let place = Place::with_batches("mlp30", options, 16);
    let file = place.at("pipeline.yaml");
    let text = std::fs::read_to_string(&file).expect("read");
    std::fs::write(&file, text.replace("workers: 2", "workers: 1")).expect("written");
    place
}

/// The bytes that the model takes for weights, and for batches of 16 rows.
fn takes(place: &Place, library: (&str, &str)) -> (u64, u64) {
    let most = (SPARE + 1).to_string();
    let said = place.checked(&[("FAKE_MEM", &most), library]);
    let before = |words: &str| {
        let (number, _) = said.split_once(words).expect("it says so");
        let number = number.rsplit(['(', ' ']).next().expect("a number");
        number.parse::<u64>().expect("a number")
    };
    (before(" for weights"), before(" for batches of 16 rows"))
}

#[test]
fn batches_run_in_parts_where_the_memory_is_too_small_for_them() {
    for library in [fake_cuda::NO_LIBRARY, fake_cuda::with_library()] {
        for device in ["cuda", "auto"] {
            let place = place(&format!(", device: {device}"));
            let (weights, values) = takes(&place, library);
            let enough = (SPARE + weights + values).to_string();
            let whole = place.checked(&[("FAKE_MEM", &enough), library]);
            assert!(!whole.contains("in parts"), "{whole}");
            let less = (SPARE + weights + values - 1).to_string();
            let environment = [("FAKE_MEM", less.as_str()), library];
            let parts = place.checked(&environment);
            let said = "batches of more than 8 rows run in parts: it needs ";
            assert!(parts.contains("cuda:0") && parts.contains(said), "{parts}");
            assert!(place.off(&environment) < 1e-3);
            assert!(place.calls("cuGraphLaunch") > 0);
        }
    }
}

#[test]
fn where_not_even_one_row_fits_it_is_said_what_all_would_need() {
    let place = place(", device: cuda");
    let (weights, values) = takes(&place, fake_cuda::NO_LIBRARY);
    let none = (SPARE + weights).to_string();
    let said = place.checked(&[("FAKE_MEM", &none), fake_cuda::NO_LIBRARY]);
    let needs = format!("it needs {} bytes", weights + values);
    assert!(said.starts_with("error") && said.contains(&needs), "{said}");
}

/// Another program may take the memory between the question how much there is and the moment when it is taken.
#[test]
fn what_the_driver_has_no_memory_for_after_all_is_tried_with_fewer_rows() {
    let place = place(", device: cuda, precision: fp32");
    let mut parts = 0;
    for call in 1..10 {
        let fault = format!("cuMemAlloc:{call}:2");
        let environment = [("FAKE_FAIL", fault.as_str()), fake_cuda::NO_LIBRARY];
        let said = place.checked(&environment);
        assert!(said.contains(" runs on cuda:0"), "{said}");
        parts += usize::from(said.contains("batches of more than 8 rows run in parts"));
        assert!(place.off(&environment) < 1e-4);
    }
    assert!(parts > 3, "{parts}");
}

/// Weights are on the device once, however many engines there are.
#[test]
fn weights_that_another_engine_has_there_are_not_counted_again() {
    let one = place(", device: cuda, precision: fp32");
    let (weights, values) = takes(&one, fake_cuda::NO_LIBRARY);
    assert!(weights > values, "{weights} {values}");
    let two = Place::with_batches("mlp30", ", device: cuda, precision: fp32", 16);
    let enough = (SPARE + weights + 2 * values).to_string();
    let environment = [("FAKE_MEM", enough.as_str()), fake_cuda::NO_LIBRARY];
    assert!(two.off(&environment) < 1e-4);
}
