//! cuDNN through the device layer, on the stand-in for it: right in every order of pictures and of work, recorded in graphs,
//! refused where it cannot be right.

use forebay::{
    engine::cuda::{
        convolution::{Operands, Order, Shape},
        device::{
            Caching, CudaError, Cudnn, Device, Filtering, Memory, Method, Piece, Priority, Stream,
        },
        product::Math,
    },
    graph::tensor::{Element, shortened},
};

use crate::support::fake_cuda;

const WORKSPACE: usize = 1 << 17;

/// Up, through the library and down, each on a stream of its own.
const STREAMS: &str = "cuda::cudnn::case_streams";

/// Two groups, a stride, and windows that reach over the edges.
const SHAPE: Shape = Shape {
    math: Math::Single,
    order: Order::Planes,
    n: 2,
    channels: 4,
    image: [5, 6],
    filters: 6,
    out: [3, 5],
    kernel: [3, 2],
    stride: [2, 1],
    dilation: [1, 3],
    pad: [1, 1],
    groups: 2,
    bias: true,
    add: true,
    relu: true,
};

/// Some small whole numbers.
fn some(count: usize, from: usize) -> Vec<f32> {
    (0..count)
        .map(|at| ((at * 7 + from * 5) % 11) as f32 - 5.0)
        .collect()
}

/// As the library is given them.
fn bytes(numbers: &[f32], math: Math) -> Vec<u8> {
    let singles: Vec<u8> = (numbers.iter())
        .flat_map(|number| number.to_le_bytes())
        .collect();
    match math.element() {
        Element::Float32 => singles,
        short => shortened(&singles, short).to_vec(),
    }
}

/// The numbers of pictures that are known as planes, in this order.
fn ordered(planes: &[f32], [n, channels, height, width]: [usize; 4], order: Order) -> Vec<f32> {
    if order == Order::Planes {
        return planes.to_vec();
    }
    let pixels = height * width;
    let cells = (0..n).flat_map(|n| {
        (0..pixels).flat_map(move |pixel| {
            (0..channels).map(move |channel| (n * channels + channel) * pixels + pixel)
        })
    });
    cells.map(|at| planes[at]).collect()
}

/// What must come out, as planes.
fn wanted(shape: &Shape, [pictures, weights, bias, add]: [&[f32]; 4]) -> Vec<f32> {
    let Shape {
        n,
        channels,
        image: [height, width],
        filters,
        out: [rows, columns],
        kernel: [tall, wide],
        ..
    } = *shape;
    let each = channels / shape.groups;
    let cell_of = |at: usize, cell: usize| {
        let (column, row) = (at % columns, at / columns % rows);
        let (filter, picture) = (
            at / (columns * rows) % filters,
            at / (columns * rows * filters),
        );
        let (right, down, channel) = (cell % wide, cell / wide % tall, cell / (wide * tall));
        // One row and one column of zeros are before the first.
        let from = |place: usize, step: usize, apart: usize, cell: usize| {
            (place * step + cell * apart).checked_sub(1)
        };
        let y = from(row, shape.stride[0], shape.dilation[0], down)?;
        let x = from(column, shape.stride[1], shape.dilation[1], right)?;
        let own = filter / (filters / shape.groups) * each + channel;
        (y < height && x < width).then_some(((picture * channels + own) * height + y) * width + x)
    };
    let cells = each * tall * wide;
    let result = |at: usize| {
        let filter = at / (columns * rows) % filters;
        let terms = (0..cells)
            .filter_map(|cell| Some(pictures[cell_of(at, cell)?] * weights[filter * cells + cell]));
        let mut sum: f32 = terms.sum();
        sum += if shape.bias { bias[filter] } else { 0.0 };
        sum += if shape.add { add[at] } else { 0.0 };
        if shape.relu { sum.max(0.0) } else { sum }
    };
    (0..n * filters * rows * columns).map(result).collect()
}

/// What a convolution needs, each in memory of its own.
struct Place {
    device: Device,
    library: Cudnn,
    shape: Shape,
    operands: Operands<Piece>,
    workspace: Memory,
}

fn piece(memory: &Memory, offset: usize) -> Piece {
    Piece {
        memory: memory.clone(),
        offset,
    }
}

impl Place {
    fn new(stream: &Stream, device: &Device, shape: Shape) -> Self {
        let memory = |numbers: &[f32]| {
            let bytes = bytes(numbers, shape.math);
            let memory = device.memory(bytes.len()).unwrap();
            stream.upload(&bytes, &memory, 0).unwrap();
            piece(&memory, 0)
        };
        let [_, w, bias, add] = Self::numbers(&shape, 0);
        let (x, y) = (vec![0.0; shape.x().unwrap()], vec![0.0; shape.y().unwrap()]);
        let each = shape.channels / shape.groups;
        let sizes = [shape.filters, each, shape.kernel[0], shape.kernel[1]];
        Self {
            library: device.cudnn().unwrap(),
            workspace: device.memory(WORKSPACE).unwrap(),
            operands: Operands {
                x: memory(&x),
                w: memory(&ordered(&w, sizes, shape.order)),
                bias: shape.bias.then(|| memory(&bias)),
                add: shape
                    .add
                    .then(|| memory(&ordered(&add, Self::result(&shape), shape.order))),
                y: memory(&y),
            },
            device: device.clone(),
            shape,
        }
    }

    fn result(shape: &Shape) -> [usize; 4] {
        [shape.n, shape.filters, shape.out[0], shape.out[1]]
    }

    /// Pictures, filters, bias, what is added; as planes.
    fn numbers(shape: &Shape, from: usize) -> [Vec<f32>; 4] {
        [
            some(shape.x().unwrap(), from),
            some(shape.w().unwrap(), 1),
            some(shape.filters, 2),
            some(shape.y().unwrap(), 3),
        ]
    }

    /// The bytes of some pictures, and of what must come of them.
    fn example(&self, from: usize) -> (Vec<u8>, Vec<u8>) {
        let shape = &self.shape;
        let [x, w, bias, add] = Self::numbers(shape, from);
        let y = wanted(shape, [&x, &w, &bias, &add]);
        let sizes = [shape.n, shape.channels, shape.image[0], shape.image[1]];
        let x = ordered(&x, sizes, shape.order);
        let y = ordered(&y, Self::result(shape), shape.order);
        (bytes(&x, shape.math), bytes(&y, shape.math))
    }

    fn filtering(&self) -> Filtering {
        let operands = self.operands.clone();
        self.library.filtering(&self.shape, operands).unwrap()
    }
}

#[test]
fn convolutions_come_out_right_in_every_order() {
    fake_cuda::right_in_every_order(STREAMS, &[fake_cuda::with_convolver()]);
}

#[test]
fn a_wait_or_a_record_that_is_missing_shows() {
    // Of the fifth batch: the wait for the upload, that for the convolution, the records of both.
    for skip in [
        "cuStreamWaitEvent:9",
        "cuStreamWaitEvent:10",
        "cuEventRecord:13",
        "cuEventRecord:14",
    ] {
        fake_cuda::shows(skip, STREAMS, &[fake_cuda::with_convolver()]);
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_streams() {
    let device = Device::open(0).unwrap();
    let [up, compute, down] = [0; 3].map(|_| device.stream(Priority::Normal).unwrap());
    let [uploaded, done, copied] = [0; 3].map(|_| device.event().unwrap());
    let place = Place::new(&up, &device, SHAPE);
    let filtering = place.filtering();
    let methods = filtering.methods(WORKSPACE);
    assert_eq!(methods.len(), 3);
    let (x, y) = (&place.operands.x.memory, &place.operands.y.memory);
    let mut upload = device.pinned(x.len(), Caching::WriteCombined).unwrap();
    let download = device.pinned(y.len(), Caching::Cached).unwrap();
    for batch in 0..8 {
        let (given, right) = place.example(batch);
        upload.write().unwrap().copy_from_slice(&given);
        up.copy_up(&upload, 0..x.len(), x, 0).unwrap();
        uploaded.record(&up).unwrap();
        compute.wait(&uploaded).unwrap();
        let method = &methods[batch % 3];
        compute
            .convolve(&filtering, method, &place.workspace)
            .unwrap();
        done.record(&compute).unwrap();
        down.wait(&done).unwrap();
        down.copy_down(y, 0..y.len(), &download, 0).unwrap();
        copied.record(&down).unwrap();
        copied.synchronize().unwrap();
        assert_eq!(download.read().unwrap().to_vec(), right, "batch {batch}");
    }
}

#[test]
fn every_kind_comes_out_right() {
    let outcome = fake_cuda::run("cuda::cudnn::case_kinds", &[fake_cuda::with_convolver()]);
    insta::assert_snapshot!(outcome.lines());
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test that runs it reads that")]
fn case_kinds() {
    println!();
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    for math in [Math::Single, Math::Tf32, Math::Half, Math::Bfloat] {
        for order in [Order::Planes, Order::Channels] {
            for (bias, add, relu) in [
                (false, false, false),
                (true, false, false),
                (true, false, true),
                (true, true, false),
                (true, true, true),
            ] {
                // The stand-in has no way for two groups in single precision with channels side by side.
                let shape = Shape {
                    math,
                    order,
                    bias,
                    add,
                    relu,
                    ..SHAPE
                };
                let place = Place::new(&stream, &device, shape);
                let filtering = place.filtering();
                let methods = filtering.methods(WORKSPACE);
                for (from, method) in methods.iter().enumerate() {
                    let (given, right) = place.example(from);
                    stream.upload(&given, &place.operands.x.memory, 0).unwrap();
                    stream
                        .convolve(&filtering, method, &place.workspace)
                        .unwrap();
                    let mut found = vec![0; right.len()];
                    stream
                        .download(&place.operands.y.memory, 0, &mut found)
                        .unwrap();
                    assert_eq!(found, right, "{shape} by {method:?}");
                }
                let numbers = methods.iter().map(|method| method.number.to_string());
                let numbers = numbers.collect::<Vec<_>>().join(", ");
                println!("- {shape}: methods [{numbers}]");
            }
        }
    }
}

#[test]
fn a_convolution_is_recorded_once_it_ran_and_keeps_what_it_uses() {
    let outcome = fake_cuda::run("cuda::cudnn::case_graph", &[fake_cuda::with_convolver()]);
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.report["violations"], serde_json::json!([]));
    assert_eq!(outcome.report["calls"]["cudnnDestroy"], 1, "{outcome:?}");
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_graph() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let (graph, x, y, examples) = {
        let place = Place::new(&stream, &device, SHAPE);
        let filtering = place.filtering();
        let method = filtering.methods(WORKSPACE)[1];
        let record =
            || stream.capture(|stream| stream.convolve(&filtering, &method, &place.workspace));
        let early = record().unwrap_err();
        assert!(early.to_string().contains("CAPTURE_INVALIDATED"), "{early}");
        stream
            .convolve(&filtering, &method, &place.workspace)
            .unwrap();
        assert!(place.device.lost().is_none());
        let memory = |piece: &Piece| piece.memory.clone();
        let examples = [0, 1, 2].map(|from| place.example(from));
        let (x, y) = (memory(&place.operands.x), memory(&place.operands.y));
        (record().unwrap(), x, y, examples)
    };
    for (given, right) in examples {
        stream.upload(&given, &x, 0).unwrap();
        graph.launch(&stream).unwrap();
        let mut found = vec![0; y.len()];
        stream.download(&y, 0, &mut found).unwrap();
        assert_eq!(found, right);
    }
}

#[test]
fn what_cannot_be_right_is_refused() {
    let outcome = fake_cuda::run("cuda::cudnn::case_refused", &[fake_cuda::with_convolver()]);
    insta::assert_snapshot!(outcome.lines());
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test that runs it reads that")]
fn case_refused() {
    println!();
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let place = Place::new(&stream, &device, SHAPE);
    let changed = |change: fn(&mut Shape, &mut Operands<Piece>)| {
        let (mut shape, mut operands) = (SHAPE, place.operands.clone());
        change(&mut shape, &mut operands);
        let made = place.library.filtering(&shape, operands);
        println!("- {}", made.map(drop).unwrap_err());
    };
    changed(|_, operands| operands.x.offset = 16);
    changed(|_, operands| operands.y = operands.w.clone());
    changed(|_, operands| operands.bias = None);
    changed(|shape, _| shape.add = false);
    changed(|shape, operands| (shape.bias, operands.bias) = (false, None));
    changed(|shape, _| shape.out = [3, 4]);
    changed(|shape, _| shape.n = 1 << 40);
    changed(|shape, _| shape.groups = 0);
    // What is in memory, and not aligned.
    let wide = device.memory(4096).unwrap();
    let operands = Operands {
        x: piece(&wide, 4),
        ..place.operands.clone()
    };
    let made = place.library.filtering(&SHAPE, operands);
    println!("- {}", made.map(drop).unwrap_err());
    // More workspace than there is.
    let filtering = place.filtering();
    let small = device.memory(16).unwrap();
    let methods = filtering.methods(WORKSPACE);
    let queued: Result<(), CudaError> = stream.convolve(&filtering, &methods[2], &small);
    println!("- {}", queued.unwrap_err());
    assert_eq!(filtering.methods(16).len(), 1);
    assert_eq!(filtering.method(7, WORKSPACE), None, "no such method");
    let needed = |number, workspace| Method { number, workspace };
    assert_eq!(methods, [needed(0, 0), needed(1, 4096), needed(2, 65536)]);
}
