//! What is tried before batches of tokens are cut: models that only look as if their padding were nothing to them.

use forebay::{
    block::{Column, Table},
    contract::{Dtype, Field},
    engine::{Accuracy, Device, Engine as _, cpu::CpuEngine},
};

use super::{
    engine_onnx::{FLOAT, INT64, Proto, constant, model_with, node, number, tensor, value},
    trim::{MOST, engine_for, tokens, told},
};

fn plain(op: &str, from: &[&str], to: &str) -> Proto {
    node(op, "", from, &[to], &[])
}

fn sum(from: &str, to: &str) -> Proto {
    node(
        "ReduceSum",
        "",
        &[from, "one"],
        &[to],
        &[number("keepdims", 0)],
    )
}

fn cast(from: &str, to: &str, element: i64) -> Proto {
    node("Cast", "", &[from], &[to], &[number("to", element)])
}

/// A model of these nodes, which give `y` of this type.
fn of(nodes: &[Proto], constants: &[(&str, i64)], element: i64, dims: &[&str]) -> Vec<u8> {
    let rows = |name: &str| value(name, &tensor(INT64, &["n", "length"]));
    let constants: Vec<Proto> = (constants.iter())
        .map(|(name, value)| constant(name, *value))
        .collect();
    let output = value("y", &tensor(element, dims));
    model_with(nodes, &constants, &[rows("ids"), rows("mask")], &[output])
}

/// Tokens 0 and 1 are nothing to it, as where nothing was learned of padding and of what is unknown: it gives the mean of the others
/// over the whole length, in thousandths.
fn mean() -> Vec<u8> {
    let nodes = [
        plain("Greater", &["ids", "one"], "is_word"),
        cast("is_word", "words", INT64),
        plain("Mul", &["ids", "words"], "kept"),
        sum("kept", "sum"),
        plain("Mul", &["sum", "thousand"], "thousands"),
        plain("Shape", &["mask"], "shape"),
        plain("Gather", &["shape", "one"], "length"),
        plain("Div", &["thousands", "length"], "y"),
    ];
    of(&nodes, &[("one", 1), ("thousand", 1000)], INT64, &["n"])
}

#[test]
fn words_that_are_more_than_two_are_tried() {
    // One marker and twos would be a longer sum: 77 and lengths of ones, which are nothing to it.
    let expected = 77 * 1000 / i64::try_from(MOST).unwrap();
    let off = |length: i64| expected - 77 - length + 1;
    assert_eq!(told(&mean(), &[3, 10], false, 16), [off(3), off(10)]);
}

/// The engine for `model`, whose inputs are tokens of `MOST` with their mask, and a number where `and_number`.
fn engine(model: &[u8], and_number: bool) -> (CpuEngine, Vec<Field>) {
    let mut fields = Vec::from(tokens(MOST, 500));
    if and_number {
        fields.push(Field::new("price", Dtype::I64, vec![]));
    }
    let on_cpu = (Device::Cpu, Accuracy::default());
    (engine_for(model, &fields, 16, on_cpu), fields)
}

/// What comes out for rows of tokens, and a number for each where the model takes one.
fn run(engine: &mut CpuEngine, fields: &[Field], rows: &[&[i64]], numbers: &[i64]) -> Column {
    let mut table = Table::for_fields(fields);
    table.rows = rows.len();
    for (at, series) in table.series.iter_mut().enumerate() {
        let Column::I64(values) = &mut series.values else {
            panic!("whole numbers");
        };
        if at == 2 {
            values.extend(numbers);
            continue;
        }
        for row in rows {
            let mut row: Vec<i64> = match at {
                0 => row.to_vec(),
                _ => vec![1; row.len()],
            };
            row.resize(MOST, 0);
            values.extend(row);
        }
    }
    let mut output = Table::default();
    engine.run(&table, &mut output).unwrap();
    output.series.swap_remove(0).values
}

/// The sum of the tokens, and a thousand times the length that comes in for a row that has none.
fn empty_tells() -> Vec<u8> {
    let nodes = [
        plain("Mul", &["ids", "mask"], "kept"),
        sum("kept", "sum"),
        sum("mask", "there"),
        plain("Equal", &["there", "zero"], "is_empty"),
        cast("is_empty", "empty", INT64),
        plain("Shape", &["mask"], "shape"),
        plain("Gather", &["shape", "one"], "length"),
        plain("Mul", &["length", "thousand"], "thousands"),
        plain("Mul", &["empty", "thousands"], "told"),
        plain("Add", &["sum", "told"], "y"),
    ];
    let constants = [("one", 1), ("zero", 0), ("thousand", 1000)];
    of(&nodes, &constants, INT64, &["n"])
}

#[test]
fn a_row_without_tokens_stays_whole() {
    let (mut engine, fields) = engine(&empty_tells(), false);
    let whole = 1000 * i64::try_from(MOST).unwrap();
    let rows: [&[i64]; 3] = [&[], &[5], &[7, 8]];
    let together = run(&mut engine, &fields, &rows, &[]);
    assert_eq!(together, Column::I64(vec![whole, 5, 15]));
    let alone = run(&mut engine, &fields, &rows[..1], &[]);
    assert_eq!(alone, Column::I64(vec![whole]));
}

/// The sum of the tokens and a thousand times the length that comes in, both times the price.
fn priced() -> Vec<u8> {
    let nodes = [
        plain("Mul", &["ids", "mask"], "kept"),
        sum("kept", "sum"),
        plain("Shape", &["mask"], "shape"),
        plain("Gather", &["shape", "one"], "length"),
        plain("Mul", &["length", "thousand"], "thousands"),
        plain("Add", &["sum", "thousands"], "told"),
        plain("Mul", &["told", "price"], "y"),
    ];
    let rows = |name: &str| value(name, &tensor(INT64, &["n", "length"]));
    let price = value("price", &tensor(INT64, &["n"]));
    model_with(
        &nodes,
        &[constant("one", 1), constant("thousand", 1000)],
        &[rows("ids"), rows("mask"), price],
        &[value("y", &tensor(INT64, &["n"]))],
    )
}

#[test]
fn what_goes_in_beside_tokens_is_made_up_too_and_not_only_zeros() {
    let (mut engine, fields) = engine(&priced(), true);
    let whole = 1000 * i64::try_from(MOST).unwrap();
    let given = run(&mut engine, &fields, &[&[5], &[7, 8]], &[2, 3]);
    assert_eq!(given, Column::I64(vec![(5 + whole) * 2, (15 + whole) * 3]));
}

/// A large number, and beside it the mean of the tokens over the length that comes in.
fn scales() -> Vec<u8> {
    let nodes = [
        plain("Mul", &["ids", "mask"], "kept"),
        node(
            "ReduceSum",
            "",
            &["kept", "one"],
            &["sum"],
            &[number("keepdims", 1)],
        ),
        cast("sum", "fraction", FLOAT),
        plain("Shape", &["mask"], "shape"),
        plain("Gather", &["shape", "one"], "length"),
        cast("length", "divisor", FLOAT),
        plain("Div", &["fraction", "divisor"], "mean"),
        plain("Sub", &["sum", "sum"], "none"),
        plain("Add", &["none", "large"], "same"),
        cast("same", "other", FLOAT),
        node(
            "Concat",
            "",
            &["other", "mean"],
            &["y"],
            &[number("axis", 1)],
        ),
    ];
    of(
        &nodes,
        &[("one", 1), ("large", 100_000)],
        FLOAT,
        &["n", "2"],
    )
}

#[test]
fn a_small_number_beside_a_large_one_is_compared() {
    let (mut engine, fields) = engine(&scales(), false);
    let given = run(&mut engine, &fields, &[&[64], &[32, 96]], &[]);
    assert_eq!(given, Column::F32(vec![100_000.0, 1.0, 100_000.0, 2.0]));
}
