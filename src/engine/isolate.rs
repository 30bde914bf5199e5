//! Stand-in until the engine branch lands.
use super::{Engine, EngineError};
use crate::block::{Block, Record, Scored, Table};
/// Bisects.
pub fn run_isolated(
    engine: &mut dyn Engine,
    block: Block,
) -> Result<(Vec<Scored>, Vec<(Record, String)>), EngineError> {
    let (mut scored, mut failed, mut todo) = (vec![], vec![], vec![block]);
    while let Some(mut block) = todo.pop() {
        let mut output = Table::default();
        if block.rows() == 0 {
            scored.push(Scored { block, output });
            continue;
        }
        match engine.run(&block.table, &mut output) {
            Ok(()) => scored.push(Scored { block, output }),
            Err(EngineError::Batch(error)) => match block.split_at_message(block.records.len() / 2)
            {
                Some(rest) if !block.records.is_empty() => {
                    todo.push(rest);
                    todo.push(block);
                }
                rest => failed.extend(
                    rest.into_iter()
                        .chain([block])
                        .flat_map(|b| b.records)
                        .map(|r| (r, error.to_string())),
                ),
            },
            Err(lost) => return Err(lost),
        }
    }
    Ok((scored, failed))
}
