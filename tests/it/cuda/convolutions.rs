//! Convolutions by cuDNN, on the stand-in for it: whole models and made-up ones, in every precision and both orders; and which
//! way is taken.

use std::fs;

use forebay::{
    contract::Dtype,
    engine::raw::Value,
    graph::{
        Attr, GraphBuilder,
        proto::Model,
        tensor::{Data, Element, Raw},
    },
};

use super::{
    conformance::{MATH, Outcome, PICTURES, math_of_case, outcome, with},
    well_known::shapes::{self, Random},
};
use crate::support::fake_cuda;

const IMAGES: &str = "cuda::well_known::case_images";
const MATHS: [&str; 4] = ["fp32", "tf32", "fp16", "bf16"];

/// How often something ran whose name begins so.
pub(super) fn ran(kernels: &serde_json::Value, start: &str) -> u64 {
    let all = kernels.as_object().unwrap().iter();
    let those = all.filter(|(name, _)| name.starts_with(start));
    those.filter_map(|(_, count)| count.as_u64()).sum()
}

#[test]
fn convolutional_networks_give_what_they_give_on_the_cpu() {
    for math in MATHS {
        for (order, seeds) in [("planes", [0, 1]), ("channels", [2, 3])] {
            // The stand-in has no way for depthwise ones in single precision with channels side by side.
            let refused = (math, order) == ("fp32", "channels");
            let case = if refused {
                "cuda::convolutions::case_residual"
            } else {
                IMAGES
            };
            let environment = [fake_cuda::with_convolver(), (MATH, math), (PICTURES, order)];
            let (_, kernels) = with(case, &seeds, &environment);
            let by_library = ran(&kernels, &format!("cudnn {math} {order}"));
            let expected = order == "channels" || math.ends_with("32");
            assert_eq!(by_library > 20, expected, "{math} {order}: {kernels}");
            assert_eq!(
                ran(&kernels, "cudnn"),
                by_library,
                "{math} {order}: {kernels}"
            );
        }
    }
}

fn image(rows: usize) -> Vec<(String, Value<Raw>)> {
    let mut random = Random::new(9);
    vec![("image".to_owned(), numbers(&mut random, &[rows, 3, 32, 32]))]
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "any number of single precision does"
)]
fn numbers(random: &mut Random, shape: &[usize]) -> Value<Raw> {
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.number() as f32)
        .take(shape.iter().product())
        .flat_map(f32::to_le_bytes)
        .collect();
    Value::Tensor(Raw {
        element: Element::Float32,
        shape: shape.to_vec(),
        data: Data::Packed(bytes.into()),
    })
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_residual() {
    let model = shapes::resnet18(32, 4, 5);
    assert_eq!(outcome(&model, &image(3), math_of_case()), Outcome::Equal);
}

/// What is done to a convolution's result.
fn behind(graph: &mut GraphBuilder, y: String, kind: usize) -> String {
    match kind {
        0 | 1 => graph.node("Relu", &[&y], Vec::new()),
        2 => graph.node("Sigmoid", &[&y], Vec::new()),
        3 => graph.node("LeakyRelu", &[&y], vec![("alpha", Attr::Float(0.2))]),
        4 => {
            let (low, high) = (
                graph.number(Dtype::F32, -0.1),
                graph.number(Dtype::F32, 0.6),
            );
            graph.node("Clip", &[&y, &low, &high], Vec::new())
        }
        5 => graph.node("HardSigmoid", &[&y], Vec::new()),
        6 => graph.node("Tanh", &[&y], Vec::new()),
        7 => {
            let gate = graph.node("Sigmoid", &[&y], Vec::new());
            graph.node("Mul", &[&y, &gate], Vec::new())
        }
        8 => {
            let mean = graph.node("GlobalAveragePool", &[&y], Vec::new());
            let gate = graph.node("Sigmoid", &[&mean], Vec::new());
            graph.node("Mul", &[&y, &gate], Vec::new())
        }
        _ => y,
    }
}

/// Windows of any kind that fit into a picture.
#[derive(Default)]
struct Windows {
    size: Vec<i64>,
    kernel: Vec<i64>,
    stride: Vec<i64>,
    dilation: Vec<i64>,
    before: Vec<i64>,
    after: Vec<i64>,
    out: Vec<i64>,
}

impl Windows {
    fn random(random: &mut Random) -> Self {
        let mut made = Self::default();
        let mut below = |most: usize| i64::try_from(random.below(most)).unwrap();
        // Signals now and then.
        for _ in 0..if below(4) == 0 { 1 } else { 2 } {
            let (window, apart, step, more) = (1 + below(3), 1 + below(2), 1 + below(2), below(6));
            let zeros = below(3).min(window - 1);
            // Sometimes another number of zeros behind than before.
            let behind = zeros + i64::from(below(3) == 0);
            made.kernel.push(window);
            made.dilation.push(apart);
            made.stride.push(step);
            made.before.push(zeros);
            made.after.push(behind);
            made.size.push((window - 1) * apart + 1 + more);
            made.out.push((more + zeros + behind) / step + 1);
        }
        made
    }

    fn attributes(&self, groups: usize) -> Vec<(&'static str, Attr)> {
        let pads = [self.before.clone(), self.after.clone()].concat();
        vec![
            ("kernel_shape", Attr::Ints(self.kernel.clone())),
            ("strides", Attr::Ints(self.stride.clone())),
            ("dilations", Attr::Ints(self.dilation.clone())),
            ("pads", Attr::Ints(pads)),
            ("group", Attr::Int(i64::try_from(groups).unwrap())),
        ]
    }
}

/// A shape with these dimensions behind others.
fn shape(first: &[usize], rest: &[i64]) -> Vec<usize> {
    let rest = rest.iter().map(|size| usize::try_from(*size).unwrap());
    first.iter().copied().chain(rest).collect()
}

fn weights(graph: &mut GraphBuilder, random: &mut Random, dims: &[usize]) -> String {
    let scale = (3.0 / dims[1..].iter().product::<usize>().max(1) as f64).sqrt();
    let count = dims.iter().product();
    let values: Vec<f64> = (0..count).map(|_| random.number() * scale).collect();
    graph.numbers(Dtype::F32, dims, &values)
}

/// A convolution of any kind, something behind it, and another one that reads that.
fn made(random: &mut Random) -> (Model, Vec<(String, Value<Raw>)>) {
    let mut graph = GraphBuilder::new(17);
    graph.begin_step("made");
    let groups = 1 + random.below(3);
    let (each, filters) = (1 + random.below(4), groups * (1 + random.below(6)));
    let windows = Windows::random(random);
    let picture = shape(&[groups * each], &windows.size);
    let x = graph.input("x", Dtype::F32, &picture).name;
    let filter = shape(&[filters, each], &windows.kernel);
    let first = weights(&mut graph, random, &filter);
    let bias = weights(&mut graph, random, &[filters]);
    let inputs = [x.as_str(), &first, &bias];
    let inputs = &inputs[..if random.below(3) == 0 { 2 } else { 3 }];
    let mut y = graph.node("Conv", inputs, windows.attributes(groups));
    if random.below(2) == 0 {
        let second = weights(&mut graph, random, &filter);
        let other = graph.node("Conv", &[&x, &second], windows.attributes(groups));
        y = graph.node("Add", &[&y, &other], Vec::new());
    }
    let y = behind(&mut graph, y, random.below(10));
    let ones = vec![1; windows.out.len()];
    let last = weights(&mut graph, random, &shape(&[3, filters], &ones));
    // With a bias: where all is below zero, there is something to compare all the same.
    let bias = weights(&mut graph, random, &[3]);
    let y = graph.node("Conv", &[&y, &last, &bias], Vec::new());
    let given = forebay::graph::Value::new(y, Dtype::F32, shape(&[3], &windows.out));
    let model = graph.finish(&[("y".to_owned(), given)]);
    let rows = [&[2][..], &picture].concat();
    (model, vec![("x".to_owned(), numbers(random, &rows))])
}

#[test]
fn made_up_convolutions_give_what_they_give_on_the_cpu() {
    for math in MATHS {
        for (order, seed) in [("planes", 4), ("channels", 5)] {
            let environment = [
                fake_cuda::with_convolver(),
                (MATH, math),
                (PICTURES, order),
                // Its fastest is faster than whatever forebay does.
                ("FAKE_CUDNN_TIME", "1"),
            ];
            let (said, kernels) = with("cuda::convolutions::case_made", &[seed], &environment);
            let refused = said.lines().count();
            // The stand-in refuses groups there.
            let expected = (math, order) == ("fp32", "channels");
            assert_eq!(refused > 0, expected, "{math} {order}: {said}");
            let by_library = ran(&kernels, &format!("cudnn {math} {order}"));
            let expected = order == "channels" || math.ends_with("32");
            assert_eq!(by_library > 40, expected, "{math} {order}: {kernels}");
        }
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test that runs it reads that")]
fn case_made() {
    println!();
    let mut random = Random::new(21);
    for number in 0..60 {
        let (model, inputs) = made(&mut random);
        match outcome(&model, &inputs, math_of_case()) {
            Outcome::Equal => {}
            Outcome::Wrong(why) if why.contains("neither cuDNN") => println!("- {number}: {why}"),
            other => panic!("{number}: {other:?}"),
        }
    }
}

#[test]
fn where_the_library_has_no_way_or_fails_the_kernels_convolve() {
    for fail in [
        "cudnnGetConvolutionForwardWorkspaceSize:*:3000",
        "cudnnGetConvolutionForwardWorkspaceSize:*:4000",
        "cudnnCreate:1:1001",
        "cudnnCreate:1:1008",
        "cudnnConvolutionBiasActivationForward:*:3000",
        "cudnnConvolutionBiasActivationForward:*:5000",
    ] {
        let environment = [fake_cuda::with_convolver(), ("FAKE_FAIL", fail)];
        let (_, kernels) = with("cuda::convolutions::case_residual", &[0], &environment);
        assert_eq!(ran(&kernels, "cudnn"), 0, "{fail}: {kernels}");
        assert!(ran(&kernels, "conv_f32") > 10, "{fail}: {kernels}");
    }
    for absent in [
        fake_cuda::NO_CONVOLVER,
        (fake_cuda::CONVOLVER, "/etc/passwd"),
    ] {
        let (_, kernels) = with("cuda::convolutions::case_residual", &[0], &[absent]);
        assert_eq!(ran(&kernels, "cudnn"), 0, "{absent:?}");
    }
    let old = [fake_cuda::with_convolver(), ("FAKE_CUDNN", "8907")];
    let (_, kernels) = with("cuda::convolutions::case_residual", &[0], &old);
    assert_eq!(ran(&kernels, "cudnn"), 0, "it is too old");
}

#[test]
fn every_call_of_the_library_may_fail_and_nothing_panics() {
    for call in [
        "cudnnCreate",
        "cudnnDestroy",
        "cudnnSetStream",
        "cudnnCreateTensorDescriptor",
        "cudnnDestroyTensorDescriptor",
        "cudnnSetTensor4dDescriptor",
        "cudnnCreateFilterDescriptor",
        "cudnnSetFilter4dDescriptor",
        "cudnnCreateConvolutionDescriptor",
        "cudnnSetConvolution2dDescriptor",
        "cudnnSetConvolutionGroupCount",
        "cudnnSetConvolutionMathType",
        "cudnnCreateActivationDescriptor",
        "cudnnSetActivationDescriptor",
        "cudnnGetConvolutionForwardWorkspaceSize",
        "cudnnConvolutionBiasActivationForward",
    ] {
        for number in [1, 2, 3] {
            let fail = format!("{call}:{number}:5000");
            let environment = [fake_cuda::with_convolver(), ("FAKE_FAIL", fail.as_str())];
            let outcome = fake_cuda::run("cuda::convolutions::case_whatever", &environment);
            assert!(outcome.passed, "{fail}: {outcome:?}");
            let violations = &outcome.report["violations"];
            assert_eq!(*violations, serde_json::json!([]), "{fail}");
        }
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_whatever() {
    let model = shapes::resnet18(32, 2, 5);
    match outcome(&model, &image(1), math_of_case()) {
        Outcome::Equal => {}
        // A model that is refused runs on the CPU.
        Outcome::Wrong(why) => assert!(why.contains(" failed: "), "{why}"),
        other @ Outcome::Uncovered(_) => panic!("{other:?}"),
    }
}

#[test]
fn the_fastest_way_is_taken_and_kept() {
    let cache = tempfile::tempdir().unwrap();
    let run = |changes: &[(&'static str, &'static str)]| {
        let mut environment = vec![
            fake_cuda::with_convolver(),
            ("XDG_CACHE_HOME", cache.path().to_str().unwrap()),
        ];
        environment.extend(changes);
        with("cuda::convolutions::case_residual", &[0], &environment).1
    };
    let kept = || {
        let folder = cache.path().join("forebay/cudnn");
        let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap();
        fs::read_to_string(file.path()).unwrap()
    };
    // Forebay's own: the library's ran when they were measured, nine times each at most.
    let kernels = run(&[("FAKE_OWN", "10")]);
    assert!(ran(&kernels, "conv_f32") >= 20, "{kernels}");
    assert!(kept().contains("\"own "), "{}", kept());
    // It is kept: nothing is measured, though it has become slow.
    let kernels = run(&[]);
    assert_eq!(ran(&kernels, "cudnn"), 0, "{kernels}");
    // Of other kernels: measured anew, and the library is faster now.
    let file = fs::read_dir(cache.path().join("forebay/cudnn")).unwrap();
    let file = file.map(|entry| entry.unwrap().path()).next().unwrap();
    fs::write(&file, kept().replace("\"own ", "\"own 0")).unwrap();
    run(&[]);
    assert!(kept().contains("\"algorithm 1\""), "{}", kept());
    let kernels = run(&[]);
    assert!(
        ran(&kernels, "cudnn fp32 planes method 1") >= 20,
        "{kernels}"
    );
    assert_eq!(ran(&kernels, "cudnn fp32 planes method 0"), 0, "{kernels}");
    // More workspace than it may have: another method.
    let more = ("FAKE_CUDNN_WORKSPACE", "2000000000");
    let kernels = run(&[more]);
    assert!(ran(&kernels, "cudnn fp32 planes method 0") > 0, "{kernels}");
    assert_eq!(ran(&kernels, "cudnn fp32 planes method 1"), 0, "{kernels}");
    // Another version of the library.
    run(&[("FAKE_CUDNN", "91400")]);
    assert_eq!(
        fs::read_dir(cache.path().join("forebay/cudnn"))
            .unwrap()
            .count(),
        2
    );
}
