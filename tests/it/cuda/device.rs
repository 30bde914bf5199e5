//! The device layer on the fake: what is right comes out right in every order, what cannot be right is refused.

use forebay::engine::cuda::device::{Argument, Caching, CudaError, Device, Launch, Priority};

use super::ring::{IMAGE, Ring, move_args, transpose};
use crate::support::fake_cuda;

const SEEDS: u32 = 40;

#[test]
fn batches_come_out_right_in_every_order() {
    for seed in 0..SEEDS {
        let outcome = fake_cuda::run(
            "cuda::device::case_ring",
            &[("FAKE_SEED", &seed.to_string())],
        );
        assert!(outcome.passed, "seed {seed}: {outcome:?}");
        assert_eq!(
            outcome.report["violations"],
            serde_json::json!([]),
            "seed {seed}"
        );
        assert_eq!(
            outcome.report["pieces_left"], 0,
            "seed {seed}: memory was not freed"
        );
        assert_eq!(outcome.report["kernels"]["move"], 40, "seed {seed}");
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_ring() {
    let device = Device::open(0).unwrap();
    assert_eq!(device.name(), "a fake of a GPU");
    let mut ring = Ring::new(&device, 3).unwrap();
    assert_eq!(ring.run(20).unwrap(), 0, "batches that came out wrong");
}

#[test]
fn what_cannot_be_right_is_refused() {
    let outcome = fake_cuda::run("cuda::device::case_refused", &[]);
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.report["violations"], serde_json::json!([]));
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_refused() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let module = device.module(&IMAGE).unwrap();
    let function = module.function("move").unwrap();
    assert_eq!(function.argument_bytes(), 152);
    let memory = device.memory(64).unwrap();
    let mut pinned = device.pinned(64, Caching::Cached).unwrap();
    let mut said = Vec::new();
    let mut say = |result: Result<(), CudaError>| said.push(result.unwrap_err().to_string());

    say(Device::open(1).map(drop));
    say(stream.copy_up(&pinned, 0..65, &memory, 0));
    say(stream.copy_up(&pinned, 0..64, &memory, 1));
    say(stream.copy_down(&memory, 0..64, &pinned, usize::MAX));
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    say(stream.fill(&memory, 2..1, 0));
    say(module.function("nothing").map(drop));
    say(device.module(b"not kernels").map(drop));
    say(device.module(&IMAGE[..15]).map(drop));

    let params = move_args([1, 1], [1, 1], [1, 1]);
    let right = Launch {
        function: &function,
        grid: [1, 1, 1],
        block: [32, 1, 1],
        shared: 0,
        params: &params,
        arguments: &[
            Argument {
                at: 0,
                memory: &memory,
                offset: 0,
            },
            Argument {
                at: 8,
                memory: &memory,
                offset: 32,
            },
        ],
    };
    stream.launch(&right).unwrap();
    say(stream.launch(&Launch {
        grid: [1, 65536, 1],
        ..right
    }));
    say(stream.launch(&Launch {
        block: [257, 1, 1],
        ..right
    }));
    say(stream.launch(&Launch {
        block: [u32::MAX, u32::MAX, 1],
        ..right
    }));
    say(stream.launch(&Launch {
        params: &params[1..],
        ..right
    }));
    let argument = |at, offset| {
        [Argument {
            at,
            memory: &memory,
            offset,
        }]
    };
    say(stream.launch(&Launch {
        arguments: &argument(145, 0),
        ..right
    }));
    say(stream.launch(&Launch {
        arguments: &argument(usize::MAX, 0),
        ..right
    }));
    say(stream.launch(&Launch {
        arguments: &argument(0, 65),
        ..right
    }));

    // The host stays off what the device may use, and the other way round.
    stream.copy_up(&pinned, 0..64, &memory, 0).unwrap();
    assert_eq!(pinned.read().unwrap()[0], 0, "the device only reads");
    say(pinned.write().map(drop));
    stream.synchronize().unwrap();
    let mut write = pinned.write().unwrap();
    write[0] = 1;
    drop(write);
    stream.copy_down(&memory, 0..64, &pinned, 0).unwrap();
    say(pinned.read().map(drop));
    stream.synchronize().unwrap();
    let read = pinned.read().unwrap();
    stream.copy_up(&pinned, 0..64, &memory, 0).unwrap();
    say(stream.copy_down(&memory, 0..64, &pinned, 0));
    drop(read);

    // No part of a graph.
    let event = device.event().unwrap();
    let graph = stream.capture(|stream| {
        say(stream.synchronize());
        say(event.record(stream));
        say(stream.wait(&event));
        say(stream.upload(&[1], &memory, 0));
        stream.fill(&memory, 0..64, 7)
    });
    let graph = graph.unwrap();
    graph.launch(&stream).unwrap();
    let mut bytes = [0; 2];
    stream.download(&memory, 62, &mut bytes).unwrap();
    assert_eq!(bytes, [7, 7]);
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("cuda_device_refused", said.join("\n"));
    });
}

#[test]
fn what_a_graph_uses_outlives_its_owner() {
    let outcome = fake_cuda::run("cuda::device::case_outlives", &[]);
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.report["violations"], serde_json::json!([]));
    assert_eq!(outcome.report["pieces_left"], 0);
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_outlives() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let output = device.memory(24).unwrap();
    let graph = {
        let module = device.module(&IMAGE).unwrap();
        let function = module.function("move").unwrap();
        let mut input = device.pinned(24, Caching::WriteCombined).unwrap();
        input.write().unwrap().copy_from_slice(&[1; 24]);
        let memory = device.memory(24).unwrap();
        stream
            .capture(|stream| {
                stream.copy_up(&input, 0..24, &memory, 0)?;
                transpose(stream, &function, [2, 3], &memory, &output)
            })
            .unwrap()
    };
    graph.launch(&stream).unwrap();
    let mut bytes = [0; 24];
    stream.download(&output, 0, &mut bytes).unwrap();
    assert_eq!(bytes, [1; 24]);
    // Work in flight when all of it is dropped, in the worst order.
    graph.launch(&stream).unwrap();
    drop(device);
    drop(output);
    drop(graph);
    drop(stream);
}

#[test]
fn a_graph_that_fails_to_record_leaves_the_stream_as_it_was() {
    let outcome = fake_cuda::run("cuda::device::case_capture_fails", &[]);
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.report["violations"], serde_json::json!([]));
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_capture_fails() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let memory = device.memory(8).unwrap();
    let error = stream
        .capture(|stream| stream.fill(&memory, 0..9, 0))
        .unwrap_err();
    assert!(error.to_string().contains("bytes 0 to 9"), "{error}");
    // What may not be asked for meanwhile breaks the graph, and nothing else.
    let error = stream.capture(|_| device.memory(8).map(drop)).unwrap_err();
    assert_eq!(error.code(), Some(901), "{error}");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _graph = stream.capture(|_| panic!("in the middle"));
    }));
    assert!(panicked.is_err());
    stream.fill(&memory, 0..8, 3).unwrap();
    stream.synchronize().unwrap();
}
