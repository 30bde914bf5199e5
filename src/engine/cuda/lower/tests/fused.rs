//! What becomes kernels that are compiled for the model.

use super::{DOUBLE, FLOAT, INT64, Made, fusing::kernels, int, plans::mlp};
use crate::engine::cuda::{
    lower::Products,
    plan::{Place, Plan, Step},
    product::Math,
};

const FUSED: Products = Products {
    fused: true,
    ..Products::OWN
};

fn fused(made: Made) -> Plan {
    made.lower_by(17, FUSED).unwrap()
}

/// The texts of the kernels, in the plan's order.
fn texts(plan: &Plan) -> String {
    plan.codes().map(|code| code.text()).collect()
}

/// A value that two read, and one of another type between.
fn diamond(rows: i64) -> Made {
    Made::default()
        .input("x", FLOAT, &[rows, 6])
        .input("n", INT64, &[rows, 6])
        .floats("z", &[6])
        .node("a = Exp(x)", vec![])
        .node("b = Add(a, z)", vec![])
        .node("c = Sqrt(b)", vec![])
        .node("d = Greater(b, x)", vec![])
        .node("e = Cast(d)", vec![int("to", 7)])
        .node("f = Mul(e, n)", vec![])
        .node("g = Cast(f)", vec![int("to", 1)])
        .node("h = Mul(g, c)", vec![])
        .output("h")
}

#[test]
fn what_lies_between_programs_is_in_no_memory() {
    let general = diamond(4).lower().unwrap();
    assert!(general.arena > 0 && general.steps.len() > 2, "{general}");
    let plan = fused(diamond(4));
    assert_eq!(kernels(&plan), ["fused_chain"]);
    assert_eq!((plan.arena, plan.fused()), (0, 1));
    insta::assert_snapshot!(format!("{plan}\n{}", texts(&plan)));
}

#[test]
fn plans_for_other_numbers_of_rows_share_the_kernels() {
    let names = |rows| -> Vec<String> {
        let plan = fused(diamond(rows));
        plan.codes().map(|code| code.name().to_owned()).collect()
    };
    assert_eq!(names(4), names(100));
    assert_eq!(names(4).len(), 1);
}

#[test]
fn what_is_asked_for_is_written() {
    let plan = fused(diamond(4).output("c").output("e"));
    assert_eq!(kernels(&plan), ["fused_chain"]);
    let written: Vec<&Place> = match &plan.steps[0] {
        Step::Kernel(launch) => launch.addresses.iter().map(|(_, place)| place).collect(),
        Step::Product(_) | Step::Convolution(_) => unreachable!(),
    };
    for index in 0..3 {
        assert!(
            written.contains(&&Place::Output { index, offset: 0 }),
            "{plan}"
        );
    }
}

#[test]
fn what_nobody_asks_for_is_not_done() {
    let made = diamond(4).number("k", 2.0);
    let plan = fused(
        made.node("i = Neg(k)", vec![])
            .node("j = Exp(n2)", vec![])
            .input("n2", FLOAT, &[7]),
    );
    assert_eq!(kernels(&plan), ["fused_chain"], "{plan}");
}

#[test]
fn what_others_write_is_there_for_all_threads() {
    // What a program reads in another order was written by other threads: that is another launch.
    let plan = fused(
        Made::default()
            .input("x", FLOAT, &[4, 6])
            .node("a = Exp(x)", vec![])
            .node("t = Transpose(a)", vec![])
            .node("b = Sqrt(t)", vec![])
            .node("c = Neg(a)", vec![])
            .output("b")
            .output("c"),
    );
    let names = kernels(&plan);
    assert_eq!(
        names.iter().filter(|name| **name == "fused_chain").count(),
        2,
        "{plan}"
    );
    // A product between reads what the first writes, and is read by the last, which cannot go before it.
    let plan = fused(
        Made::default()
            .input("x", FLOAT, &[4, 4])
            .input("y", FLOAT, &[4, 4])
            .node("a = Exp(x)", vec![])
            .node("s = Softmax(a)", vec![])
            .node("b = Mul(s, a)", vec![])
            .node("c = Mul(y, a)", vec![])
            .output("b")
            .output("c"),
    );
    assert_eq!(
        kernels(&plan),
        ["fused_chain", "softmax", "fused_chain"],
        "{plan}"
    );
}

#[test]
fn long_chains_are_several_kernels_and_those_of_other_sizes_too() {
    let mut made = Made::default().input("v0", DOUBLE, &[3, 5]);
    for at in 0..450 {
        made = made.node(&format!("v{} = Sin(v{at})", at + 1), vec![]);
    }
    let plan = fused(made.output("v450"));
    assert!((3..6).contains(&plan.steps.len()), "{plan}");
    let plan = fused(
        Made::default()
            .input("x", FLOAT, &[4, 6])
            .input("y", FLOAT, &[4, 7])
            .node("a = Exp(x)", vec![])
            .node("b = Exp(y)", vec![])
            .output("a")
            .output("b"),
    );
    // The same kernel twice: only the number of elements differs.
    assert_eq!(kernels(&plan), ["fused_chain", "fused_chain"]);
    assert_eq!(plan.fused(), 1);
}

#[test]
fn large_programs_that_have_nothing_in_common_stay_alone() {
    let pair = |rows| {
        let made = Made::default()
            .input("x", FLOAT, &[rows, 64])
            .input("y", FLOAT, &[rows, 64])
            .node("a = Exp(x)", vec![])
            .node("b = Neg(y)", vec![]);
        fused(made.output("a").output("b")).steps.len()
    };
    assert_eq!((pair(1024), pair(1025)), (1, 2));
}

#[test]
fn small_layers_are_one_kernel() {
    let plan = fused(mlp());
    assert_eq!(kernels(&plan), ["fused_mlp", "softmax"]);
    insta::assert_snapshot!(format!("{plan}\n{}", texts(&plan)));
}

#[test]
fn layers_that_are_wide_alone_or_read_by_others_stay_products() {
    let wide = Made::default()
        .input("x", FLOAT, &[8, 30])
        .floats("w1", &[30, 129])
        .floats("w2", &[129, 3])
        .node("h = MatMul(x, w1)", vec![])
        .node("y = MatMul(h, w2)", vec![])
        .output("y");
    assert_eq!(kernels(&fused(wide)), ["gemm_f32", "gemm_f32"]);
    let read = mlp().output("a");
    assert_eq!(kernels(&fused(read)), ["gemm_f32", "gemm_f32", "softmax"]);
    let deep = (0..12).fold(Made::default().input("h0", FLOAT, &[8, 100]), |made, at| {
        made.floats(&format!("w{at}"), &[100, 100])
            .node(&format!("h{} = MatMul(h{at}, w{at})", at + 1), vec![])
    });
    // 40 kB of weights each: two fit into the shared memory of a block.
    let names = kernels(&fused(deep.output("h12")));
    assert_eq!(names, ["fused_mlp"; 6]);
    let tf32 = Products {
        math: Math::Tf32,
        library: true,
        ..FUSED
    };
    let plan = mlp().lower_by(17, tf32).unwrap();
    assert_eq!(kernels(&plan), ["cublaslt", "cublaslt", "softmax"]);
}
