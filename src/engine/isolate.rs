//! A failed batch never fails its neighbours: it is cut in halves until only what fails alone is
//! left over.

use super::{Engine, EngineError};
use crate::block::{Block, Record, Scored, Table};

/// What became of a batch.
#[derive(Debug)]
pub struct Isolated {
    /// What went through, in order, as one or more pieces.
    pub scored: Vec<Scored>,
    /// Messages that fail alone, with the engine's words.
    pub failed: Vec<(Record, String)>,
}

/// Runs `block`, whole at first. Where the engine refuses the rows, the messages are cut in halves
/// and each half is run again, down to single messages; a single message that fails is returned
/// with the engine's words. `output` is memory for the first run; the tables of the pieces are new.
///
/// Messages without rows (an empty list) are not run: where nothing else is in a piece they come
/// back scored, with the engine's output of no rows.
///
/// # Cost
/// A batch that goes through costs one run. One message that fails among `n` costs at most
/// `2·⌈log₂ n⌉ + 1` runs, and `f` of them at most `2·f·⌈log₂ n⌉ + 1`, never more than `2·n − 1`.
///
/// # Errors
/// [`EngineError::Device`]: nothing more can run. The block is dropped, so its messages are
/// delivered again.
pub fn run_isolated(
    engine: &mut dyn Engine,
    block: Block,
    output: Table,
) -> Result<Isolated, EngineError> {
    let mut isolated = Isolated {
        scored: Vec::with_capacity(1),
        failed: Vec::new(),
    };
    // What is still to be run, the next piece last.
    let mut pieces = vec![block];
    let mut output = Some(output);
    while let Some(mut block) = pieces.pop() {
        let mut output = output.take().unwrap_or_default();
        if block.rows() == 0 {
            output = engine.no_rows();
            isolated.scored.push(Scored { block, output });
            continue;
        }
        let error = match engine.run(&block.table, &mut output) {
            Ok(()) => {
                isolated.scored.push(Scored { block, output });
                continue;
            }
            Err(EngineError::Batch(error)) => error,
            Err(lost @ EngineError::Device(_)) => return Err(lost),
        };
        match block.split_at_message(block.records.len() / 2) {
            Some(rest) if !block.records.is_empty() => {
                pieces.push(rest);
                pieces.push(block);
            }
            // One message is left: the cut at 0 has moved it.
            rest => {
                let alone = rest.into_iter().flat_map(|rest| rest.records);
                let words = error.to_string();
                isolated.failed.extend(
                    block
                        .records
                        .into_iter()
                        .chain(alone)
                        .map(|record| (record, words.clone())),
                );
            }
        }
    }
    Ok(isolated)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        block::{Column, Layout, Series},
        contract::Dtype,
        message::{Ack, Message},
    };

    /// Doubles numbers; refuses a batch with a number below zero, and dies of a zero.
    #[derive(Default)]
    struct Fake {
        runs: usize,
    }

    impl Engine for Fake {
        fn run(&mut self, input: &Table, output: &mut Table) -> Result<(), EngineError> {
            self.runs += 1;
            let Column::I64(values) = &input.series[0].values else {
                panic!("made for i64");
            };
            assert_eq!(values.len(), input.rows);
            if values.contains(&0) {
                return Err(EngineError::Device("gone".into()));
            }
            if let Some(bad) = values.iter().find(|value| **value < 0) {
                return Err(EngineError::Batch(format!("{bad} is too small").into()));
            }
            output.rows = input.rows;
            output.series = vec![Series {
                values: Column::I64(values.iter().map(|value| value * 2).collect()),
                shape: vec![],
                present: None,
            }];
            Ok(())
        }

        fn no_rows(&self) -> Table {
            Table {
                rows: 0,
                series: vec![Series::new(Dtype::I64, vec![3])],
            }
        }
    }

    fn block(messages: &[Vec<i64>]) -> Block {
        let values: Vec<i64> = messages.concat();
        let records = (messages.iter())
            .map(|rows| Record {
                message: Message {
                    subject: Bytes::new(),
                    reply: None,
                    payload: format!("{rows:?}").into(),
                    headers: None,
                    position: None,
                    received: Instant::now(),
                    ack: Ack::none(),
                },
                rows: rows.len(),
                layout: Layout::One,
            })
            .collect();
        Block {
            records,
            table: Table {
                rows: values.len(),
                series: vec![Series {
                    values: Column::I64(values),
                    shape: vec![],
                    present: None,
                }],
            },
        }
    }

    fn run(messages: &[Vec<i64>]) -> (Isolated, usize) {
        let mut engine = Fake::default();
        let isolated = run_isolated(&mut engine, block(messages), Table::default())
            .expect("the device is well");
        (isolated, engine.runs)
    }

    #[test]
    fn a_good_batch_is_one_run() {
        let (isolated, runs) = run(&[vec![1], vec![2, 3], vec![]]);
        assert_eq!(
            (isolated.scored.len(), isolated.failed.len(), runs),
            (1, 0, 1)
        );
        assert_eq!(isolated.scored[0].output.rows, 3);
    }

    #[test]
    fn only_what_fails_alone_is_returned_with_the_engine_s_words() {
        let mut messages: Vec<Vec<i64>> = (1..=64).map(|value| vec![value]).collect();
        messages[41] = vec![7, -5];
        let (isolated, runs) = run(&messages);
        assert_eq!(isolated.failed.len(), 1);
        assert_eq!(isolated.failed[0].0.message.payload, "[7, -5]");
        assert_eq!(isolated.failed[0].1, "-5 is too small");
        assert_eq!(
            isolated
                .scored
                .iter()
                .map(|scored| scored.output.rows)
                .sum::<usize>(),
            63
        );
        assert!(runs <= 2 * 6 + 1, "{runs} runs");
    }

    #[test]
    fn a_lost_device_ends_it() {
        let mut engine = Fake::default();
        let lost = run_isolated(
            &mut engine,
            block(&[vec![1], vec![-1], vec![0]]),
            Table::default(),
        );
        assert!(matches!(lost, Err(EngineError::Device(_))));
    }

    #[test]
    fn messages_without_rows_are_not_run() {
        let (isolated, runs) = run(&[vec![], vec![]]);
        assert_eq!(
            (
                isolated.scored.len(),
                isolated.scored[0].block.records.len(),
                runs
            ),
            (1, 2, 0)
        );
        let output = &isolated.scored[0].output;
        assert_eq!(
            (output.rows, output.series[0].shape.as_slice()),
            (0, &[3][..])
        );
    }

    proptest! {
        /// Nothing is lost, doubled, moved or failed without need, and the cost is bounded.
        #[test]
        fn every_message_comes_back_once(messages in prop::collection::vec(prop::collection::vec(-3i64..20, 0..4), 0..70)) {
            let messages: Vec<Vec<i64>> = messages.into_iter().map(|rows| rows.into_iter().map(|value| if value < 0 { value } else { value + 1 }).collect()).collect();
            let (isolated, runs) = run(&messages);
            let is_bad = |rows: &&Vec<i64>| rows.iter().any(|value| *value < 0);
            let bad: Vec<String> = messages.iter().filter(is_bad).map(|rows| format!("{rows:?}")).collect();
            let good: Vec<String> = messages.iter().filter(|rows| !is_bad(rows)).map(|rows| format!("{rows:?}")).collect();
            let failed: Vec<&[u8]> = isolated.failed.iter().map(|(record, _)| &record.message.payload[..]).collect();
            prop_assert_eq!(failed, bad.iter().map(String::as_bytes).collect::<Vec<_>>());
            let scored = isolated.scored.iter().flat_map(|scored| &scored.block.records);
            let scored: Vec<&[u8]> = scored.map(|record| &record.message.payload[..]).collect();
            prop_assert_eq!(scored, good.iter().map(String::as_bytes).collect::<Vec<_>>());
            for scored in &isolated.scored {
                let (Column::I64(from), 1..) = (&scored.block.table.series[0].values, scored.output.rows) else { continue };
                let doubled = from.iter().map(|value| value * 2).collect();
                prop_assert_eq!(&scored.output.series[0].values, &Column::I64(doubled));
            }
            let depth = messages.len().next_power_of_two().ilog2() as usize;
            prop_assert!(runs <= 2 * bad.len() * depth + 1, "{} runs for {} of {}", runs, bad.len(), messages.len());
        }
    }
}
