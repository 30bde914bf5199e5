//! What is joined, and what must not be.

use super::{FLOAT, Made, int, ints};
use crate::engine::cuda::plan::{Plan, Step};

pub(super) fn kernels(plan: &Plan) -> Vec<&'static str> {
    (plan.steps.iter())
        .map(|step| match step {
            Step::Kernel(launch) => launch.kernel,
            Step::Product(_) => "cublaslt",
            Step::Convolution(_) => "cudnn",
        })
        .collect()
}

/// Instructions of the program that a step is.
fn instructions(plan: &Plan, step: usize) -> i32 {
    let Step::Kernel(launch) = &plan.steps[step] else {
        panic!("{plan}")
    };
    assert!(launch.kernel.starts_with("pointwise"));
    i32::from_le_bytes(launch.params[20..24].try_into().unwrap())
}

fn chain() -> Made {
    Made::default()
        .input("x", FLOAT, &[4, 6])
        .input("z", FLOAT, &[6])
        .node("a = Exp(x)", vec![])
        .node("b = Add(a, z)", vec![])
        .node("c = Sqrt(b)", vec![])
}

#[test]
fn a_chain_is_one_program() {
    let plan = chain().output("c").lower().unwrap();
    assert_eq!(kernels(&plan), ["pointwise_f32"]);
    assert_eq!(instructions(&plan, 0), 3);
    assert_eq!(plan.arena, 0);
}

#[test]
fn what_is_asked_for_is_made() {
    let plan = chain().output("b").output("c").lower().unwrap();
    assert_eq!(kernels(&plan), ["pointwise_f32", "pointwise_f32"]);
}

#[test]
fn what_two_read_is_made_once() {
    let plan = chain()
        .node("d = Neg(b)", vec![])
        .node("e = MatMul(c, t)", vec![])
        .node("t = Transpose(d)", vec![])
        .output("e");
    // Nodes come in an order in which each finds its inputs.
    assert!(plan.lower().is_err());
    let plan = chain()
        .node("d = Neg(b)", vec![])
        .node("t = Transpose(d)", vec![])
        .node("e = MatMul(c, t)", vec![])
        .output("e")
        .lower()
        .unwrap();
    let made = kernels(&plan);
    assert_eq!(
        made,
        [
            "pointwise_f32",
            "pointwise_f32",
            "pointwise_f32",
            "gemm_f32"
        ]
    );
}

#[test]
fn a_view_that_two_read_keeps_its_maker() {
    let plan = Made::default()
        .input("x", FLOAT, &[4, 6])
        .ints("flat", &[24])
        .node("a = Exp(x)", vec![])
        .node("v = Reshape(a, flat)", vec![])
        .node("b = Neg(v)", vec![])
        .node("c = Sqrt(v)", vec![])
        .output("b")
        .output("c")
        .lower()
        .unwrap();
    assert_eq!(kernels(&plan), ["pointwise_f32"; 3]);
}

#[test]
fn a_split_is_no_reason_to_join() {
    let plan = Made::default()
        .input("x", FLOAT, &[4, 6])
        .node("a = Exp(x)", vec![])
        .node("l, r = Split(a)", vec![int("axis", 0)])
        .node("b = Neg(l)", vec![])
        .node("c = Sqrt(r)", vec![])
        .output("b")
        .output("c")
        .lower()
        .unwrap();
    assert_eq!(kernels(&plan), ["pointwise_f32"; 3]);
}

#[test]
fn programs_end_where_the_kernels_have_no_room() {
    let mut graph = Made::default().input("v0", FLOAT, &[4, 6]);
    for at in 0..30 {
        graph = graph.node(&format!("v{} = Exp(v{at})", at + 1), vec![]);
    }
    let plan = graph.output("v30").lower().unwrap();
    assert_eq!(kernels(&plan), ["pointwise_f32"; 2]);
    assert_eq!(instructions(&plan, 0) + instructions(&plan, 1), 30);
}

#[test]
fn programs_take_eight_inputs() {
    let mut graph = Made::default().input("s0", FLOAT, &[4, 6]);
    for at in 1..=10 {
        graph = graph
            .input(&format!("x{at}"), FLOAT, &[4, 6])
            .node(&format!("s{at} = Add(s{}, x{at})", at - 1), vec![]);
    }
    let plan = graph.output("s10").lower().unwrap();
    assert_eq!(kernels(&plan), ["pointwise_f32"; 2]);
}

#[test]
fn a_smaller_value_is_not_made_again_for_each_row() {
    let plan = Made::default()
        .input("x", FLOAT, &[400, 6])
        .input("z", FLOAT, &[6])
        .node("a = Exp(z)", vec![])
        .node("b = Add(x, a)", vec![])
        .output("b")
        .lower()
        .unwrap();
    assert_eq!(kernels(&plan), ["pointwise_f32"; 2]);
}

#[test]
fn transposed_matrices_are_read_where_they_lie() {
    let plan = Made::default()
        .input("x", FLOAT, &[2, 5, 3])
        .input("w", FLOAT, &[2, 5, 4])
        .node("t = Transpose(x)", vec![ints("perm", &[0, 2, 1])])
        .node("y = MatMul(t, w)", vec![])
        .output("y")
        .lower()
        .unwrap();
    assert_eq!(kernels(&plan), ["gemm_f32"]);
}

#[test]
fn equal_constants_are_uploaded_once() {
    let plan = Made::default()
        .input("x", FLOAT, &[4, 6])
        .floats("ab", &[6])
        .floats("ba", &[6])
        .node("a = Add(x, ab)", vec![])
        .node("b = Mul(a, ba)", vec![])
        .output("b")
        .lower()
        .unwrap();
    assert_eq!(plan.constants.len(), 1);
}
