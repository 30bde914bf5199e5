//! The promise, checked: each input has one result with the right value, or one dead letter with
//! the right reason and its payload; never both, none missing, none twice.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

/// What must become of an input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expected {
    /// A result with this value.
    Result(f64),
    /// A dead letter.
    Letter { stage: &'static str, reason: String },
}

/// An input, as it lies in its stream.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) id: u64,
    pub(crate) sequence: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) expected: Expected,
}

/// A dead letter, as it lies in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// `Forebay-Sequence`: where its input lies.
    pub(crate) sequence: u64,
    /// `Forebay-Stream`.
    pub(crate) stream: String,
    /// `Forebay-Stage`.
    pub(crate) stage: String,
    /// `Forebay-Reason`.
    pub(crate) reason: String,
    pub(crate) payload: Vec<u8>,
}

/// What is wrong with one input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Finding {
    /// Neither a result nor a dead letter.
    Lost { id: u64, sequence: u64 },
    /// More than one of its kind.
    Doubled {
        id: u64,
        sequence: u64,
        results: usize,
        letters: usize,
    },
    /// A result and a dead letter.
    Both { id: u64, sequence: u64 },
    /// There is one, of the wrong kind or with the wrong content.
    Wrong {
        id: u64,
        sequence: u64,
        found: String,
        expected: Expected,
    },
    /// A result or a dead letter of no input at all.
    Stranger(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { id, sequence } => write!(f, "lost: {id} (sequence {sequence})"),
            Self::Doubled {
                id,
                sequence,
                results,
                letters,
            } => write!(
                f,
                "doubled: {id} (sequence {sequence}) has {results} results and {letters} dead letters"
            ),
            Self::Both { id, sequence } => write!(
                f,
                "both: {id} (sequence {sequence}) has a result and a dead letter"
            ),
            Self::Wrong {
                id,
                sequence,
                found,
                expected,
            } => write!(
                f,
                "wrong: {id} (sequence {sequence}) has {found}, and {expected:?} was expected"
            ),
            Self::Stranger(what) => write!(f, "of no input: {what}"),
        }
    }
}

/// All that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) findings: Vec<Finding>,
}

impl Audit {
    /// Compares what came out with what went in.
    pub(crate) fn new(inputs: &[Input], results: &[Vec<u8>], letters: &[Letter]) -> Self {
        let mut findings = Vec::new();
        let mut by_id: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for result in results {
            match read_result(result) {
                Some((id, y)) => by_id.entry(id).or_default().push(y),
                None => findings.push(Finding::Stranger(text(result))),
            }
        }
        let mut by_sequence: BTreeMap<u64, Vec<&Letter>> = BTreeMap::new();
        for letter in letters {
            let same = by_sequence.entry(letter.sequence).or_default();
            same.push(letter);
        }
        for input in inputs {
            let results = by_id.remove(&input.id).unwrap_or_default();
            let letters = by_sequence.remove(&input.sequence).unwrap_or_default();
            findings.extend(judge(input, &results, &letters));
        }
        let results = by_id.into_iter().map(|(id, ys)| format!("{id}: {ys:?}"));
        let letters = by_sequence.into_values().map(|all| format!("{all:?}"));
        findings.extend(results.chain(letters).map(Finding::Stranger));
        Self { findings }
    }

    /// Inputs of which nothing came out.
    pub(crate) fn lost(&self) -> usize {
        self.count(|finding| matches!(finding, Finding::Lost { .. }))
    }

    /// Inputs of which too much came out.
    pub(crate) fn doubled(&self) -> usize {
        self.count(|finding| matches!(finding, Finding::Doubled { .. } | Finding::Both { .. }))
    }

    /// Everything else that is wrong.
    pub(crate) fn wrong(&self) -> usize {
        self.findings.len() - self.lost() - self.doubled()
    }

    fn count(&self, is: impl Fn(&Finding) -> bool) -> usize {
        self.findings.iter().filter(|finding| is(finding)).count()
    }
}

fn judge(input: &Input, results: &[f64], letters: &[&Letter]) -> Option<Finding> {
    let (id, sequence) = (input.id, input.sequence);
    let found = match (results, letters) {
        ([], []) => return Some(Finding::Lost { id, sequence }),
        ([_], [_]) => return Some(Finding::Both { id, sequence }),
        ([result], []) if input.expected == Expected::Result(*result) => return None,
        ([], [letter]) if is_right(input, letter) => return None,
        ([result], []) => format!("the result {result}"),
        ([], [letter]) => format!("{letter:?} with the payload {}", text(&letter.payload)),
        (results, letters) => {
            return Some(Finding::Doubled {
                id,
                sequence,
                results: results.len(),
                letters: letters.len(),
            });
        }
    };
    Some(Finding::Wrong {
        id,
        sequence,
        found,
        expected: input.expected.clone(),
    })
}

fn is_right(input: &Input, letter: &Letter) -> bool {
    let Expected::Letter { stage, reason } = &input.expected else {
        return false;
    };
    letter.stage == *stage
        && letter.reason == *reason
        && letter.stream == "IN"
        && letter.payload == input.payload
}

fn read_result(payload: &[u8]) -> Option<(u64, f64)> {
    let result: Value = serde_json::from_slice(payload).ok()?;
    Some((result["id"].as_u64()?, result["y"].as_f64()?))
}

fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> Vec<Input> {
        let input = |id: u64, expected| Input {
            id,
            sequence: id + 101,
            payload: format!(r#"{{"id":{id}}}"#).into_bytes(),
            expected,
        };
        let bad = |reason: &str| Expected::Letter {
            stage: "decode",
            reason: reason.to_owned(),
        };
        vec![
            input(0, Expected::Result(1.0)),
            input(1, Expected::Result(1.5)),
            input(2, bad("field `x` is missing")),
        ]
    }

    fn results() -> Vec<Vec<u8>> {
        [r#"{"id":0,"y":1.0}"#, r#"{"id":1,"y":1.5}"#]
            .map(|result| result.as_bytes().to_vec())
            .to_vec()
    }

    fn letter() -> Letter {
        Letter {
            sequence: 103,
            stream: "IN".to_owned(),
            stage: "decode".to_owned(),
            reason: "field `x` is missing".to_owned(),
            payload: br#"{"id":2}"#.to_vec(),
        }
    }

    /// What is found after `spoil`, and what it counts as: lost, doubled, wrong.
    fn after(spoil: impl FnOnce(&mut Vec<Vec<u8>>, &mut Vec<Letter>)) -> (String, [usize; 3]) {
        let (mut results, mut letters) = (results(), vec![letter()]);
        spoil(&mut results, &mut letters);
        let audit = Audit::new(&inputs(), &results, &letters);
        let findings: Vec<_> = audit.findings.iter().map(ToString::to_string).collect();
        let counts = [audit.lost(), audit.doubled(), audit.wrong()];
        (findings.join("\n"), counts)
    }

    #[test]
    fn what_is_right_is_found_right() {
        assert_eq!(after(|_, _| {}), (String::new(), [0, 0, 0]));
    }

    #[test]
    fn a_lost_one_is_found() {
        let (found, counts) = after(|results, _| drop(results.remove(1)));
        insta::assert_snapshot!(found, @"lost: 1 (sequence 102)");
        assert_eq!(counts, [1, 0, 0]);
        let (found, counts) = after(|_, letters| letters.clear());
        insta::assert_snapshot!(found, @"lost: 2 (sequence 103)");
        assert_eq!(counts, [1, 0, 0]);
    }

    #[test]
    fn a_doubled_one_is_found() {
        let (found, counts) = after(|results, _| results.push(results[0].clone()));
        insta::assert_snapshot!(found, @"doubled: 0 (sequence 101) has 2 results and 0 dead letters");
        assert_eq!(counts, [0, 1, 0]);
        let (found, counts) = after(|_, letters| letters.push(letter()));
        insta::assert_snapshot!(found, @"doubled: 2 (sequence 103) has 0 results and 2 dead letters");
        assert_eq!(counts, [0, 1, 0]);
    }

    #[test]
    fn a_result_beside_a_dead_letter_is_found() {
        let (found, counts) = after(|results, _| results.push(br#"{"id":2,"y":1.0}"#.to_vec()));
        insta::assert_snapshot!(found, @"both: 2 (sequence 103) has a result and a dead letter");
        assert_eq!(counts, [0, 1, 0]);
    }

    #[test]
    fn a_wrong_value_and_the_wrong_kind_are_found() {
        let (found, counts) = after(|results, _| results[1] = br#"{"id":1,"y":2.5}"#.to_vec());
        insta::assert_snapshot!(found, @"wrong: 1 (sequence 102) has the result 2.5, and Result(1.5) was expected");
        assert_eq!(counts, [0, 0, 1]);
        let (found, counts) = after(|results, letters| {
            letters.clear();
            results.push(br#"{"id":2,"y":2.5}"#.to_vec());
        });
        insta::assert_snapshot!(found, @"wrong: 2 (sequence 103) has the result 2.5, and Letter { stage: \"decode\", reason: \"field `x` is missing\" } was expected");
        assert_eq!(counts, [0, 0, 1]);
    }

    #[test]
    fn a_wrong_dead_letter_is_found() {
        let spoils: [fn(&mut Letter); 4] = [
            |letter| letter.reason = "delivered 5 times".to_owned(),
            |letter| letter.stage = "source".to_owned(),
            |letter| letter.payload.clear(),
            |letter| letter.stream = "ELSE".to_owned(),
        ];
        for spoil in spoils {
            let (found, counts) = after(|_, letters| spoil(&mut letters[0]));
            assert!(
                found.starts_with("wrong: 2 (sequence 103) has Letter {"),
                "{found}"
            );
            assert_eq!(counts, [0, 0, 1], "{found}");
        }
    }

    #[test]
    fn what_belongs_to_no_input_is_found() {
        let (found, counts) = after(|results, letters| {
            results.push(br#"{"id":7,"y":1.0}"#.to_vec());
            results.push(b"hello".to_vec());
            letters[0].sequence = 7;
        });
        assert_eq!(counts, [1, 0, 3], "{found}");
    }
}
