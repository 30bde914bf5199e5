//! The device layer on the fake: what is right comes out right in every order, what cannot be right is refused.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use forebay::engine::cuda::{
    device::{Argument, Caching, CudaError, Device, Launch, Priority},
    kernels,
};

use super::ring::{IMAGE, Ring, move_args, transpose};
use crate::support::fake_cuda;

#[test]
fn batches_come_out_right_in_every_order() {
    for outcome in fake_cuda::right_in_every_order("cuda::device::case_ring", &[]) {
        assert_eq!(outcome.report["kernels"]["move"], 40);
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_ring() {
    let device = Device::open(0).unwrap();
    assert_eq!(device.name(), "a fake of a GPU");
    // Those that are built in are in the form that is wanted; bytes at any address are.
    let module = device.module(kernels::FATBIN).unwrap();
    assert_eq!(module.function("canary").unwrap().argument_bytes(), 16);
    let shifted = [&[0], kernels::FATBIN].concat();
    drop(device.module(&shifted[1..]).unwrap());
    let mut ring = Ring::new(&device, 3).unwrap();
    assert_eq!(ring.run(20).unwrap(), 0, "batches that came out wrong");
}

/// What the device layer says when it refuses.
#[derive(Default)]
struct Refusals(Vec<String>);

impl Refusals {
    fn add<T>(&mut self, result: Result<T, CudaError>) {
        let error = result.map(drop).unwrap_err();
        assert!(!error.is_lost());
        self.0.push(error.to_string());
    }

    fn check(&self, name: &str) {
        let settings = || {
            let mut settings = insta::Settings::clone_current();
            settings.set_snapshot_path("../snapshots");
            settings.set_prepend_module_to_snapshot(false);
            settings
        };
        settings().bind(|| insta::assert_snapshot!(name, self.0.join("\n")));
    }
}

#[test]
fn what_cannot_be_right_is_refused() {
    for case in [
        "case_refused_ranges",
        "case_refused_launches",
        "case_refused_host",
        "case_refused_graphs",
    ] {
        let outcome = fake_cuda::run(&format!("cuda::device::{case}"), &[]);
        assert!(outcome.passed, "{outcome:?}");
        assert_eq!(
            outcome.report["violations"],
            serde_json::json!([]),
            "{case}"
        );
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_refused_ranges() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let memory = device.memory(64).unwrap();
    let pinned = device.pinned(64, Caching::Cached).unwrap();
    let mut refusals = Refusals::default();
    refusals.add(Device::open(1));
    refusals.add(stream.copy_up(&pinned, 0..65, &memory, 0));
    refusals.add(stream.copy_up(&pinned, 0..64, &memory, 1));
    refusals.add(stream.copy_down(&memory, 0..64, &pinned, usize::MAX));
    refusals.add(stream.copy(&memory, 1..65, &memory, 0));
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    refusals.add(stream.fill(&memory, 2..1, 0));
    refusals.add(stream.upload(&[0; 65], &memory, 0));
    refusals.add(stream.download(&memory, 64, &mut [0]));
    refusals.add(device.module(b"not kernels"));
    refusals.add(device.module(&IMAGE[..15]));
    refusals.check("cuda_refused_ranges");
    // Nothing at the end is a range.
    stream.copy_up(&pinned, 64..64, &memory, 64).unwrap();
    stream.fill(&memory, 64..64, 0).unwrap();
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_refused_launches() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let module = device.module(&IMAGE).unwrap();
    let function = module.function("move").unwrap();
    assert_eq!(function.argument_bytes(), 152);
    let memory = device.memory(64).unwrap();
    let params = move_args([1, 1], [1, 1], [1, 1]);
    let argument = |at, offset| Argument {
        at,
        memory: &memory,
        offset,
    };
    let arguments = [argument(0, 0), argument(8, 32)];
    let right = Launch {
        function: &function,
        grid: [1, 1, 1],
        block: [32, 1, 1],
        shared: 0,
        params: &params,
        arguments: &arguments,
    };
    stream.launch(&right).unwrap();
    let mut refusals = Refusals::default();
    refusals.add(module.function("nothing"));
    let mut launch = |change: &dyn Fn(&mut Launch<'_>)| {
        let mut changed = right;
        change(&mut changed);
        refusals.add(stream.launch(&changed));
    };
    launch(&|launch| launch.grid = [1, 65536, 1]);
    launch(&|launch| launch.grid = [0, 1, 1]);
    launch(&|launch| launch.block = [257, 1, 1]);
    launch(&|launch| launch.block = [u32::MAX, u32::MAX, 1]);
    launch(&|launch| launch.shared = 228 * 1024);
    launch(&|launch| launch.params = &launch.params[1..]);
    for (at, offset) in [(145, 0), (usize::MAX, 0), (0, 65)] {
        let arguments = [argument(at, offset)];
        refusals.add(stream.launch(&Launch {
            arguments: &arguments,
            ..right
        }));
    }
    refusals.check("cuda_refused_launches");
    // More shared memory than the default is asked for.
    let most = 227 * 1024;
    stream
        .launch(&Launch {
            shared: most,
            ..right
        })
        .unwrap();
    stream.synchronize().unwrap();
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_refused_host() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let memory = device.memory(64).unwrap();
    let mut pinned = device.pinned(64, Caching::Cached).unwrap();
    let mut refusals = Refusals::default();
    stream.copy_up(&pinned, 0..64, &memory, 0).unwrap();
    assert_eq!(pinned.read().unwrap()[0], 0, "the device only reads");
    refusals.add(pinned.write());
    stream.synchronize().unwrap();
    pinned.write().unwrap()[0] = 1;
    stream.copy_down(&memory, 0..64, &pinned, 0).unwrap();
    refusals.add(pinned.read());
    refusals.add(pinned.write());
    stream.synchronize().unwrap();
    let read = pinned.read().unwrap();
    stream.copy_up(&pinned, 0..64, &memory, 0).unwrap();
    refusals.add(stream.copy_down(&memory, 0..64, &pinned, 0));
    drop(read);
    stream.synchronize().unwrap();
    // An event that comes before the work says nothing of it.
    let event = device.event().unwrap();
    event.record(&stream).unwrap();
    stream.copy_down(&memory, 0..64, &pinned, 0).unwrap();
    event.synchronize().unwrap();
    refusals.add(pinned.read());
    // One on another stream, which waits for it, does.
    let other = device.stream(Priority::Normal).unwrap();
    let (first, last) = (device.event().unwrap(), device.event().unwrap());
    first.record(&stream).unwrap();
    other.wait(&first).unwrap();
    last.record(&other).unwrap();
    last.synchronize().unwrap();
    drop(pinned.write().unwrap());
    refusals.check("cuda_refused_host");
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_refused_graphs() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let memory = device.memory(64).unwrap();
    let mut pinned = device.pinned(64, Caching::WriteCombined).unwrap();
    let event = device.event().unwrap();
    let mut refusals = Refusals::default();
    let graph = stream.capture(|stream| {
        refusals.add(stream.synchronize());
        refusals.add(event.record(stream));
        refusals.add(stream.wait(&event));
        refusals.add(stream.upload(&[1], &memory, 0));
        refusals.add(stream.capture(|_| Ok(())));
        stream.copy_up(&pinned, 0..64, &memory, 0)
    });
    let graph = graph.unwrap();
    // Recording is no use; running is.
    let mut write = pinned.write().unwrap();
    write.fill(7);
    refusals.add(graph.launch(&stream));
    drop(write);
    graph.launch(&stream).unwrap();
    refusals.add(pinned.write());
    let mut bytes = [0; 2];
    stream.download(&memory, 62, &mut bytes).unwrap();
    assert_eq!(bytes, [7, 7]);
    drop(pinned.write().unwrap());
    refusals.check("cuda_refused_graphs");
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
fn devices_are_told_apart() {
    let outcome = fake_cuda::run("cuda::device::case_two_devices", &[("FAKE_DEVICES", "2")]);
    assert!(outcome.passed, "{outcome:?}");
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_two_devices() {
    let (first, second) = (Device::open(0).unwrap(), Device::open(1).unwrap());
    let stream = first.stream(Priority::Normal).unwrap();
    let elsewhere = second.memory(8).unwrap();
    let mut refusals = Refusals::default();
    refusals.add(Device::open(2));
    refusals.add(stream.fill(&elsewhere, 0..8, 0));
    refusals.add(stream.copy(&elsewhere, 0..8, &first.memory(8).unwrap(), 0));
    refusals.add(stream.wait(&second.event().unwrap()));
    refusals.check("cuda_refused_devices");
}

#[test]
fn the_host_and_a_graph_on_two_threads_never_use_the_same_memory_at_once() {
    for seed in ["1", "2", "3"] {
        let outcome = fake_cuda::run("cuda::device::case_two_threads", &[("FAKE_SEED", seed)]);
        assert!(outcome.passed, "{outcome:?}");
        assert_eq!(outcome.report["violations"], serde_json::json!([]));
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_two_threads() {
    const BYTES: usize = 64 * 1024;
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let memory = device.memory(BYTES).unwrap();
    let mut pinned = device.pinned(BYTES, Caching::WriteCombined).unwrap();
    let graph = stream
        .capture(|stream| stream.copy_up(&pinned, 0..BYTES, &memory, 0))
        .unwrap();
    let (written, launched) = (AtomicU32::new(0), AtomicU32::new(0));
    let enough = || written.load(Relaxed) >= 50 && launched.load(Relaxed) >= 50;
    let started = Instant::now();
    let go_on = || !enough() && started.elapsed() < Duration::from_secs(20);
    std::thread::scope(|scope| {
        let (written, launched, memory) = (&written, &launched, &memory);
        scope.spawn(move || {
            let mut bytes = vec![0; BYTES];
            while go_on() {
                if graph.launch(&stream).is_err() {
                    continue;
                }
                stream.download(memory, 0, &mut bytes).unwrap();
                assert!(bytes.iter().all(|byte| *byte == bytes[0]), "torn");
                launched.fetch_add(1, Relaxed);
            }
        });
        while go_on() {
            if let Ok(mut write) = pinned.write() {
                write.fill(u8::try_from(written.load(Relaxed) % 251).unwrap());
                written.fetch_add(1, Relaxed);
            }
        }
    });
    assert!(enough(), "{written:?} written, {launched:?} launched");
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
