//! Against a plain reference: one row at a time, what is held in a map.

use std::{collections::HashMap, time::Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    block::{Block, Layout, Record, Strings},
    engine::isolate::run_isolated,
    message::{Ack, Message},
};

/// Adds a number to what is held. Refuses what is below zero, and gives nothing to hold where the
/// number is 5. The order of rows counts: `sum * 3 + number`.
#[derive(Debug, Default)]
struct Adder;

fn add(held: i64, number: i64) -> Option<i64> {
    (number >= 0).then(|| held.wrapping_mul(3).wrapping_add(number))
}

impl Engine for Adder {
    fn run(&mut self, input: &Table, output: &mut Table) -> Result<(), EngineError> {
        let [
            _,
            Series {
                values: Column::I64(numbers),
                ..
            },
            Series {
                values: Column::I64(held),
                ..
            },
        ] = input.series.as_slice()
        else {
            panic!("the key, which nobody reads, a number and what is held");
        };
        assert_eq!((numbers.len(), held.len()), (input.rows, input.rows));
        let sums = numbers
            .iter()
            .zip(held)
            .map(|(number, held)| add(*held, *number));
        let Some(sums) = sums.collect::<Option<Vec<i64>>>() else {
            return Err(EngineError::Batch("below zero".into()));
        };
        let series = |values, present| Series {
            values: Column::I64(values),
            shape: vec![],
            present,
        };
        output.rows = input.rows;
        let present = numbers.iter().map(|number| *number != 5).collect();
        output.series = vec![series(sums.clone(), None), series(sums, Some(present))];
        Ok(())
    }
}

fn spec(max_keys: usize) -> (EngineSpec, StateSpec) {
    let from = OutputRef { step: 0, output: 0 };
    let state = StateSpec {
        key: 0,
        max_keys,
        max_age: Some(Duration::from_secs(10)),
        values: vec![StateValue {
            name: "sum".to_owned(),
            dtype: Dtype::I64,
            shape: vec![],
            initial: Scalar::Integer(1),
            from,
        }],
    };
    let engine = EngineSpec {
        steps: vec![crate::engine::StepSpec {
            source: crate::engine::ModelSource::file("adder"),
            inputs: vec![crate::engine::InputSpec {
                columns: vec![ColumnRef::Field(1), ColumnRef::State(0)],
                shape: vec![2],
            }],
            when: None,
            device: crate::engine::Device::Cpu,
            accuracy: crate::engine::Accuracy::default(),
        }],
        outputs: vec![from, from],
        state: Some(state.clone()),
        max_rows: 100,
    };
    (engine, state)
}

fn stateful(max_keys: usize) -> Stateful {
    let (engine, state) = spec(max_keys);
    Stateful::new(Box::new(Adder), &engine, state, 2)
}

/// A message of rows with one key.
type Sent = (u8, Vec<i64>);

fn block(messages: &[Sent], text: bool) -> Block {
    let rows: Vec<(u8, i64)> = (messages.iter())
        .flat_map(|(key, numbers)| numbers.iter().map(|number| (*key, *number)))
        .collect();
    let keys = if text {
        let mut keys = Strings::default();
        for (key, _) in &rows {
            keys.push(&format!("key {key}"));
        }
        Column::String(keys)
    } else {
        Column::I32(rows.iter().map(|(key, _)| i32::from(*key)).collect())
    };
    let numbers = Column::I64(rows.iter().map(|(_, number)| *number).collect());
    let series = [keys, numbers].map(|values| Series {
        values,
        shape: vec![],
        present: None,
    });
    let record = |(key, numbers): &Sent| Record {
        message: Message {
            subject: Bytes::new(),
            reply: None,
            payload: format!("{key}: {numbers:?}").into(),
            headers: None,
            position: None,
            received: Instant::now(),
            ack: Ack::none(),
        },
        rows: numbers.len(),
        layout: Layout::One,
    };
    Block {
        records: messages.iter().map(record).collect(),
        table: Table {
            rows: rows.len(),
            series: series.into(),
        },
    }
}

/// What came of each message, in order: its sums, or `None` where it was refused.
fn results(
    engine: &mut dyn Engine,
    messages: &[Sent],
    text: bool,
) -> Vec<(Bytes, Option<Vec<i64>>)> {
    let ran = run_isolated(engine, block(messages, text), Table::default()).expect("well");
    let mut found: HashMap<Bytes, Vec<Option<Vec<i64>>>> = HashMap::new();
    for part in ran.scored {
        let sums = match part.output.series.as_slice() {
            [
                Series {
                    values: Column::I64(sums),
                    ..
                },
            ] => sums.clone(),
            [] if part.output.rows == 0 => Vec::new(),
            other => panic!("one output, the held one is taken off: {other:?}"),
        };
        assert_eq!(sums.len(), part.output.rows);
        let mut row = 0;
        for record in part.block.records {
            let own = sums[row..row + record.rows].to_vec();
            row += record.rows;
            found
                .entry(record.message.payload)
                .or_default()
                .push(Some(own));
        }
    }
    for (record, _) in ran.failed {
        found.entry(record.message.payload).or_default().push(None);
    }
    let name = |(key, numbers): &Sent| Bytes::from(format!("{key}: {numbers:?}"));
    let mut taken: HashMap<Bytes, usize> = HashMap::new();
    (messages.iter().map(name))
        .map(|name| {
            let at = taken.entry(name.clone()).or_default();
            let result = found[&name][*at].clone();
            *at += 1;
            (name, result)
        })
        .collect()
}

/// The same by the definition: one message after another, one row after another.
#[derive(Default)]
struct Reference(HashMap<u8, i64>);

impl Reference {
    fn result(&mut self, (key, numbers): &Sent) -> Option<Vec<i64>> {
        let mut held = self.0.get(key).copied().unwrap_or(1);
        let mut sums = Vec::new();
        for number in numbers {
            let sum = add(held, *number)?;
            sums.push(sum);
            if *number != 5 {
                held = sum;
            }
        }
        self.0.insert(*key, held);
        Some(sums)
    }
}

fn messages() -> impl Strategy<Value = Vec<Sent>> {
    let number = prop_oneof![9 => 0i64..7, 1 => Just(-1)];
    prop::collection::vec((0u8..4, prop::collection::vec(number, 0..4)), 0..40)
}

proptest! {
    /// However messages are put into batches, each comes to what it comes to alone, in order. A
    /// message that fails is refused whole, and nobody behind it knows of it.
    #[test]
    fn as_one_by_one(messages in messages(), cuts in prop::collection::vec(1usize..9, 1..40), text in any::<bool>()) {
        let mut engine = stateful(100);
        let mut reference = Reference::default();
        let mut rest = messages.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (batch, behind) = rest.split_at((*cut).min(rest.len()));
            rest = behind;
            // Two equal messages that fail and do not fail cannot be told apart by their names.
            let found = results(&mut engine, batch, text);
            for (message, (name, found)) in batch.iter().zip(found) {
                let expected = reference.result(message);
                let expected = expected.filter(|_| !message.1.is_empty()).or_else(|| found.clone().filter(Vec::is_empty));
                prop_assert_eq!(found, expected, "{:?}", name);
            }
        }
    }
}

#[test]
fn rows_of_different_keys_run_together() {
    let keys = Column::I64(vec![7, 8, 7, 9, 7, 8]);
    let waves = Waves::of(&keys, 6);
    assert_eq!(waves.rows, [vec![0, 1, 3], vec![2, 5], vec![4]]);
    assert_eq!(waves.by_last_row(), [2, 0, 1]);
}

#[test]
fn a_key_not_seen_for_long_starts_anew() {
    let mut engine = stateful(100);
    let start = Instant::now();
    let mut run = |key, after: u64| {
        let mut output = Table::default();
        let now = start + Duration::from_secs(after);
        let table = block(&[(key, vec![0])], true).table;
        engine.run_at(&table, &mut output, now).expect("well");
        let held = engine.held().expect("something is held");
        (output.series[0].values.clone(), held.keys, held.dropped_age)
    };
    assert_eq!(run(1, 0), (Column::I64(vec![3]), 1, 0));
    assert_eq!(run(2, 8), (Column::I64(vec![3]), 2, 0));
    assert_eq!(run(1, 10), (Column::I64(vec![9]), 2, 0));
    assert_eq!(run(1, 20), (Column::I64(vec![27]), 1, 1), "2 is dropped");
    assert_eq!(run(1, 31), (Column::I64(vec![3]), 1, 2), "anew");
}

#[test]
fn too_many_keys_push_out_the_one_not_seen_for_longest() {
    let mut engine = stateful(2);
    let sums = |engine: &mut Stateful, messages: &[Sent]| -> Vec<i64> {
        let all = results(engine, messages, false).into_iter();
        all.flat_map(|(_, sums)| sums.expect("no message is refused"))
            .collect()
    };
    assert_eq!(
        sums(&mut engine, &[(1, vec![0]), (2, vec![0]), (1, vec![0])]),
        [3, 3, 9]
    );
    assert_eq!(sums(&mut engine, &[(3, vec![0])]), [3], "in place of 2");
    assert_eq!(sums(&mut engine, &[(1, vec![0])]), [27]);
    assert_eq!(sums(&mut engine, &[(2, vec![0])]), [3], "in place of 3");
    assert_eq!(
        engine.held(),
        Some(Held {
            keys: 2,
            dropped_full: 2,
            dropped_age: 0
        })
    );
    engine.forget();
    assert_eq!(sums(&mut engine, &[(1, vec![0])]), [3]);
}

/// Gives another shape to hold than was held.
struct Odd;

impl Engine for Odd {
    fn run(&mut self, input: &Table, output: &mut Table) -> Result<(), EngineError> {
        output.rows = input.rows;
        output.series = vec![Series {
            values: Column::I64(vec![1; input.rows * 2]),
            shape: vec![2],
            present: None,
        }];
        Ok(())
    }
}

#[test]
fn what_comes_out_must_have_the_shape_of_what_is_held() {
    let (engine, state) = spec(2);
    let mut engine = Stateful::new(Box::new(Odd), &engine, state, 2);
    let block = block(&[(1, vec![0])], true);
    let refused = engine.run(&block.table, &mut Table::default());
    let words = refused.expect_err("another shape").to_string();
    assert_eq!(
        words,
        "the state value `sum` is i64 of shape [], and i64 of shape [2] came out for it"
    );
}
