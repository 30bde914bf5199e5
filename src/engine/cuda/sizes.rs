//! How much a plan takes at once, and for how much a model is planned.

/// The most tokens that run at once, unless one row has more: what lies between two layers then stays in the cache of a large
/// GPU, and to run more at once gains nothing.
pub const MOST_TOKENS: usize = 8192;
/// Rows are not cut to fewer tokens than these: a run of so few takes as long as one of fewer.
pub const SHORTEST: usize = 16;

/// What a plan takes at once. In order, longer rows come behind shorter ones, and more behind fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    /// Tokens of a row, where rows are cut to what they have; 1 where they stay whole.
    pub length: usize,
    /// Rows.
    pub rows: usize,
}

impl Size {
    /// So many rows that stay whole.
    pub const fn whole(rows: usize) -> Self {
        Self { length: 1, rows }
    }

    /// All tokens; rows, where these stay whole.
    pub const fn tokens(self) -> usize {
        self.length.saturating_mul(self.rows)
    }
}

/// The numbers of rows that a model is planned for, where these stay whole: powers of two and one and a half times these, up
/// to `max_rows`, which is the last. A batch is padded to the next, by a third at most from 2 rows on.
pub fn whole(max_rows: usize) -> Vec<Size> {
    steps(max_rows).into_iter().map(Size::whole).collect()
}

/// What a model is planned for whose rows can be cut, of `longest` tokens at most: lengths are powers of two and one and a half
/// times these, from 16 on, and `longest`; of each there are 1, 2, 4 and so on rows, up to `max_rows` or the power of two behind it,
/// but not more than [`MOST_TOKENS`] tokens. With few numbers of rows there are few plans, 80 for rows of up to 512 tokens, and
/// few products of different sizes: so many rows of twice as many tokens are as large as twice as many rows.
pub fn cut(max_rows: usize, longest: usize) -> Vec<Size> {
    let most = max_rows.max(1).next_power_of_two();
    let lengths = steps(longest).into_iter();
    let lengths = lengths.filter(|length| *length >= SHORTEST.min(longest));
    let of = |length: usize| {
        let all = (0..usize::BITS).map(|shift| 1_usize << shift);
        all.map(move |rows| Size { length, rows })
            .take_while(move |size| {
                size.rows == 1 || size.rows <= most && size.tokens() <= MOST_TOKENS
            })
    };
    lengths.flat_map(of).collect()
}

/// Those of half as many tokens as the largest at most, and those of one row; `None` where these are all, or none.
pub fn fewer(sizes: &[Size]) -> Option<Vec<Size>> {
    let most = sizes.iter().map(|size| size.tokens()).max()?;
    let fits = |size: &&Size| size.rows == 1 || size.tokens() * 2 <= most;
    let fewer: Vec<Size> = sizes.iter().filter(fits).copied().collect();
    (!fewer.is_empty() && fewer.len() < sizes.len()).then_some(fewer)
}

/// Powers of two and one and a half times these, up to `most`, which is the last.
fn steps(most: usize) -> Vec<usize> {
    let powers = (0..usize::BITS).map(|shift| 1_usize << shift);
    let both = powers.flat_map(|power| [power, power.saturating_add(power / 2)]);
    let mut steps: Vec<usize> = both.take_while(|step| *step < most).collect();
    steps.push(most.max(1));
    steps.dedup();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(sizes: &[Size], length: usize) -> Vec<usize> {
        let of = sizes.iter().filter(|size| size.length == length);
        of.map(|size| size.rows).collect()
    }

    #[test]
    fn whole_rows_are_powers_of_two_and_one_and_a_half_times_these() {
        let rows = |max_rows| rows(&whole(max_rows), 1);
        assert_eq!(rows(1), [1]);
        assert_eq!(rows(2), [1, 2]);
        assert_eq!(rows(64), [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]);
        assert_eq!(rows(100).last(), Some(&100));
        assert_eq!(rows(0), [1]);
    }

    #[test]
    fn cut_rows_have_few_sizes_and_none_is_larger_than_need_be() {
        let sizes = cut(1024, 512);
        let mut lengths: Vec<usize> = sizes.iter().map(|size| size.length).collect();
        lengths.dedup();
        assert_eq!(lengths, [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]);
        assert_eq!(rows(&sizes, 16).last(), Some(&512));
        assert_eq!(rows(&sizes, 384), [1, 2, 4, 8, 16]);
        assert_eq!(rows(&sizes, 512), [1, 2, 4, 8, 16]);
        // As the documentation says.
        assert_eq!(sizes.len(), 80);
        assert!(sizes.is_sorted());
        assert_eq!(rows(&cut(5, 100), 24), [1, 2, 4, 8]);
        assert_eq!(rows(&cut(5, 100), 100), [1, 2, 4, 8]);
        assert_eq!(rows(&cut(1, 100), 100), [1]);
        assert_eq!(cut(3, 7).first(), Some(&Size { length: 7, rows: 1 }));
        // One row is one run, however long.
        assert_eq!(rows(&cut(64, 20_000), 20_000), [1]);
    }

    #[test]
    fn half_of_what_the_memory_has_no_room_for_is_tried_next() {
        let halves = |first: Vec<Size>| {
            std::iter::successors(Some(first), |sizes| fewer(sizes))
                .map(|sizes| sizes.last().map(|size| size.rows).unwrap_or_default())
                .collect::<Vec<_>>()
        };
        assert_eq!(halves(whole(16)), [16, 8, 4, 2, 1]);
        assert_eq!(halves(whole(100)), [100, 48, 24, 12, 6, 3, 1]);
        assert_eq!(halves(vec![Size::whole(8)]), [8]);
        assert_eq!(fewer(&[]), None);
        let all = std::iter::successors(Some(cut(64, 512)), |sizes| fewer(sizes));
        for sizes in all {
            let mut lengths: Vec<usize> = sizes.iter().map(|size| size.length).collect();
            lengths.dedup();
            assert_eq!(lengths.len(), 11, "a row of any length runs: {sizes:?}");
        }
    }
}
