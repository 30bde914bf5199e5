//! Pictures with the channels of each pixel side by side: which steps work on such, and what turns pictures for the others.
//!
//! They stay so from one convolution to the next, and through elementwise programs between, in the type that is multiplied. What
//! else reads them gets them turned back, and what comes from elsewhere is turned once.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use super::{
    Missing,
    emit::{Draft, Emitter, Work},
    value::dense_strides,
};
use crate::{
    engine::cuda::{
        convolution::{Convolution, Operands, Order},
        device::ALIGNED,
        launch::{
            Base, Spot,
            conv::Conv,
            convolved::{Sizes, in_place, turned},
            pointwise::{Class, Operand, Program},
        },
    },
    graph::tensor::{Element, shortened},
};

/// Pictures whose channels lie side by side.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// The convolutions that the library does so, by their places among the drafts.
    taken: HashSet<usize>,
    /// Buffers that only such convolutions make and read, as a whole: nobody needs them as planes.
    only: HashSet<usize>,
    /// Where pictures are, by where they are as planes.
    made: HashMap<(Spot, Sizes), Spot>,
}

impl Beside {
    pub(super) fn of(emitter: &Emitter, drafts: &[Draft], given: impl Fn(usize) -> bool) -> Self {
        let math = emitter.products.math;
        let can = |conv: &Conv| {
            let constant = |spot: &Spot| matches!(spot.base, Base::Constant(_));
            let bias = conv.bias.as_ref();
            let bias = bias.is_none_or(|bias| {
                constant(bias) || math.element() == Element::Float32 && is_aligned(*bias)
            });
            bias && constant(&conv.w) && conv.by_cudnn(math, Order::Channels).is_some()
        };
        let mut taken = HashSet::new();
        // Pictures that will be there with their channels side by side.
        let mut within: HashSet<(Spot, Sizes)> = HashSet::new();
        // How each buffer is used: as which pictures by these convolutions, or otherwise.
        let mut uses: HashMap<usize, Option<(Spot, Sizes)>> = HashMap::new();
        let mut used = |spot: Spot, pictures: Option<Sizes>| {
            if let Base::Buffer(buffer) = spot.base {
                let as_what = pictures.map(|sizes| (spot, sizes));
                let held = uses.entry(buffer).or_insert(as_what);
                if *held != as_what {
                    *held = None;
                }
            }
        };
        for (at, draft) in drafts.iter().enumerate() {
            match &draft.work {
                Work::Conv(conv) if can(conv) => {
                    taken.insert(at);
                    for (spot, sizes) in conv.pictures() {
                        if let Some(spot) = spot {
                            used(spot, Some(sizes));
                        }
                    }
                    conv.bias.into_iter().for_each(|spot| used(spot, None));
                    within.insert((conv.y, conv.pictures()[2].1));
                }
                // What follows such a convolution elementwise, as the activations do that are several operators.
                Work::Program(program, _) if follows(program, &within) => {
                    taken.insert(at);
                    let result = result_of(program);
                    let sizes = result.map(|(_, sizes)| sizes);
                    within.extend(result);
                    for operand in &program.inputs {
                        let picture = is_picture(program, operand);
                        used(operand.at, sizes.filter(|_| picture));
                    }
                    if let Some((spot, sizes)) = result {
                        used(spot, Some(sizes));
                    }
                }
                work => spots(work).into_iter().for_each(|spot| used(spot, None)),
            }
        }
        let only = uses.into_iter().filter(|(buffer, as_what)| {
            let whole = as_what.is_some_and(|(spot, _)| spot.offset == 0);
            whole && !given(*buffer)
        });
        Self {
            taken,
            only: only.map(|(buffer, _)| buffer).collect(),
            made: HashMap::new(),
        }
    }

    /// Whether the step at this place among the drafts is done so.
    pub(super) fn takes(&self, at: usize) -> bool {
        self.taken.contains(&at)
    }

    /// What does a convolution.
    pub(super) fn convolution(
        &mut self,
        emitter: &mut Emitter,
        conv: &Conv,
    ) -> Result<Vec<Work>, Missing> {
        let math = emitter.products.math;
        let element = math.element();
        let lost = || Missing::new("way to turn these pictures");
        let by = conv.by_cudnn(math, Order::Channels).ok_or_else(lost)?;
        let mut works = Vec::new();
        let [x, add, y] = conv.pictures();
        let [x, add] = [x, add].map(|(spot, sizes)| {
            let spot = spot.map(|spot| self.turned(emitter, spot, sizes, &mut works));
            spot.transpose()
        });
        let (to, sizes) = (conv.y, y.1);
        let result = self.result(emitter, to, sizes);
        let operands = Operands {
            x: x?.ok_or_else(lost)?,
            w: filters(emitter, conv, element).ok_or_else(lost)?,
            bias: if by.shape.bias {
                Some(bias(emitter, conv, element).ok_or_else(lost)?)
            } else {
                None
            },
            add: add?,
            y: result,
        };
        let rest = by
            .rest
            .map(|op| in_place(op, result, element, sizes.iter().product()));
        works.push(Work::Convolution(Box::new(Convolution {
            shape: by.shape,
            operands,
            rest: rest.map(|rest| rest.launch()).transpose()?,
            instead: None,
            node: String::new(),
        })));
        works.extend(self.back(emitter, to, sizes, result)?);
        Ok(works)
    }

    /// What does a program that `Beside::of` took.
    pub(super) fn program(
        &mut self,
        emitter: &mut Emitter,
        program: &Program,
    ) -> Result<Vec<Work>, Missing> {
        let element = emitter.products.math.element();
        let lost = || Missing::new("way to turn these pictures");
        let (to, sizes) = result_of(program).ok_or_else(lost)?;
        let mut works = Vec::new();
        let dims = channels_last(&program.dims);
        let dense = dense_strides(&dims);
        let mut inputs = Vec::with_capacity(program.inputs.len());
        for operand in &program.inputs {
            inputs.push(if is_picture(program, operand) {
                Operand {
                    at: self.turned(emitter, operand.at, sizes, &mut works)?,
                    element,
                    stride: dense.clone(),
                }
            } else {
                Operand {
                    stride: channels_last(&operand.stride),
                    ..operand.clone()
                }
            });
        }
        let result = self.result(emitter, to, sizes);
        let outputs = program.outputs.iter().map(|(arg, _)| {
            let operand = Operand {
                at: result,
                element,
                stride: dense.clone(),
            };
            (*arg, operand)
        });
        let turned = Program {
            dims,
            inputs,
            outputs: outputs.collect(),
            ..program.clone()
        };
        works.push(Work::Launch(turned.launch()?));
        works.extend(self.back(emitter, to, sizes, result)?);
        Ok(works)
    }

    /// Where a result goes that would go here as planes.
    fn result(&mut self, emitter: &mut Emitter, to: Spot, sizes: Sizes) -> Spot {
        let element = emitter.products.math.element();
        let result = if is_alike(to, sizes, element) {
            to
        } else {
            buffer(emitter, sizes, element)
        };
        self.made.insert((to, sizes), result);
        result
    }

    /// What turns a result back, where anybody reads it as planes.
    fn back(
        &self,
        emitter: &Emitter,
        to: Spot,
        sizes: Sizes,
        result: Spot,
    ) -> Result<Option<Work>, Missing> {
        let hidden = matches!(to.base, Base::Buffer(buffer) if self.only.contains(&buffer));
        if result == to || hidden {
            return Ok(None);
        }
        let from = (result, emitter.products.math.element());
        let back = turned(sizes, from, (to, Element::Float32), Order::Planes);
        Ok(Some(Work::Launch(back.launch()?)))
    }

    /// Where these pictures are with their channels side by side; a step more where they are not yet.
    fn turned(
        &mut self,
        emitter: &mut Emitter,
        spot: Spot,
        sizes: Sizes,
        works: &mut Vec<Work>,
    ) -> Result<Spot, Missing> {
        if let Some(made) = self.made.get(&(spot, sizes)) {
            return Ok(*made);
        }
        let element = emitter.products.math.element();
        if is_alike(spot, sizes, element) {
            return Ok(spot);
        }
        let made = buffer(emitter, sizes, element);
        let from = (spot, Element::Float32);
        let program = turned(sizes, from, (made, element), Order::Channels);
        works.push(Work::Launch(program.launch()?));
        self.made.insert((spot, sizes), made);
        Ok(made)
    }
}

/// The first of the axes behind the rows as the last.
fn channels_last<T: Copy>(planes: &[T]) -> Vec<T> {
    match planes {
        [rows, channels, rest @ ..] => [&[*rows][..], rest, &[*channels]].concat(),
        short => short.to_vec(),
    }
}

/// Where the one result of a program goes, where that is pictures as planes.
fn result_of(program: &Program) -> Option<(Spot, Sizes)> {
    let [(_, operand)] = program.outputs.as_slice() else {
        return None;
    };
    let [n, channels, rest @ ..] = program.dims.as_slice() else {
        return None;
    };
    let pixels = rest.iter().product();
    (matches!(rest.len(), 1 | 2) && is_picture(program, operand))
        .then_some((operand.at, [*n, *channels, pixels]))
}

/// Whether the program goes through all of the operand as pictures lie as planes.
fn is_picture(program: &Program, operand: &Operand) -> bool {
    let constant = matches!(operand.at.base, Base::Constant(_));
    let dense = operand.stride == dense_strides(&program.dims);
    dense && !constant && operand.element == Element::Float32
}

/// Whether a program gives pictures of the size of some that it reads, and that are within.
fn follows(program: &Program, within: &HashSet<(Spot, Sizes)>) -> bool {
    let Some((_, sizes)) = result_of(program).filter(|_| program.class == Class::F32) else {
        return false;
    };
    (program.inputs.iter())
        .any(|operand| is_picture(program, operand) && within.contains(&(operand.at, sizes)))
}

/// Whether the library can read what lies here, as far as that is known while a plan is made: every base is aligned.
pub(super) fn is_aligned(spot: Spot) -> bool {
    usize::try_from(spot.offset).is_ok_and(|offset| offset.is_multiple_of(ALIGNED))
}

/// Whether both orders are the same, and the type is what it is as planes.
fn is_alike(spot: Spot, [_, channels, pixels]: Sizes, element: Element) -> bool {
    element == Element::Float32 && (channels == 1 || pixels == 1) && is_aligned(spot)
}

/// A buffer for so many numbers.
fn buffer(emitter: &mut Emitter, sizes: Sizes, element: Element) -> Spot {
    let count: usize = sizes.iter().product();
    emitter.buffers.push(count * element.bits() / 8);
    Spot {
        base: Base::Buffer(emitter.buffers.len() - 1),
        offset: 0,
    }
}

/// So many numbers of single precision of a constant.
fn numbers(emitter: &Emitter, spot: Spot, count: usize) -> Option<Bytes> {
    let Base::Constant(index) = spot.base else {
        return None;
    };
    let bytes = &emitter.constants.get(index)?.bytes;
    let from = usize::try_from(spot.offset).ok()?;
    let to = from.checked_add(count.checked_mul(4)?)?;
    (to <= bytes.len()).then(|| bytes.slice(from..to))
}

fn uploaded(emitter: &mut Emitter, singles: &Bytes, element: Element) -> Spot {
    if element == Element::Float32 {
        return emitter.upload(singles);
    }
    let short = shortened(singles, element);
    emitter.upload(&short)
}

/// The filters in this type, with the channels of each cell side by side.
fn filters(emitter: &mut Emitter, conv: &Conv, element: Element) -> Option<Spot> {
    let [height, width] = conv.window.kernel;
    let (cells, channels) = (height * width, conv.channels / conv.groups.max(1));
    let planes = numbers(emitter, conv.w, conv.filters * channels * cells)?;
    let cell = |at: usize| planes.get(at * 4..at * 4 + 4);
    let mut turned = Vec::with_capacity(planes.len());
    for filter in 0..conv.filters {
        for place in 0..cells {
            for channel in 0..channels {
                turned.extend_from_slice(cell((filter * channels + channel) * cells + place)?);
            }
        }
    }
    Some(uploaded(emitter, &Bytes::from(turned), element))
}

/// The bias in this type; zeros where there is none.
fn bias(emitter: &mut Emitter, conv: &Conv, element: Element) -> Option<Spot> {
    match conv.bias {
        None => Some(zeros(emitter, conv.filters, element)),
        Some(spot) if matches!(spot.base, Base::Constant(_)) => {
            let singles = numbers(emitter, spot, conv.filters)?;
            Some(uploaded(emitter, &singles, element))
        }
        // `Beside::of` takes it only where that is what the library reads.
        Some(spot) => (element == Element::Float32).then_some(spot),
    }
}

pub(super) fn zeros(emitter: &mut Emitter, count: usize, element: Element) -> Spot {
    emitter.upload(&Bytes::from(vec![0; count * element.bits() / 8]))
}

/// Everything that a step touches.
fn spots(work: &Work) -> Vec<Spot> {
    match work {
        Work::Launch(launch) => launch.addresses.iter().map(|(_, spot)| *spot).collect(),
        Work::Program(program, _) => {
            let outputs = program.outputs.iter().map(|(_, operand)| operand);
            let all = program.inputs.iter().chain(outputs);
            all.map(|operand| operand.at).collect()
        }
        Work::Gemm(gemm) => {
            let all = [Some(gemm.a), Some(gemm.b), gemm.c, Some(gemm.d)];
            all.into_iter().flatten().map(|matrix| matrix.at).collect()
        }
        Work::Conv(conv) => conv.spots().collect(),
        Work::Convolution(convolution) => {
            (convolution.operands.each().map(|(_, spot)| *spot)).collect()
        }
    }
}
