//! Which rows of a batch run together on a GPU where rows are cut to the tokens that they have.

use crate::engine::cuda::sizes::Size;

/// What a run costs besides what it computes, in tokens. Some eighty launches for a small encoder, each a microsecond or two, are
/// the time in which a large GPU computes a thousand of its tokens; of a larger encoder, a few hundred.
const RUN: usize = 512;

/// Rows that run together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine::cpu) struct Batch {
    /// Rising.
    pub(in crate::engine::cpu) rows: Vec<usize>,
    /// What is run for them: as many rows at least, none of which has more tokens.
    pub(in crate::engine::cpu) size: Size,
}

/// Rows of about the same length together, the shortest first. `lengths` are the tokens of each row, `sizes` in order what is
/// planned for: of each length there is one row.
///
/// So that few tokens are run, and in few runs: of all ways to cut the rows, in the order of their lengths, into runs of these
/// sizes that are as full as can be, that whose tokens are fewest, each run counted as [`RUN`] tokens more. Of what a run
/// computes at most a quarter is padding, or [`RUN`] tokens; what a row is rounded up to the next length is not counted.
pub(in crate::engine::cpu) fn batches(lengths: &[usize], sizes: &[Size]) -> Vec<Batch> {
    let planned = |tokens: usize| {
        let at = sizes.partition_point(|size| size.length < tokens);
        sizes.get(at).or(sizes.last()).map_or(0, |size| size.length)
    };
    let mut sorted: Vec<(usize, usize)> = (lengths.iter().enumerate())
        .map(|(row, tokens)| (planned(*tokens), row))
        .collect();
    sorted.sort_unstable();
    let best = cheapest(&sorted, sizes);
    let (mut end, mut batches) = (sorted.len(), Vec::new());
    while let Some(Some(last)) = end.checked_sub(1).and_then(|at| best.get(at)) {
        let start = end - last.taken;
        let rows = sorted.get(start..end).unwrap_or_default();
        let mut rows: Vec<usize> = rows.iter().map(|(_, row)| *row).collect();
        rows.sort_unstable();
        let size = last.size;
        batches.push(Batch { rows, size });
        end = start;
    }
    batches.reverse();
    batches
}

/// The last run of the rows so far.
#[derive(Debug, Clone, Copy)]
struct Last {
    size: Size,
    /// How many of them are in it.
    taken: usize,
    /// Of all runs.
    cost: usize,
}

/// For each row the last run of it and those before it, where all of these cost least.
fn cheapest(sorted: &[(usize, usize)], sizes: &[Size]) -> Vec<Option<Last>> {
    let mut needed = vec![0];
    let mut best: Vec<Option<Last>> = Vec::with_capacity(sorted.len());
    for (at, (length, _)) in sorted.iter().enumerate() {
        needed.push(needed.last().copied().unwrap_or(0) + length);
        // Of those that cost as much the one that takes most.
        let of_length = (sizes.iter().rev()).filter(|size| size.length == *length);
        let runs = of_length.filter_map(|size| {
            let taken = size.rows.min(at + 1);
            let before = at + 1 - taken;
            let tokens = size.tokens();
            let padding = tokens - (needed.get(at + 1)? - needed.get(before)?);
            if padding * 4 > tokens && padding > RUN {
                return None;
            }
            let spent = match before.checked_sub(1) {
                Some(before) => (*best.get(before)?)?.cost,
                None => 0,
            };
            let cost = spent + tokens + RUN;
            Some(Last {
                size: *size,
                taken,
                cost,
            })
        });
        best.push(runs.min_by_key(|run| run.cost));
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::cuda::sizes::{self, MOST_TOKENS};

    /// Of each run the rows and the length that are planned, and how many rows are in it.
    fn said(lengths: &[usize]) -> Vec<(usize, usize, usize)> {
        let batches = batches(lengths, &sizes::cut(64, 512)).into_iter();
        let parts = batches.map(|batch| (batch.size.rows, batch.size.length, batch.rows.len()));
        parts.collect()
    }

    #[test]
    fn short_rows_do_not_become_as_long_as_long_ones() {
        assert_eq!(said(&[]), []);
        assert_eq!(said(&[20]), [(1, 24, 1)]);
        // What is longer than can be was cut by whoever made the tokens.
        assert_eq!(said(&[600]), [(1, 512, 1)]);
        let mut lengths = vec![20; 40];
        lengths[7] = 500;
        assert_eq!(said(&lengths), [(8, 24, 7), (32, 24, 32), (1, 512, 1)]);
    }

    #[test]
    fn a_run_more_is_worth_some_padding() {
        assert_eq!(said(&[30, 60, 50]), [(4, 64, 3)]);
        assert_eq!(said(&[0, 500]), [(2, 512, 2)]);
        // Not that much.
        assert_eq!(said(&[0, 0, 500]), [(2, 16, 2), (1, 512, 1)]);
        assert_eq!(said(&[500; 3]), [(4, 512, 3)]);
        assert_eq!(said(&[500; 5]), [(1, 512, 1), (4, 512, 4)]);
        let rows: Vec<usize> = said(&[500; 40]).iter().map(|(rows, ..)| *rows).collect();
        assert_eq!(rows, [8, 16, 16]);
    }

    /// The tokens of rows, the most rows, and the most tokens of one.
    fn any() -> impl Strategy<Value = (Vec<usize>, usize, usize)> {
        (1_usize..20_000, 1_usize..200).prop_flat_map(|(longest, max_rows)| {
            let tokens = prop_oneof![0..=longest, 0..=longest.min(40)];
            let lengths = proptest::collection::vec(tokens, 0..300);
            (lengths, Just(max_rows), Just(longest))
        })
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_run_that_has_room_for_it(
            (lengths, max_rows, longest) in any(),
            smaller in 0_usize..20,
        ) {
            let mut planned = sizes::cut(max_rows, longest);
            // Less memory.
            for _ in 0..smaller {
                planned = sizes::fewer(&planned).unwrap_or(planned);
            }
            let batches = batches(&lengths, &planned);
            let mut seen: Vec<usize> = batches.iter().flat_map(|it| it.rows.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            let rounded = |row: &usize| {
                let fits = planned.iter().find(|size| size.length >= lengths[*row]);
                fits.map(|size| size.length).unwrap()
            };
            let mut cost = 0;
            for Batch { rows, size } in &batches {
                prop_assert!(planned.contains(size));
                prop_assert!(!rows.is_empty() && rows.len() <= size.rows && rows.is_sorted());
                prop_assert!(rows.iter().all(|row| lengths[*row] <= size.length));
                prop_assert!(size.tokens() <= MOST_TOKENS || size.rows == 1);
                let needed: usize = rows.iter().map(rounded).sum();
                let padding = size.tokens() - needed;
                prop_assert!(padding * 4 <= size.tokens() || padding <= RUN);
                cost += size.tokens() + RUN;
            }
            // No worse than each row by itself.
            let alone: usize = (0..lengths.len()).map(|row| rounded(&row) + RUN).sum();
            prop_assert!(cost <= alone);
            prop_assert!(batches.is_sorted_by_key(|batch| batch.size.length));
        }
    }
}
