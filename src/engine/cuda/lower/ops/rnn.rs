//! Recurrent networks: one product for all time steps, then a product and a cell for each.

use super::{
    Lowered, Missing,
    call::{Call, signed, size},
    elementwise::class,
    emit::Emitter,
    fuse::Expression,
    matmul,
    shape::filled,
    value::Value,
    views::{cut, reshaped},
};
use crate::{
    engine::cuda::{
        launch::{
            Spot,
            gemm::{Activation, Gemm, Matrix},
            pointwise::Op,
            rnn::{self, Cell},
        },
        product::Math,
    },
    graph::tensor::Element,
};

/// Which network it is, and how many gates a cell has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Rnn,
    Gru,
    Lstm,
}

impl Kind {
    fn gates(self) -> usize {
        match self {
            Self::Rnn => 1,
            Self::Gru => 3,
            Self::Lstm => 4,
        }
    }
}

/// One direction of a network.
struct Direction {
    kind: Kind,
    /// Which it is, of how many.
    at: usize,
    of: usize,
    reverse: bool,
    activation: Activation,
    steps: usize,
    batch: usize,
    hidden: usize,
    linear_before_reset: bool,
}

/// The parts that a step reads and writes.
struct Parts {
    /// `[steps * batch, gates * hidden]`, with biases.
    x_gates: Value,
    r: Value,
    /// Bias of the GRU's hidden gate.
    rb: Option<Spot>,
    peephole: Option<Spot>,
    lengths: Option<Spot>,
    h: Value,
    c: Value,
    y: Value,
}

fn supported(call: &Call<'_>, kind: Kind, directions: usize) -> Result<Activation, Missing> {
    if call.int("layout", 0) != 0
        || call.int("input_forget", 0) != 0
        || call.attribute("clip").is_some()
    {
        return Err(Missing::new(
            "recurrent networks with layout, input_forget or clip",
        ));
    }
    let given = call.texts("activations").unwrap_or_default();
    let usual: &[&str] = match kind {
        Kind::Rnn => &["Tanh"],
        Kind::Gru => &["Sigmoid", "Tanh"],
        Kind::Lstm => &["Sigmoid", "Tanh", "Tanh"],
    };
    let relu = kind == Kind::Rnn && !given.is_empty() && given.iter().all(|name| name == "Relu");
    let expected = usual.iter().cycle().take(usual.len() * directions);
    if relu {
        return Ok(Activation::Relu);
    }
    if given.is_empty() || given.iter().map(String::as_str).eq(expected.copied()) {
        Ok(Activation::Tanh)
    } else {
        Err(Missing::new(format!(
            "recurrent networks with activations {given:?}"
        )))
    }
}

/// One direction's part of a value whose first dimension are directions.
fn part(emitter: &mut Emitter, value: &Value, at: usize) -> Result<Value, Missing> {
    let one = cut(emitter, value, 0, at, 1)?;
    let dims = one.dims.get(1..).unwrap_or_default().to_vec();
    reshaped(emitter, &one, &dims)
}

/// `LSTM`, `GRU` and `RNN`.
pub(in super::super) fn network(emitter: &mut Emitter, call: &Call<'_>, kind: Kind) -> Lowered {
    let (x, w) = (call.input(0)?, call.input(1)?);
    let &[steps, batch, _] = x.dims.as_slice() else {
        return Err(Missing::new("sequences of other than three dimensions"));
    };
    let inputs = [Some(x), Some(w), call.optional(2)?, call.optional(3)?];
    if inputs
        .iter()
        .flatten()
        .any(|value| value.element != Element::Float32)
    {
        return Err(Missing::new(
            "recurrent networks in other than single precision",
        ));
    }
    let hidden = size(call.int("hidden_size", 0))?;
    let of = w.dim(0);
    if hidden == 0 || steps == 0 || w.dim(1) != kind.gates() * hidden {
        return Err(Missing::new("recurrent networks of this shape"));
    }
    if kind == Kind::Rnn && call.given(4).is_some() {
        return Err(Missing::new("lengths of sequences"));
    }
    let activation = supported(call, kind, of)?;
    let y = emitter.make(Element::Float32, &[steps, of, batch, hidden]);
    let mut last: Vec<[Value; 2]> = Vec::new();
    for at in 0..of {
        let direction = Direction {
            kind,
            at,
            of,
            reverse: at == 1 || call.text("direction", "forward") == "reverse",
            activation,
            steps,
            batch,
            hidden,
            linear_before_reset: call.flag("linear_before_reset", false),
        };
        let parts = direction.parts(emitter, call, y.clone())?;
        direction.run(emitter, &parts)?;
        last.push([parts.h, parts.c]);
    }
    let mut made = vec![y];
    for which in 0..2 {
        let state = emitter.make(Element::Float32, &[of, batch, hidden]);
        let wanted = call.wants(1 + which) && (which == 0 || kind == Kind::Lstm);
        for (at, states) in last.iter().enumerate().filter(|_| wanted) {
            let to = part(emitter, &state, at)?;
            if let Some(from) = states.get(which) {
                emitter.copy_into(from, &to)?;
            }
        }
        made.push(state);
    }
    Ok(made)
}

impl Direction {
    #[expect(clippy::many_single_char_names, reason = "ONNX has these names")]
    fn parts(&self, emitter: &mut Emitter, call: &Call<'_>, y: Value) -> Result<Parts, Missing> {
        let (gates, hidden) = (self.kind.gates(), self.hidden);
        let x = call.input(0)?;
        let rows = reshaped(emitter, x, &[self.steps * self.batch, x.dim(2)])?;
        let w = part(emitter, call.input(1)?, self.at)?;
        let r = part(emitter, call.input(2)?, self.at)?;
        let mut x_gates = matmul::plain(emitter, &rows, &w, true)?;
        let mut rb = None;
        if let Some(bias) = call.optional(3)? {
            let bias = part(emitter, bias, self.at)?;
            let wb = cut(emitter, &bias, 0, 0, gates * hidden)?;
            let recurrent = cut(emitter, &bias, 0, gates * hidden, gates * hidden)?;
            let mut recurrent = recurrent;
            if self.kind == Kind::Gru {
                // The hidden gate's own is added where the reset gate was applied.
                let own = cut(emitter, &recurrent, 0, 2 * hidden, hidden)?;
                rb = Some(emitter.view(&own)?.0);
                let zero = Value::of_floats(&[0.0], Vec::new(), Element::Float32);
                let padded = filled(emitter, &zero, &[gates * hidden])?;
                let from = cut(emitter, &recurrent, 0, 0, 2 * hidden)?;
                let to = cut(emitter, &padded, 0, 0, 2 * hidden)?;
                emitter.copy_into(&from, &to)?;
                recurrent = padded;
            }
            let mut program = Expression::new(class(&[&wb])?);
            let args = [program.input(&wb), program.input(&recurrent)];
            let sum = program.op(Op::Add, &args);
            let sum = emitter.express_one(program, sum, Element::Float32)?;
            emitter.used_once(&x_gates);
            let mut program = Expression::new(class(&[&wb])?);
            let args = [program.input(&x_gates), program.input(&sum)];
            let result = program.op(Op::Add, &args);
            x_gates = emitter.express_one(program, result, Element::Float32)?;
        }
        let lengths = match call.optional(4)? {
            Some(lengths) if lengths.element == Element::Int32 => {
                Some(emitter.dense_spot(lengths)?)
            }
            Some(_) => return Err(Missing::new("lengths of another type than int32")),
            None => None,
        };
        let peephole = match (self.kind, call.optional(7)?) {
            (Kind::Lstm, Some(peephole)) => {
                let own = part(emitter, peephole, self.at)?;
                Some(emitter.dense_spot(&own)?)
            }
            _ => None,
        };
        let h = self.state(emitter, call.optional(5)?)?;
        let c = match self.kind {
            Kind::Lstm => self.state(emitter, call.optional(6)?)?,
            _ => h.clone(),
        };
        Ok(Parts {
            x_gates,
            r,
            rb,
            peephole,
            lengths,
            h,
            c,
            y,
        })
    }

    /// A state, which steps rewrite.
    fn state(&self, emitter: &mut Emitter, initial: Option<&Value>) -> Result<Value, Missing> {
        let dims = [self.batch, self.hidden];
        let Some(initial) = initial else {
            let zero = Value::of_floats(&[0.0], Vec::new(), Element::Float32);
            return filled(emitter, &zero, &dims);
        };
        let own = part(emitter, initial, self.at)?;
        let state = emitter.make(Element::Float32, &dims);
        emitter.copy_into(&own, &state)?;
        Ok(state)
    }

    fn run(&self, emitter: &mut Emitter, parts: &Parts) -> Result<(), Missing> {
        let order: Vec<usize> = if self.reverse {
            (0..self.steps).rev().collect()
        } else {
            (0..self.steps).collect()
        };
        let width = self.kind.gates() * self.hidden;
        let rh = emitter.make(Element::Float32, &[self.batch, self.hidden]);
        for time in order {
            let (gates_at, _) = emitter.view(&parts.x_gates)?;
            let (y_at, _) = emitter.view(&parts.y)?;
            let place = (time * self.of + self.at) * self.batch * self.hidden;
            let x_gates = Emitter::further(gates_at, signed(time * self.batch * width), 4);
            let y = Emitter::further(y_at, signed(place), 4);
            if self.kind == Kind::Rnn {
                let c = Some((x_gates, width));
                let to =
                    self.product(emitter, &parts.h, &parts.r, [0, width], c, (y, self.hidden))?;
                emitter.push(to.launch(Math::Single), self.batch)?;
                self.keep(emitter, parts, place)?;
                continue;
            }
            let made = emitter.make(Element::Float32, &[self.batch, width]);
            let (h_gates, _) = emitter.view(&made)?;
            let cell = Cell {
                x_gates,
                h_gates,
                lengths: parts.lengths,
                h: emitter.view(&parts.h)?.0,
                y: Some(y),
                batch: self.batch,
                hidden: self.hidden,
                time,
                x_row: width,
                y_row: self.hidden,
            };
            self.step(emitter, parts, cell, &rh)?;
        }
        Ok(())
    }

    /// The products and the cell of one time step.
    fn step(
        &self,
        emitter: &mut Emitter,
        parts: &Parts,
        cell: Cell,
        rh: &Value,
    ) -> Result<(), Missing> {
        let (width, hidden) = (self.kind.gates() * self.hidden, self.hidden);
        let whole = self.kind == Kind::Lstm || self.linear_before_reset;
        let rows = if whole { width } else { 2 * hidden };
        let to = (cell.h_gates, width);
        let product = self.product(emitter, &parts.h, &parts.r, [0, rows], None, to)?;
        emitter.push(product.launch(Math::Single), self.batch)?;
        if self.kind == Kind::Lstm {
            let c = emitter.view(&parts.c)?.0;
            return emitter.push(rnn::lstm(cell, parts.peephole, c), self.batch);
        }
        let rh_at = emitter.view(rh)?.0;
        let of = [parts.rb, Some(rh_at)];
        if !whole {
            emitter.push(rnn::gru(cell, of, false, 0), self.batch)?;
            let to = (Emitter::further(cell.h_gates, signed(rows), 4), width);
            let product = self.product(emitter, rh, &parts.r, [rows, width], None, to)?;
            emitter.push(product.launch(Math::Single), self.batch)?;
        }
        emitter.push(rnn::gru(cell, of, whole, 1), self.batch)
    }

    /// `state R^T`, of the rows `from..to` of R, into rows of this length.
    fn product(
        &self,
        emitter: &mut Emitter,
        state: &Value,
        r: &Value,
        [from, to]: [usize; 2],
        c: Option<(Spot, usize)>,
        d: (Spot, usize),
    ) -> Result<Gemm, Missing> {
        let hidden = signed(self.hidden);
        let r = cut(emitter, r, 0, from, to - from)?;
        let r = emitter.dense(&r)?;
        let matrix = |at: Spot, row: usize| Matrix {
            at,
            row: signed(row),
            col: 1,
            batch: [0, 0],
        };
        Ok(Gemm {
            element: Element::Float32,
            m: self.batch,
            n: to - from,
            k: self.hidden,
            batches: [1, 1],
            a: matrix(emitter.view(state)?.0, self.hidden),
            b: Matrix {
                at: emitter.view(&r)?.0,
                row: 1,
                col: hidden,
                batch: [0, 0],
            },
            c: c.map(|(at, row)| matrix(at, row)),
            d: matrix(d.0, d.1),
            alpha: 1.0,
            beta: if c.is_some() { 1.0 } else { 0.0 },
            activation: if self.kind == Kind::Rnn {
                self.activation
            } else {
                Activation::None
            },
        })
    }

    /// What a step of a plain network gave becomes its state.
    fn keep(&self, emitter: &mut Emitter, parts: &Parts, place: usize) -> Result<(), Missing> {
        let flat = reshaped(emitter, &parts.y, &[parts.y.len()])?;
        let now = cut(emitter, &flat, 0, place, self.batch * self.hidden)?;
        let now = reshaped(emitter, &now, &[self.batch, self.hidden])?;
        emitter.copy_into(&now, &parts.h)
    }
}
