//! Where buffers lie in the arena: buffers that are never needed at the same time share memory.
//!
//! Best fit over the whole life of the plan, the largest buffers first: each goes into the smallest gap that is free
//! as long as it lives. (Greedy by size, as in Pisarchyk and Lee, "Efficient memory management for deep neural net
//! inference", 2020.)

use crate::engine::cuda::plan::ALIGNMENT;

/// A buffer and the steps, first and last, between which it must be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) bytes: usize,
    pub(super) first: usize,
    pub(super) last: usize,
}

/// The offset of each buffer, and the size of the arena, all multiples of [`ALIGNMENT`].
pub(super) fn arrange(lives: &[Life]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|at| {
        std::cmp::Reverse(
            lives
                .get(*at)
                .map(|life| (life.bytes, life.last - life.first)),
        )
    });
    let mut offsets = vec![0; lives.len()];
    // What has a place: offset, end, life; by offset.
    let mut placed: Vec<(usize, usize, Life)> = Vec::with_capacity(lives.len());
    let mut size = 0;
    for at in order {
        let Some(life) = lives.get(at) else { continue };
        let bytes = life.bytes.next_multiple_of(ALIGNMENT);
        let mut best: Option<(usize, usize)> = None;
        let mut free = 0;
        for (offset, end, other) in &placed {
            if other.last < life.first || life.last < other.first {
                continue;
            }
            let gap = offset.saturating_sub(free);
            if gap >= bytes && best.is_none_or(|(smallest, _)| gap < smallest) {
                best = Some((gap, free));
            }
            free = free.max(*end);
        }
        let offset = best.map_or(free, |(_, offset)| offset);
        if let Some(place) = offsets.get_mut(at) {
            *place = offset;
        }
        size = size.max(offset + bytes);
        let position = placed.partition_point(|(other, ..)| *other <= offset);
        placed.insert(position, (offset, offset + bytes, *life));
    }
    (offsets, size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lives() -> impl Strategy<Value = Vec<Life>> {
        let life = (0usize..5_000, 0usize..40, 0usize..10).prop_map(|(bytes, first, kept)| Life {
            bytes,
            first,
            last: first + kept,
        });
        proptest::collection::vec(life, 0..60)
    }

    proptest! {
        #[test]
        fn what_lives_together_does_not_overlap(lives in lives()) {
            let (offsets, size) = arrange(&lives);
            for (at, (one, offset)) in lives.iter().zip(&offsets).enumerate() {
                prop_assert!(offset % ALIGNMENT == 0);
                prop_assert!(offset + one.bytes <= size);
                for (other, other_offset) in lives.iter().zip(&offsets).skip(at + 1) {
                    let together = one.first <= other.last && other.first <= one.last;
                    let overlap = *offset < other_offset + other.bytes
                        && *other_offset < offset + one.bytes;
                    prop_assert!(!(together && overlap), "{one:?} at {offset}, {other:?} at {other_offset}");
                }
            }
            let sum: usize = lives.iter().map(|life| life.bytes.next_multiple_of(ALIGNMENT)).sum();
            let most = (0..60).map(|step| {
                let now = lives.iter().filter(|life| (life.first..=life.last).contains(&step));
                now.map(|life| life.bytes.next_multiple_of(ALIGNMENT)).sum::<usize>()
            });
            prop_assert!(size <= sum);
            prop_assert!(size >= most.max().unwrap_or(0));
        }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let chain: Vec<Life> = (0..10)
            .map(|at| Life {
                bytes: 1000,
                first: at,
                last: at + 1,
            })
            .collect();
        assert_eq!(arrange(&chain).1, 2048);
    }

    #[test]
    fn a_gap_is_taken_by_what_fits_best() {
        let life = |bytes, first, last| Life { bytes, first, last };
        // From step 2 on there are gaps of 2048 and of 768 bytes, where the first and the third were.
        let (offsets, size) = arrange(&[
            life(2048, 0, 1),
            life(1024, 0, 3),
            life(768, 0, 1),
            life(700, 0, 3),
            life(500, 2, 3),
        ]);
        assert_eq!(offsets[4], offsets[2]);
        assert_eq!(size, 2048 + 1024 + 768 + 768);
    }
}
