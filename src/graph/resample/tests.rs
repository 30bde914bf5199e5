use proptest::prelude::*;

use super::*;

fn filters() -> impl Strategy<Value = (Filter, bool)> {
    prop::sample::select(vec![
        (Filter::Box, true),
        (Filter::Bilinear, true),
        (Filter::Bicubic, true),
        (Filter::Lanczos, true),
        (Filter::Bilinear, false),
        (Filter::Bicubic, false),
    ])
}

proptest! {
    #[test]
    fn weights_sum_to_one_and_stay_inside(from in 1_usize..300, to in 1_usize..300, (filter, antialias) in filters()) {
        let taps = taps(from, to, filter, antialias);
        prop_assert_eq!(taps.len(), to);
        for taps in taps {
            prop_assert!((taps.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(!taps.weights.is_empty());
            prop_assert!(taps.first + taps.weights.len() <= from);
            if !filter.overshoots() {
                prop_assert!(taps.weights.iter().all(|weight| *weight >= 0.0));
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing(size in 1_usize..50, (filter, antialias) in filters()) {
        for (new, taps) in taps(size, size, filter, antialias).iter().enumerate() {
            for (old, weight) in taps.parts() {
                let expected = f64::from(u8::from(old == new));
                prop_assert!((weight - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn mirrored_images_have_mirrored_weights(from in 1_usize..60, to in 1_usize..60, (filter, antialias) in filters()) {
        // A box whose edge lies on the middle of a pixel takes it on one side only.
        prop_assume!(filter != Filter::Box);
        let matrix = dense(&taps(from, to, filter, antialias), from);
        for (here, there) in matrix.iter().zip(matrix.iter().rev()) {
            prop_assert!((here - there).abs() < 1e-9);
        }
    }

    #[test]
    fn bands_are_the_whole_matrix(from in 1_usize..400, to in 1_usize..400, (filter, antialias) in filters()) {
        let taps = taps(from, to, filter, antialias);
        let Some(bands) = Bands::of(&taps, from) else { return Ok(()) };
        let mut matrix = vec![0.0; bands.indices.len() / bands.old * bands.new * from];
        for (row, weights) in bands.weights.chunks(bands.old).enumerate() {
            let indices = bands.indices.chunks(bands.old).nth(row / bands.new).unwrap();
            for (index, weight) in indices.iter().zip(weights) {
                matrix[row * from + index] += weight;
            }
        }
        let (first, over) = matrix.split_at(from * to);
        prop_assert_eq!(first, dense(&taps, from));
        prop_assert!(over.iter().all(|weight| *weight == 0.0));
    }

    #[test]
    fn nearest_pixels_are_in_order_and_inside(from in 1_usize..3000, to in 1_usize..3000) {
        let picked = nearest(from, to);
        prop_assert_eq!(picked.len(), to);
        prop_assert!(picked.is_sorted());
        prop_assert!(picked.iter().all(|old| *old < from));
    }
}

#[test]
fn large_images_are_cut_into_bands() {
    let taps = taps(1920, 224, Filter::Bilinear, true);
    let bands = Bands::of(&taps, 1920).unwrap();
    assert_eq!(
        (bands.new, bands.weights.len() / bands.new / bands.old),
        (8, 28)
    );
    assert!(bands.old < 90);
}

#[test]
fn halves_are_the_means_of_two() {
    let taps = taps(4, 2, Filter::Box, true);
    let parts: Vec<Vec<_>> = taps.iter().map(|taps| taps.parts().collect()).collect();
    assert_eq!(parts, [[(0, 0.5), (1, 0.5)], [(2, 0.5), (3, 0.5)]]);
}
