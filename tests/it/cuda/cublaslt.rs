//! cuBLASLt through the device layer, on the stand-in for it: right in every order, recorded in graphs, refused where it cannot be
//! right.

use forebay::engine::cuda::{
    device::{
        Caching, Cublaslt, CudaError, Device, Memory, Multiplication, Piece, Priority, Stream,
    },
    product::{Layout, Math, Operands, Shape, Tail},
};

use crate::support::fake_cuda;

const ROWS: usize = 4;
const INNER: usize = 6;
const COLUMNS: usize = 3;
const WORKSPACE: usize = 1 << 16;

/// Up, through the library and down, each on a stream of its own.
const STREAMS: &str = "cuda::cublaslt::case_streams";

const fn plain(leading: i64) -> Layout {
    Layout {
        transposed: false,
        leading,
        stride: 0,
    }
}

/// `[4x3] = [4x6][6x3]` and a bias, by rows.
const SHAPE: Shape = Shape {
    math: Math::Single,
    rows: COLUMNS,
    columns: ROWS,
    inner: INNER,
    batches: 1,
    a: plain(3),
    b: plain(6),
    c: None,
    d: plain(3),
    bias: true,
    tail: Tail::Relu,
};

fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|cell| f32::from_le_bytes(*cell))
        .collect()
}

/// Some small whole numbers.
fn some(count: usize, from: usize) -> Vec<f32> {
    (0..count)
        .map(|at| ((at * 7 + from * 5) % 11) as f32 - 5.0)
        .collect()
}

/// What must come out for these rows.
fn wanted(x: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
    let cell = |row: usize, column: usize| {
        let terms = (0..INNER).map(|k| x[row * INNER + k] * w[k * COLUMNS + column]);
        (terms.sum::<f32>() + bias[column]).max(0.0)
    };
    let cells = (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (row, column)));
    cells.map(|(row, column)| cell(row, column)).collect()
}

fn piece(memory: &Memory, offset: usize) -> Piece {
    Piece {
        memory: memory.clone(),
        offset,
    }
}

/// What a product needs: rows, weights and bias, the result, a workspace.
struct Place {
    device: Device,
    library: Cublaslt,
    x: Memory,
    weights: Memory,
    d: Memory,
    workspace: Memory,
}

impl Place {
    fn new(stream: &Stream, device: &Device) -> Self {
        let weights = device.memory(256 + COLUMNS * 4).unwrap();
        stream
            .upload(&bytes(&some(INNER * COLUMNS, 1)), &weights, 0)
            .unwrap();
        stream
            .upload(&bytes(&some(COLUMNS, 2)), &weights, 256)
            .unwrap();
        Self {
            library: device.cublaslt().unwrap(),
            x: device.memory(ROWS * INNER * 4).unwrap(),
            weights,
            d: device.memory(ROWS * COLUMNS * 4).unwrap(),
            workspace: device.memory(WORKSPACE).unwrap(),
            device: device.clone(),
        }
    }

    fn operands(&self) -> Operands<Piece> {
        Operands {
            a: piece(&self.weights, 0),
            b: piece(&self.x, 0),
            c: None,
            d: piece(&self.d, 0),
            bias: Some(piece(&self.weights, 256)),
        }
    }

    fn product(&self) -> Multiplication {
        self.library
            .multiplication(&SHAPE, [1.0, 0.0], self.operands())
            .unwrap()
    }

    fn right(from: usize) -> Vec<f32> {
        let (w, bias) = (some(INNER * COLUMNS, 1), some(COLUMNS, 2));
        wanted(&some(ROWS * INNER, from), &w, &bias)
    }
}

#[test]
fn products_come_out_right_in_every_order() {
    fake_cuda::right_in_every_order(STREAMS, &[fake_cuda::with_library()]);
}

#[test]
fn a_wait_or_a_record_that_is_missing_shows() {
    // Of the fifth batch: the wait for the upload, that for the product, the records of both.
    for skip in [
        "cuStreamWaitEvent:9",
        "cuStreamWaitEvent:10",
        "cuEventRecord:13",
        "cuEventRecord:14",
    ] {
        fake_cuda::shows(skip, STREAMS, &[fake_cuda::with_library()]);
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_streams() {
    let device = Device::open(0).unwrap();
    let [up, compute, down] = [0; 3].map(|_| device.stream(Priority::Normal).unwrap());
    let [uploaded, done, copied] = [0; 3].map(|_| device.event().unwrap());
    let place = Place::new(&up, &device);
    let product = place.product();
    let algorithms = product.candidates(WORKSPACE, 16).unwrap();
    assert_eq!(algorithms.len(), 3, "one is named that cannot be used");
    let mut upload = device
        .pinned(place.x.len(), Caching::WriteCombined)
        .unwrap();
    let download = device.pinned(place.d.len(), Caching::Cached).unwrap();
    for batch in 0..8 {
        upload
            .write()
            .unwrap()
            .copy_from_slice(&bytes(&some(ROWS * INNER, batch)));
        up.copy_up(&upload, 0..place.x.len(), &place.x, 0).unwrap();
        uploaded.record(&up).unwrap();
        compute.wait(&uploaded).unwrap();
        let algorithm = &algorithms[batch % 3];
        compute
            .multiply(&product, algorithm, &place.workspace)
            .unwrap();
        done.record(&compute).unwrap();
        down.wait(&done).unwrap();
        down.copy_down(&place.d, 0..place.d.len(), &download, 0)
            .unwrap();
        copied.record(&down).unwrap();
        copied.synchronize().unwrap();
        assert_eq!(
            numbers(&download.read().unwrap()),
            Place::right(batch),
            "batch {batch}"
        );
    }
}

#[test]
fn a_product_is_recorded_once_it_ran_and_keeps_what_it_uses() {
    let outcome = fake_cuda::run("cuda::cublaslt::case_graph", &[fake_cuda::with_library()]);
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.report["violations"], serde_json::json!([]));
    assert_eq!(outcome.report["calls"]["cublasLtDestroy"], 1, "{outcome:?}");
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_graph() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let (graph, x, d) = {
        let place = Place::new(&stream, &device);
        let product = place.product();
        let algorithm = product.candidates(WORKSPACE, 16).unwrap()[1];
        let record =
            || stream.capture(|stream| stream.multiply(&product, &algorithm, &place.workspace));
        let early = record().unwrap_err();
        assert!(early.to_string().contains("CAPTURE_INVALIDATED"), "{early}");
        stream
            .multiply(&product, &algorithm, &place.workspace)
            .unwrap();
        assert!(place.device.lost().is_none());
        (record().unwrap(), place.x.clone(), place.d.clone())
    };
    for from in 0..3 {
        stream
            .upload(&bytes(&some(ROWS * INNER, from)), &x, 0)
            .unwrap();
        graph.launch(&stream).unwrap();
        let mut found = vec![0; d.len()];
        stream.download(&d, 0, &mut found).unwrap();
        assert_eq!(numbers(&found), Place::right(from));
    }
}

#[test]
fn what_cannot_be_right_is_refused() {
    let outcome = fake_cuda::run("cuda::cublaslt::case_refused", &[fake_cuda::with_library()]);
    insta::assert_snapshot!(outcome.lines());
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test that runs it reads that")]
fn case_refused() {
    println!();
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let place = Place::new(&stream, &device);
    let changed = |change: fn(&Place, &mut Shape, &mut Operands<Piece>)| {
        let (mut shape, mut operands) = (SHAPE, place.operands());
        change(&place, &mut shape, &mut operands);
        let made = place.library.multiplication(&shape, [1.0, 0.0], operands);
        println!("- {}", made.map(drop).unwrap_err());
    };
    changed(|place, _, operands| operands.b = piece(&place.x, 4));
    changed(|place, _, operands| operands.d = piece(&place.d, 4));
    changed(|place, _, operands| operands.bias = Some(piece(&place.weights, 260)));
    changed(|_, _, operands| operands.bias = None);
    changed(|_, shape, _| shape.b = plain(5));
    changed(|_, shape, _| shape.rows = 0);
    changed(|place, _, operands| operands.c = Some(piece(&place.d, 0)));
    changed(|_, shape, _| {
        shape.batches = 2;
        shape.d.stride = 12;
    });
    changed(|_, shape, _| shape.columns = usize::MAX);
    changed(|_, shape, _| shape.d.transposed = true);
    // Algorithms are found for how addresses are aligned, that of the bias too.
    let far = device.memory(1024).unwrap();
    let aligned = |offset: usize| {
        let bias = Some(piece(&far, offset));
        let operands = Operands {
            bias,
            ..place.operands()
        };
        let made = place.library.multiplication(&SHAPE, [1.0, 0.0], operands);
        made.unwrap().alignment()
    };
    assert_eq!(aligned(512), [256; 5]);
    assert_eq!(aligned(516), [256, 256, 256, 256, 4]);
    // More workspace than there is.
    let product = place.product();
    let small = device.memory(16).unwrap();
    let algorithms = product.candidates(WORKSPACE, 16).unwrap();
    let most = algorithms
        .iter()
        .max_by_key(|algorithm| algorithm.workspace)
        .unwrap();
    let queued: Result<(), CudaError> = stream.multiply(&product, most, &small);
    println!("- {}", queued.unwrap_err());
    assert_eq!(product.candidates(16, 16).unwrap().len(), 1);
    assert_eq!(product.candidates(WORKSPACE, 1).unwrap().len(), 1);
    assert!(product.check(most, 16).is_none() && product.check(most, WORKSPACE).is_some());
}
