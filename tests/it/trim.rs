//! Batches of tokens are cut to their longest row where a model gives the same for that.

use std::fs;

use forebay::{
    block::{Column, Table},
    contract::{Dtype, Field, Fill, Padding},
    engine::{
        Accuracy, ColumnRef, Device, Engine as _, EngineSpec, InputSpec, ModelSource, OutputRef,
        StepSpec, cpu::CpuEngine,
    },
};

use super::{
    engine::runtime,
    engine_onnx::{INT64, constant, model_with, node, number, tensor, value},
};

/// Tokens of a row.
pub(crate) const MOST: usize = 64;
/// The token for which the model says how long rows are.
const MARKER: i64 = 77;

/// The sum of the tokens, and for a marker the length of the rows that came in; `always` for every row.
pub(crate) fn teller(always: bool) -> Vec<u8> {
    let sum = |from: &str, to: &str| {
        let keep = number("keepdims", 0);
        node("ReduceSum", "", &[from, "one"], &[to], &[keep])
    };
    let plain = |op: &str, from: &[&str], to: &str| node(op, "", from, &[to], &[]);
    let nodes = [
        plain("Mul", &["ids", "mask"], "tokens"),
        sum("tokens", "sum"),
        plain("Equal", &["ids", "marker"], "is_marker"),
        node(
            "Cast",
            "",
            &["is_marker"],
            &["as_number"],
            &[number("to", INT64)],
        ),
        sum("as_number", "markers"),
        plain("Shape", &["ids"], "shape"),
        plain("Gather", &["shape", "one"], "length"),
        plain("Mul", &["markers", "length"], "told"),
        plain("Add", &["sum", if always { "length" } else { "told" }], "y"),
    ];
    let rows = |name: &str| value(name, &tensor(INT64, &["n", "length"]));
    model_with(
        &nodes,
        &[constant("one", 1), constant("marker", MARKER)],
        &[rows("ids"), rows("mask")],
        &[value("y", &tensor(INT64, &["n"]))],
    )
}

/// Token ids up to `most` and their mask, in rows of `length`.
pub(crate) fn tokens(length: usize, most: i64) -> [Field; 2] {
    [("ids", most), ("mask", 1)].map(|(name, most)| {
        let mut field = Field::new(name, Dtype::I64, vec![length]);
        field.derived = true;
        field.padding = Some(Padding {
            mask: 1,
            fill: Fill { with: 0, most },
        });
        field
    })
}

/// The engine for a model of token ids and a mask of rows of `most` tokens, and these fields.
pub(crate) fn engine(
    model: &[u8],
    (most, max_rows): (usize, usize),
    device: Device,
    accuracy: Accuracy,
) -> (CpuEngine, [Field; 2]) {
    let fields = tokens(most, MARKER - 1);
    let engine = engine_for(model, &fields, max_rows, (device, accuracy));
    (engine, fields)
}

/// The engine for a model whose inputs are these fields.
pub(crate) fn engine_for(
    model: &[u8],
    fields: &[Field],
    max_rows: usize,
    (device, accuracy): (Device, Accuracy),
) -> CpuEngine {
    runtime();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(&path, model).unwrap();
    let inputs = fields.iter().enumerate().map(|(place, field)| InputSpec {
        columns: vec![ColumnRef::Field(place)],
        shape: field.shape.clone(),
    });
    let spec = EngineSpec {
        steps: vec![StepSpec {
            source: ModelSource::file(&path),
            when: None,
            accuracy,
            device,
            inputs: inputs.collect(),
        }],
        outputs: vec![OutputRef { step: 0, output: 0 }],
        max_rows,
        state: None,
    };
    CpuEngine::load(&spec, fields).unwrap()
}

/// What the model gives on the CPU for rows of one marker among so many tokens of 1, so many rows at once.
pub(crate) fn told(model: &[u8], lengths: &[usize], left: bool, max_rows: usize) -> Vec<i64> {
    let (mut engine, fields) = engine(model, (MOST, max_rows), Device::Cpu, Accuracy::default());
    told_by(&mut engine, &fields, lengths, left)
}

/// As [`told`], by an engine.
pub(crate) fn told_by(
    engine: &mut CpuEngine,
    fields: &[Field],
    lengths: &[usize],
    left: bool,
) -> Vec<i64> {
    let mut table = Table::for_fields(fields);
    table.rows = lengths.len();
    for (at, series) in table.series.iter_mut().enumerate() {
        let Column::I64(values) = &mut series.values else {
            panic!("whole numbers");
        };
        for length in lengths {
            let mut row = vec![1; *length];
            if at == 0 {
                row[length / 2] = MARKER;
            }
            row.resize(MOST, 0);
            if left {
                row.reverse();
            }
            values.extend(row);
        }
    }
    let mut output = Table::default();
    engine.run(&table, &mut output).unwrap();
    let Column::I64(values) = &output.series[0].values else {
        panic!("whole numbers");
    };
    let sum = |length: &usize| MARKER + i64::try_from(*length).unwrap() - 1;
    (values.iter().zip(lengths))
        .map(|(value, length)| value - sum(length))
        .collect()
}

#[test]
fn a_batch_is_cut_to_its_longest_row() {
    let teller = teller(false);
    for left in [false, true] {
        assert_eq!(told(&teller, &[3, 1, 8], left, 16), [8, 8, 8]);
        assert_eq!(told(&teller, &[3, 10, 5], left, 16), [12, 12, 12]);
        assert_eq!(told(&teller, &[49, 64, 60], left, 16), [64, 64, 64]);
        assert_eq!(told(&teller, &[49, 3], left, 16), [64, 64]);
        // Each batch for itself.
        let lengths = [3, 10, 64, 33, 2];
        assert_eq!(told(&teller, &lengths, left, 1), [8, 12, 64, 48, 8]);
    }
}

/// One long text would make all others as long.
#[test]
fn a_long_row_runs_by_itself_and_the_order_stays() {
    let teller = teller(false);
    let lengths = [5, 60, 3, 20, 9, 4, 61, 7, 2];
    for left in [false, true] {
        let told = told(&teller, &lengths, left, 16);
        assert_eq!(told, [12, 64, 12, 64, 12, 12, 64, 12, 12]);
    }
    // Groups are no larger than the batches that are asked for.
    assert_eq!(
        told(&teller, &[3, 4, 64, 5, 8, 64], false, 4),
        [8, 8, 64, 8, 8, 64]
    );
}

#[test]
fn a_model_that_gives_something_else_for_shorter_rows_gets_them_whole() {
    assert_eq!(told(&teller(true), &[3, 10], false, 16), [64, 64]);
}

/// The sum of the tokens, each times its place from the beginning of a row, as an encoder adds what it learned of a place.
fn by_place() -> Vec<u8> {
    let plain = |op: &str, from: &[&str], to: &str| node(op, "", from, &[to], &[]);
    let nodes = [
        plain("Equal", &["ids", "ids"], "all"),
        node("Cast", "", &["all"], &["ones"], &[number("to", INT64)]),
        plain("CumSum", &["ones", "one"], "places"),
        plain("Mul", &["ids", "mask"], "tokens"),
        plain("Mul", &["tokens", "places"], "placed"),
        node(
            "ReduceSum",
            "",
            &["placed", "one"],
            &["y"],
            &[number("keepdims", 0)],
        ),
    ];
    let rows = |name: &str| value(name, &tensor(INT64, &["n", "length"]));
    model_with(
        &nodes,
        &[constant("one", 1)],
        &[rows("ids"), rows("mask")],
        &[value("y", &tensor(INT64, &["n"]))],
    )
}

#[test]
fn where_places_count_padding_in_front_is_left_there() {
    for left in [false, true] {
        let lengths = [3, 10, 5];
        let expected = lengths.map(|length: usize| {
            let at = |place: usize| if left { MOST + 1 - place } else { place };
            let sum: usize = (1..=length).map(at).sum();
            // Of the marker one more is in the sum already.
            let marker = usize::try_from(MARKER).unwrap() - 1;
            let told = sum + marker * at(length / 2 + 1) - marker - length;
            i64::try_from(told).unwrap()
        });
        assert_eq!(told(&by_place(), &lengths, left, 16), expected, "{left}");
    }
}
