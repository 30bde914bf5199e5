//! Lengths and places of addresses against `kernels/args.cuh`.

mod registers;
mod tensor;

use std::{collections::HashMap, path::Path, process::Command};

use super::{
    Base, FAULT, Spot, TooLarge, boxes, conv, gather,
    gemm::{Activation, Gemm, Matrix},
    moves, norm,
    pointwise::{Arg, Bits, Class, Instruction, Op, Operand, Program},
    reduce::{self, Dims, Kind},
    rnn, trees,
};
use crate::engine::cuda::{plan::Launch, product::Math};
use crate::graph::tensor::Element;

fn spot(at: usize) -> Spot {
    Spot {
        base: Base::Buffer(at),
        offset: 0,
    }
}

/// Prints each kernel's struct: its size, then where its addresses are.
const LISTING: &str = r#"
#include <cstddef>
#include <cstdio>
#include "args.cuh"
#define AT(field) printf(" %zu", offsetof(A, field));
#define LIST(name, Args, ...) { using A = Args; printf(#name " %zu", sizeof(A)); __VA_ARGS__ printf("\n"); }
int main() {
#define SIZE(name, Args) printf("size:" #name " %zu\n", sizeof(Args));
    FOREBAY_KERNELS(SIZE)
    LIST(move, MoveArgs, AT(from) AT(to))
    LIST(fill, FillArgs, AT(to))
    LIST(pad, PadArgs, AT(from) AT(to))
    LIST(gather, GatherArgs, AT(from) AT(index) AT(to) AT(fault))
    LIST(gather_elements, GatherElementsArgs, AT(from) AT(index) AT(to) AT(fault))
    LIST(gather_nd, GatherNdArgs, AT(from) AT(index) AT(to) AT(fault))
    LIST(one_hot, OneHotArgs, AT(index) AT(off_on) AT(to))
    LIST(reduce_f32, ReduceArgs, AT(from) AT(to))
    LIST(arg_reduce, ArgReduceArgs, AT(from) AT(to))
    LIST(top_k, TopKArgs, AT(from) AT(values) AT(indices))
    LIST(cum_sum, CumSumArgs, AT(from) AT(to))
    LIST(softmax, SoftmaxArgs, AT(from) AT(to))
    LIST(layer_norm, LayerNormArgs, AT(from) AT(skip) AT(bias) AT(gamma) AT(beta) AT(to) AT(sum))
    LIST(lp_normalize, LpNormalizeArgs, AT(from) AT(to))
    LIST(gemm_f32, GemmArgs, AT(a) AT(b) AT(c) AT(d))
    LIST(conv_f32, ConvArgs, AT(x) AT(w) AT(bias) AT(add) AT(y))
    LIST(pool_f32, PoolArgs, AT(x) AT(y) AT(indices))
    LIST(resample_f32, ResampleArgs, AT(from) AT(to) AT(index) AT(weight))
    LIST(lstm_cell_f32, LstmCellArgs, AT(x_gates) AT(h_gates) AT(peephole) AT(lengths) AT(h) AT(c) AT(y))
    LIST(gru_cell_f32, GruCellArgs, AT(x_gates) AT(h_gates) AT(rb) AT(lengths) AT(h) AT(rh) AT(y))
    LIST(trees_f32, TreesArgs, AT(x) AT(y) AT(nodes) AT(leaves) AT(roots) AT(base))
    LIST(class_scores, ClassScoresArgs, AT(from) AT(to))
    LIST(map_i64, MapArgs, AT(from) AT(to) AT(keys) AT(values))
    LIST(nms_f32, NmsArgs, AT(boxes) AT(scores) AT(to) AT(left))
    LIST(pointwise_f32, PointwiseArgs, AT(in[0].data) AT(in[1].data) AT(out[0].data))
}
"#;

/// What `kernels/args.cuh` says of each kernel, by its name.
fn listed() -> HashMap<String, Vec<usize>> {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("list.cpp"), folder.path().join("list"));
    std::fs::write(&source, LISTING).unwrap();
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let compiler = Command::new("g++")
        .args(["-std=c++17", "-Wno-invalid-offsetof", "-I"])
        .arg(kernels)
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .output()
        .expect(
            "g++ compiles what this test compares with; install it (Debian: apt-get install g++)",
        );
    let said = String::from_utf8_lossy(&compiler.stderr);
    assert!(compiler.status.success(), "{said}");
    let output = Command::new(&program).output().unwrap();
    (String::from_utf8(output.stdout).unwrap().lines())
        .map(|line| {
            let (name, numbers) = line.split_once(' ').unwrap();
            let numbers = numbers
                .split_whitespace()
                .map(|number| number.parse().unwrap());
            (name.to_owned(), numbers.collect())
        })
        .collect()
}

fn program() -> Program {
    let operand = |at| Operand {
        at: spot(at),
        element: Element::Float32,
        stride: vec![3, 1],
    };
    let add = Instruction {
        op: Op::Add,
        args: vec![Arg::In(0), Arg::In(1)],
        constants: [Bits(0); 2],
    };
    Program {
        class: Class::F32,
        dims: vec![2, 3],
        inputs: vec![operand(0), operand(1)],
        instructions: vec![add],
        outputs: vec![(Arg::Made(0), operand(2))],
    }
}

fn window() -> conv::Window {
    conv::Window {
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        before: [1, 1],
    }
}

fn product([a, b, c, d]: [Spot; 4]) -> Gemm {
    let matrix = |at| Matrix {
        at,
        row: 1,
        col: 1,
        batch: [0, 0],
    };
    Gemm {
        element: Element::Float32,
        m: 2,
        n: 3,
        k: 4,
        batches: [1, 1],
        a: matrix(a),
        b: matrix(b),
        c: Some(matrix(c)),
        d: matrix(d),
        alpha: 1.0,
        beta: 1.0,
        activation: Activation::None,
    }
}

#[expect(clippy::many_single_char_names, reason = "places that mean nothing")]
fn cell([a, b, c, d, e]: [Spot; 5]) -> rnn::Cell {
    rnn::Cell {
        x_gates: a,
        h_gates: b,
        lengths: Some(c),
        h: d,
        y: Some(e),
        batch: 2,
        hidden: 3,
        time: 0,
        x_row: 12,
        y_row: 3,
    }
}

#[expect(clippy::many_single_char_names, reason = "places that mean nothing")]
fn convolution([a, b, c, d, e]: [Spot; 5]) -> conv::Conv {
    conv::Conv {
        x: a,
        w: b,
        bias: Some(c),
        add: Some(d),
        y: e,
        n: 1,
        channels: 2,
        image: [4, 4],
        filters: 16,
        out: [4, 4],
        window: window(),
        groups: 1,
        activation: Activation::Relu,
        transposed: false,
    }
}

/// A launch of each kind of struct, every address given.
fn samples() -> Vec<Result<Launch<Spot>, TooLarge>> {
    [samples_of_tensors(), samples_of_models()].concat()
}

#[expect(clippy::many_single_char_names, reason = "places that mean nothing")]
fn samples_of_tensors() -> Vec<Result<Launch<Spot>, TooLarge>> {
    let [a, b, c, d, e, f, g] = [0, 1, 2, 3, 4, 5, 6].map(spot);
    let spots = gather::Spots {
        from: a,
        index: b,
        to: c,
        bytes: 4,
        index_type: 5,
    };
    let dims = Dims {
        size: vec![2],
        stride: vec![1],
    };
    vec![
        moves::copy(a, b, 4, &[2, 3], &[3, 1], &[1, 2]),
        moves::fill(a, 4, 0, 4),
        moves::pad(a, b, 4, 1, [&[2], &[4]], &[1]),
        gather::gather(spots, [1, 2, 3, 4]),
        gather::elements(spots, [1, 2, 3, 4]),
        gather::nd(spots, [1, 2, 3, 4], &[2], &[1]),
        gather::one_hot(spots, [1, 2, 3]),
        reduce::reduce("reduce_f32", a, b, 0, Kind::Sum, &dims, &dims),
        reduce::arg(a, b, [1, 2, 3], 0, [false, false]),
        reduce::top_k(a, [Some(b), Some(c)], [1, 5, 3], 2, 0, false),
        boxes::Nms {
            boxes: a,
            scores: b,
            to: c,
            left: d,
            rows: 1,
            classes: 2,
            count: 3,
            most: 3,
            center: false,
            iou: 0.5,
            score: Some(0.1),
        }
        .launch(),
        reduce::cum_sum(a, b, [1, 2, 3], 0, [false, false]),
        reduce::Softmax {
            from: a,
            to: b,
            shape: [1, 2, 3],
            element: 0,
            log: false,
        }
        .launch(),
        norm::LayerNorm {
            from: a,
            skip: Some(b),
            bias: Some(c),
            gamma: Some(d),
            beta: Some(e),
            to: f,
            sum: Some(g),
            rows: 2,
            columns: 3,
            skip_rows: 1,
            epsilon: 1e-5,
            element: 0,
            simplified: false,
        }
        .launch(),
        norm::lp(a, b, [1, 2, 3], 0, 1, false),
        product([a, b, c, d]).launch(Math::Single),
    ]
}

#[expect(clippy::many_single_char_names, reason = "places that mean nothing")]
fn samples_of_models() -> Vec<Result<Launch<Spot>, TooLarge>> {
    let [a, b, c, d, e, f, g] = [0, 1, 2, 3, 4, 5, 6].map(spot);
    let cell = cell([a, b, c, d, e]);
    vec![
        convolution([a, b, c, d, e]).launch(Math::Single),
        conv::Pool {
            x: a,
            y: b,
            indices: Some(c),
            planes: 2,
            image: [4, 4],
            out: [4, 4],
            window: window(),
            after: [1, 1],
            average: false,
            count_pad: false,
        }
        .launch(),
        conv::resample([a, b, c, d], [1, 2, 3, 4], 1),
        rnn::lstm(cell, Some(f), g),
        rnn::gru(cell, [Some(f), Some(g)], true, 1),
        trees::Trees {
            x: a,
            y: b,
            nodes: c,
            leaves: d,
            roots: e,
            base: Some(f),
            rows: 5,
            columns: 3,
            targets: 1,
            count: 7,
            aggregate: 0,
            double: false,
        }
        .launch(),
        trees::class_scores(a, b, [2, 3], 3, 0),
        trees::Map {
            from: a,
            to: b,
            keys: c,
            values: d,
            count: 2,
            entries: 3,
            from_type: 5,
            to_type: 5,
            fallback: 0,
            float: false,
        }
        .launch(),
        program().launch(),
    ]
}

#[test]
fn every_struct_is_that_of_the_kernels() {
    let listed = listed();
    let mut seen = 0;
    for launch in samples() {
        let launch = launch.expect("small enough");
        let [size, offsets @ ..] = listed[launch.kernel].as_slice() else {
            panic!("{} has no size", launch.kernel);
        };
        assert_eq!(launch.params.len(), *size, "size of {}", launch.kernel);
        let mut places: Vec<usize> = launch.addresses.iter().map(|(at, _)| *at).collect();
        places.sort_unstable();
        let mut offsets = offsets.to_vec();
        offsets.sort_unstable();
        assert_eq!(places, offsets, "addresses of {}", launch.kernel);
        for (at, _) in &launch.addresses {
            assert_eq!(launch.params[*at..at + 8], [0; 8], "{}", launch.kernel);
        }
        seen += 1;
    }
    let families = listed
        .keys()
        .filter(|name| !name.starts_with("size:"))
        .count();
    assert_eq!(seen, families, "a struct without a sample");
}

#[test]
fn every_launch_names_a_kernel_that_is_there() {
    let listed = listed();
    let mut names = vec![
        "pointwise_f64",
        "pointwise_i64",
        "reduce_f64",
        "reduce_i64",
        "gemm_f64",
        "conv_direct_f32",
        "conv_transpose_f32",
        "trees_f64",
        "map_f32",
    ];
    let launches: Vec<_> = samples()
        .into_iter()
        .map(|launch| launch.expect("small"))
        .collect();
    names.extend(launches.iter().map(|launch| launch.kernel));
    for name in names {
        assert!(listed.contains_key(&format!("size:{name}")), "{name}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let far = moves::copy(spot(0), spot(1), 4, &[1; 7], &[0; 7], &[0; 7]);
    assert_eq!(far, Err(TooLarge));
    let long = reduce::top_k(spot(0), [None, Some(FAULT)], [1, 5000, 1], 2, 0, false);
    assert_eq!(long, Err(TooLarge));
    let wide = conv::Pool {
        x: spot(0),
        y: spot(1),
        indices: None,
        planes: 1 << 40,
        image: [1, 1],
        out: [1, 1],
        window: window(),
        after: [0, 0],
        average: true,
        count_pad: false,
    };
    assert_eq!(wide.launch(), Err(TooLarge));
}

#[test]
fn dimensions_are_joined_where_all_step_alike() {
    let joined = super::pointwise::joined;
    assert_eq!(
        joined(&[2, 3, 4], &[&[12, 4, 1]]),
        (vec![24], vec![vec![1]])
    );
    assert_eq!(
        joined(&[2, 3, 4], &[&[12, 4, 1], &[4, 0, 1]]),
        (vec![2, 3, 4], vec![vec![12, 4, 1], vec![4, 0, 1]])
    );
    assert_eq!(
        joined(&[2, 3, 4], &[&[12, 4, 1], &[0, 0, 1]]),
        (vec![6, 4], vec![vec![4, 1], vec![0, 1]])
    );
    assert_eq!(joined(&[1, 1], &[&[0, 0]]), (vec![], vec![vec![]]));
}
