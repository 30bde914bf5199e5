//! A chain of elementwise programs as one kernel: every thread does for one element at a time what all of them do, and
//! what goes from one to the next stays in registers.
//!
//! Each operator is the expression of `kernels/operators.cuh`, and what would have gone through memory is rounded as memory
//! would have: so the kernel gives what the programs give, one after another.

use std::{collections::HashMap, fmt::Write as _};

use super::{Code, NAME};
use crate::{
    engine::cuda::{
        launch::{
            Base, Params, Spot, TooLarge,
            pointwise::{Arg, Bits, Class, Operand, Program, joined},
        },
        plan::Launch,
    },
    graph::tensor::Element,
};

/// What a chain may have: what is beyond makes no launch cheaper.
const MOST_ADDRESSES: usize = 32;
const MOST_INSTRUCTIONS: usize = 200;
/// Programs that have no value in common are joined up to so many elements: a launch is what costs then. All that a chain
/// writes needs memory at the same time, so larger ones would take more of that, and no less time.
const SMALL: usize = 1 << 16;

/// Programs that go over as many elements each, in their order. Each reads what those before it write only
/// where it writes itself: at its own element.
#[derive(Debug, Clone, Default)]
pub(in crate::engine::cuda) struct Chain {
    pub(in crate::engine::cuda) programs: Vec<Program>,
}

/// Whether the element that is computed is where it lies: one after another, from the beginning on.
fn is_plain(program: &Program, operand: &Operand) -> bool {
    let (_, strides) = joined(&program.dims, &[&operand.stride]);
    matches!(strides.first().map(Vec::as_slice), None | Some([] | [1]))
}

fn buffer(operand: &Operand) -> Option<usize> {
    match operand.at.base {
        Base::Buffer(buffer) => Some(buffer),
        _ => None,
    }
}

fn count(program: &Program) -> usize {
    program.dims.iter().product()
}

impl Chain {
    /// Buffers that are read; or that are written.
    pub(in crate::engine::cuda) fn reads(&self) -> impl Iterator<Item = usize> {
        let inputs = self.programs.iter().flat_map(|program| &program.inputs);
        inputs.filter_map(buffer)
    }

    pub(in crate::engine::cuda) fn writes(&self) -> impl Iterator<Item = usize> {
        let outputs = self.programs.iter().flat_map(|program| &program.outputs);
        outputs.filter_map(|(_, operand)| buffer(operand))
    }

    /// Each operand that lies in a buffer, and whether it is plain.
    fn places(&self, of: usize) -> impl Iterator<Item = (&Operand, bool)> {
        let all = self.programs.iter().flat_map(|program| {
            let outputs = program.outputs.iter().map(|(_, operand)| operand);
            let both = program.inputs.iter().chain(outputs);
            both.map(move |operand| (operand, is_plain(program, operand)))
        });
        all.filter(move |(operand, _)| buffer(operand) == Some(of))
    }

    /// Whether the program can be the next.
    pub(in crate::engine::cuda) fn takes(&self, next: &Program) -> bool {
        let Some(first) = self.programs.first() else {
            return true;
        };
        let size = |of: fn(&Program) -> usize| -> usize {
            self.programs.iter().chain([next]).map(of).sum()
        };
        let fits = size(|program| program.instructions.len()) <= MOST_INSTRUCTIONS
            && size(|program| program.inputs.len() + program.outputs.len()) <= MOST_ADDRESSES;
        // What a buffer holds is there for the same thread alone, until the kernel ends.
        let same = |operand: &Operand| {
            buffer(operand).is_none_or(|buffer| {
                let plain = is_plain(next, operand);
                self.places(buffer).all(|(held, held_plain)| {
                    plain && held_plain && (held.at, held.element) == (operand.at, operand.element)
                })
            })
        };
        let written = |operand: &Operand| {
            buffer(operand).is_some_and(|buffer| self.writes().any(|held| held == buffer))
        };
        let shared = |operand: &Operand| {
            let touched = self.reads().chain(self.writes());
            buffer(operand).is_some_and(|buffer| touched.into_iter().any(|held| held == buffer))
        };
        fits && count(first) == count(next)
            && (count(next) <= SMALL || next.inputs.iter().any(shared))
            && (next.inputs.iter()).all(|operand| !written(operand) || same(operand))
            && next.outputs.iter().all(|(_, operand)| same(operand))
    }

    /// The launch. `wanted` says whether anything else needs a buffer: what nothing needs is not written.
    ///
    /// # Errors
    /// A type that kernels do not have, or too many elements.
    pub(in crate::engine::cuda) fn launch(
        &self,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Launch<Spot>, TooLarge> {
        let count = self.programs.first().map_or(0, count);
        let mut writer = Writer {
            wide: u32::try_from(count).is_err(),
            ..Writer::default()
        };
        for program in &self.programs {
            writer.program(program, &wanted)?;
        }
        let addresses = writer.spots.len();
        let at = if writer.wide { "int64_t" } else { "uint32_t" };
        let text = format!(
            "extern \"C\" __global__ void __launch_bounds__(256) {NAME}(const __grid_constant__ ChainArgs<{addresses}> args) {{\n    \
             for (int64_t i = first_of_thread(); i < args.count; i += grid_step()) {{\n        \
             const {at} at = {at}(i);\n{}    }}\n}}\nFUSED_KERNEL({NAME}, ChainArgs<{addresses}>)\n",
            writer.lines
        );
        let mut params = Params::default();
        params.count(count);
        for spot in writer.spots {
            params.at(spot);
        }
        let code = Code::new("chain", &text);
        let launch = params.over("fused_chain", count)?;
        Ok(Launch {
            code: Some(code.into()),
            ..launch
        })
    }
}

fn type_of(class: Class) -> (&'static str, Element) {
    match class {
        Class::F32 => ("float", Element::Float32),
        Class::F64 => ("double", Element::Float64),
        Class::I64 => ("int64_t", Element::Int64),
    }
}

/// As `kernels/common.cuh` calls it.
fn name_of(element: Element) -> Result<&'static str, TooLarge> {
    Ok(match element {
        Element::Float32 => "float",
        Element::Float16 => "Half",
        Element::Bfloat16 => "Bfloat",
        Element::Float64 => "double",
        Element::Int32 => "int32_t",
        Element::Int64 => "int64_t",
        Element::Uint8 => "uint8_t",
        Element::Bool => "Bool",
        Element::Int8 => "int8_t",
        Element::Uint32 => "uint32_t",
        Element::Uint64 => "uint64_t",
        Element::Int16 => "int16_t",
        Element::Uint16 => "uint16_t",
        _ => return Err(TooLarge),
    })
}

/// Writes the inside of the loop.
#[derive(Debug, Default)]
struct Writer {
    lines: String,
    spots: Vec<Spot>,
    /// What was written so far: the variable, and what it was computed in.
    written: HashMap<(Spot, Element), (String, Class)>,
    /// What was read so far, by how it is read.
    read: HashMap<String, String>,
    variables: usize,
    /// More elements than 32 bits count.
    wide: bool,
}

impl Writer {
    fn variable(&mut self, class: Class, value: &str) -> String {
        let name = format!("v{}", self.variables);
        self.variables += 1;
        // Writing to a string cannot fail.
        let _written = writeln!(
            self.lines,
            "        const {} {name} = {value};",
            type_of(class).0
        );
        name
    }

    fn address(&mut self, spot: Spot) -> usize {
        let known = self.spots.iter().position(|known| *known == spot);
        known.unwrap_or_else(|| {
            self.spots.push(spot);
            self.spots.len() - 1
        })
    }

    fn program(
        &mut self,
        program: &Program,
        wanted: &impl Fn(usize) -> bool,
    ) -> Result<(), TooLarge> {
        let class = program.class;
        let inputs = program.inputs.iter();
        let inputs: Vec<String> = inputs
            .map(|operand| self.input(program, operand))
            .collect::<Result<_, _>>()?;
        let mut made: Vec<String> = Vec::with_capacity(program.instructions.len());
        let named = |arg: &Arg, made: &[String]| {
            let found = match arg {
                Arg::In(at) => inputs.get(*at),
                Arg::Made(at) => made.get(*at),
            };
            found.cloned().ok_or(TooLarge)
        };
        for step in &program.instructions {
            let mut args = step
                .args
                .iter()
                .map(|arg| named(arg, &made))
                .collect::<Result<Vec<_>, _>>()?;
            let [Bits(first), Bits(second)] = step.constants;
            if first != 0 || second != 0 {
                args.resize(3, "0".to_owned());
                args.push(format!("{first:#x}ull"));
                args.push(format!("{second:#x}ull"));
            } else if args.is_empty() {
                args.push("0".to_owned());
            }
            let value = format!(
                "step<{} /* {:?} */, {}>({})",
                step.op as u8,
                step.op,
                type_of(class).0,
                args.join(", ")
            );
            made.push(self.variable(class, &value));
        }
        for (from, operand) in &program.outputs {
            let value = named(from, &made)?;
            self.output(program, operand, &value, wanted)?;
        }
        Ok(())
    }

    fn input(&mut self, program: &Program, operand: &Operand) -> Result<String, TooLarge> {
        let (class, element) = (program.class, operand.element);
        let (own, natural) = type_of(class);
        if let Some((made, of)) = self.written.get(&(operand.at, element)).cloned() {
            if of == class && element == natural {
                return Ok(made);
            }
            let (kept, of) = (name_of(element)?, type_of(of).0);
            return Ok(self.variable(class, &format!("by_way_of<{kept}, {of}, {own}>({made})")));
        }
        let (at, place) = (self.address(operand.at), self.offset(program, operand));
        let value = format!("read<{}, {own}>(args.at[{at}], {place})", name_of(element)?);
        if let Some(known) = self.read.get(&value) {
            return Ok(known.clone());
        }
        let variable = self.variable(class, &value);
        self.read.insert(value, variable.clone());
        Ok(variable)
    }

    fn output(
        &mut self,
        program: &Program,
        operand: &Operand,
        value: &str,
        wanted: &impl Fn(usize) -> bool,
    ) -> Result<(), TooLarge> {
        let element = operand.element;
        if is_plain(program, operand) {
            let made = (value.to_owned(), program.class);
            self.written.insert((operand.at, element), made);
        }
        if buffer(operand).is_some_and(|buffer| !wanted(buffer)) {
            return Ok(());
        }
        let (at, place) = (self.address(operand.at), self.offset(program, operand));
        let (kept, of) = (name_of(element)?, type_of(program.class).0);
        // Writing to a string cannot fail.
        let _written = writeln!(
            self.lines,
            "        write<{kept}, {of}>(args.at[{at}], {place}, {value});"
        );
        Ok(())
    }

    /// Where the element lies, in elements. The outermost size, which is mostly the rows, is not in it.
    fn offset(&self, program: &Program, operand: &Operand) -> String {
        let (size, strides) = joined(&program.dims, &[&operand.stride]);
        let strides = strides.into_iter().next().unwrap_or_default();
        let end = if self.wide { "ull" } else { "u" };
        let mut terms = Vec::new();
        let mut inner = 1_usize;
        for (at, (size, stride)) in size.iter().zip(strides).enumerate().rev() {
            let mut index = "at".to_owned();
            if inner > 1 {
                index += &format!(" / {inner}{end}");
            }
            if at > 0 {
                index += &format!(" % {size}{end}");
            }
            match stride {
                0 => {}
                1 => terms.push(format!("int64_t({index})")),
                stride => terms.push(format!("int64_t({index}) * {stride}")),
            }
            inner = inner.saturating_mul(*size);
        }
        if terms.is_empty() {
            return "0".to_owned();
        }
        terms.reverse();
        terms.join(" + ")
    }
}
