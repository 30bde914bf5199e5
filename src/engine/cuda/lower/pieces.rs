//! From what was emitted to the steps of a plan.
//!
//! Where kernels may be compiled for the model, small products that follow each other become one step, and so do
//! elementwise programs that go over as many elements. What lies between these and nobody else reads is then in no
//! memory.

use std::collections::HashMap;

use super::{
    Missing, Products, Uncovered,
    emit::{Draft, Work},
    finish::about,
};
use crate::engine::cuda::{
    fused::{chain::Chain, mlp::Mlp},
    launch::{Base, Spot, gemm::Gemm, pointwise::Program},
    plan::Step,
    product::Math,
};

/// How many parts back a program is moved to join another: no further, so that long plans take no long time.
const FURTHEST: usize = 16;

/// A part of the plan.
#[derive(Debug)]
enum Piece {
    Step(Step<Spot>),
    Gemm(Gemm),
    Program(Program),
    Chain(Chain),
}

/// A part and the node that it is for.
type Named = (Piece, String);

/// The steps; `given` says which buffers are outputs of the plan.
///
/// # Errors
/// The first part that nothing can do.
pub(super) fn steps(
    drafts: Vec<Option<Draft>>,
    products: Products,
    given: impl Fn(usize) -> bool,
) -> Result<Vec<Step<Spot>>, Uncovered> {
    let mut pieces: Vec<Named> = Vec::with_capacity(drafts.len());
    for Draft { work, node } in drafts.into_iter().flatten() {
        let piece = match work {
            Work::Launch(launch) => Piece::Step(Step::Kernel(launch)),
            Work::Convolution(convolution) => Piece::Step(Step::Convolution(convolution)),
            // There are none left: whoever lays the plan out knows their filters.
            Work::Conv(conv) => {
                let launch = conv.launch(Math::Single);
                let launch = launch.map_err(|why| about(&node, why.into()))?;
                Piece::Step(Step::Kernel(launch))
            }
            Work::Program(program, _) => Piece::Program(program),
            Work::Gemm(gemm) => Piece::Gemm(gemm),
        };
        pieces.push((piece, node));
    }
    if products.fused && products.math == Math::Single {
        pieces = with_mlps(pieces, &given)?;
    }
    pieces = without_products(pieces, products)?;
    if products.fused {
        pieces = with_chains(pieces);
    }
    let users = users(&pieces);
    let mut steps = Vec::with_capacity(pieces.len());
    for (at, (piece, node)) in pieces.into_iter().enumerate() {
        // By what comes later.
        let wanted = |buffer| {
            let mut all = users.get(&buffer).into_iter().flatten();
            given(buffer) || all.any(|user| *user > at)
        };
        let launch = match piece {
            Piece::Step(step) => {
                steps.push(step.named(&node));
                continue;
            }
            Piece::Program(program) => program.launch(),
            // What nobody asks for.
            Piece::Chain(chain) if !chain.writes().any(&wanted) => continue,
            Piece::Chain(chain) => chain.launch(wanted),
            // There are none left.
            Piece::Gemm(gemm) => gemm.launch(gemm.math(products.math)),
        };
        let launch = launch.map_err(|why| about(&node, why.into()))?;
        steps.push(Step::Kernel(launch).named(&node));
    }
    Ok(steps)
}

/// The buffers that a part reads, and those that it writes. What is not known counts as both.
fn touched(piece: &Piece) -> [Vec<usize>; 2] {
    let buffer = |spot: &Spot| match spot.base {
        Base::Buffer(buffer) => Some(buffer),
        _ => None,
    };
    match piece {
        Piece::Step(Step::Kernel(launch)) => {
            let places = launch.addresses.iter();
            let all: Vec<usize> = places.filter_map(|(_, spot)| buffer(spot)).collect();
            [all.clone(), all]
        }
        Piece::Step(Step::Product(product)) => {
            let spots = product.operands.each();
            let (writes, reads): (Vec<_>, Vec<_>) = spots.partition(|(name, _)| *name == "d");
            [reads, writes].map(|side| side.iter().filter_map(|(_, spot)| buffer(spot)).collect())
        }
        Piece::Step(Step::Convolution(convolution)) => {
            let spots = convolution.operands.each();
            let (writes, reads): (Vec<_>, Vec<_>) = spots.partition(|(name, _)| *name == "y");
            [reads, writes].map(|side| side.iter().filter_map(|(_, spot)| buffer(spot)).collect())
        }
        Piece::Gemm(gemm) => {
            let read = [Some(gemm.a), Some(gemm.b), gemm.c];
            let reads = read.iter().flatten();
            [
                reads.filter_map(|matrix| buffer(&matrix.at)).collect(),
                buffer(&gemm.d.at).into_iter().collect(),
            ]
        }
        Piece::Program(program) => {
            let outputs = program.outputs.iter().map(|(_, operand)| operand);
            [
                program
                    .inputs
                    .iter()
                    .filter_map(|held| buffer(&held.at))
                    .collect(),
                outputs.filter_map(|held| buffer(&held.at)).collect(),
            ]
        }
        Piece::Chain(chain) => [chain.reads().collect(), chain.writes().collect()],
    }
}

/// The parts that touch each buffer.
fn users(pieces: &[Named]) -> HashMap<usize, Vec<usize>> {
    let mut users: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, (piece, _)) in pieces.iter().enumerate() {
        for buffer in touched(piece).into_iter().flatten() {
            users.entry(buffer).or_default().push(at);
        }
    }
    users
}

/// Small layers that follow each other are one kernel.
fn with_mlps(pieces: Vec<Named>, given: &impl Fn(usize) -> bool) -> Result<Vec<Named>, Uncovered> {
    let users = users(&pieces);
    let mut done = Vec::with_capacity(pieces.len());
    let mut at = 0;
    while let Some((_, node)) = pieces.get(at) {
        let rest = pieces.get(at..).unwrap_or_default();
        let products = rest.iter().map_while(|(piece, _)| match piece {
            Piece::Gemm(gemm) => Some(gemm),
            _ => None,
        });
        // What lies between two layers: these two alone touch it.
        let alone = |buffer: usize| {
            let two = users.get(&buffer).map_or(0, Vec::len);
            two == 2 && !given(buffer)
        };
        let Some(mlp) = Mlp::of(products, alone) else {
            at += 1;
            continue;
        };
        let launch = mlp.launch().map_err(|why| about(node, why.into()))?;
        let last = pieces.get(at + mlp.len() - 1).map_or("", |(_, last)| last);
        done.push((at, mlp.len(), launch, both(node, last)));
        at += mlp.len();
    }
    let mut pieces = pieces.into_iter().enumerate();
    let mut all = Vec::with_capacity(pieces.len());
    let mut done = done.into_iter().peekable();
    while let Some((at, piece)) = pieces.next() {
        let Some((_, count, launch, node)) = done.next_if(|(first, ..)| *first == at) else {
            all.push(piece);
            continue;
        };
        all.push((Piece::Step(Step::Kernel(launch)), node));
        for _ in 1..count {
            pieces.next();
        }
    }
    Ok(all)
}

/// What joined parts are for: the first and the last node.
fn both(first: &str, last: &str) -> String {
    if first == last {
        return first.to_owned();
    }
    let first = first.split(" .. ").next().unwrap_or(first);
    format!("{first} .. {last}")
}

/// Products by the library where it can, else by a kernel.
fn without_products(pieces: Vec<Named>, products: Products) -> Result<Vec<Named>, Uncovered> {
    let mut done = Vec::with_capacity(pieces.len());
    for (piece, node) in pieces {
        let Piece::Gemm(gemm) = piece else {
            done.push((piece, node));
            continue;
        };
        let made = product(&gemm, products).map_err(|missing| about(&node, missing))?;
        done.extend(made.into_iter().map(|piece| (piece, node.clone())));
    }
    Ok(done)
}

fn product(gemm: &Gemm, products: Products) -> Result<Vec<Piece>, Missing> {
    let math = gemm.math(products.math);
    if products.library
        && let Some(by_library) = gemm.by_library(math)
    {
        let rest = by_library.rest.map(Piece::Program);
        let product = Piece::Step(Step::Product(by_library.product));
        return Ok(std::iter::once(product).chain(rest).collect());
    }
    Ok(vec![Piece::Step(Step::Kernel(gemm.launch(math)?))])
}

/// Programs that can be done together are one chain, where the first of them is.
fn with_chains(pieces: Vec<Named>) -> Vec<Named> {
    let mut done: Vec<Named> = Vec::with_capacity(pieces.len());
    for (piece, node) in pieces {
        let Piece::Program(program) = piece else {
            done.push((piece, node));
            continue;
        };
        let piece = Piece::Program(program.clone());
        let place = joinable(&done, &program, &touched(&piece));
        let held = place.and_then(|place| done.get_mut(place));
        if let Some((Piece::Chain(chain), held)) = held {
            chain.programs.push(program);
            *held = both(held, &node);
        } else {
            let programs = vec![program];
            done.push((Piece::Chain(Chain { programs }), node));
        }
    }
    done
}

/// The chain that takes the program: the last that does, where nothing behind it must come before the program.
fn joinable(done: &[Named], program: &Program, [reads, writes]: &[Vec<usize>; 2]) -> Option<usize> {
    for (at, (piece, _)) in done.iter().enumerate().rev().take(FURTHEST) {
        if let Piece::Chain(chain) = piece
            && chain.takes(program)
        {
            return Some(at);
        }
        let [other_reads, other_writes] = touched(piece);
        let meets = |one: &[usize], other: &[usize]| one.iter().any(|held| other.contains(held));
        if meets(&other_writes, reads)
            || meets(&other_writes, writes)
            || meets(&other_reads, writes)
        {
            return None;
        }
    }
    None
}
