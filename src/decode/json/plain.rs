//! Numbers as senders write nearly all of them, such as `-12.345678`: read in one go, without a token.

use super::number::{POWERS_OF_TEN, SMALL_POWERS, digits_at, non_digits, up_to_eight, value_of};

/// The bytes that are looked at: no plain number is longer, whatever its pieces.
const WINDOW: usize = 40;
/// The bytes that are looked at first: a short number has 15 at most.
const NEAR: usize = 17;
/// The largest whole number up to which every one is a double.
const EXACT: u64 = 1 << 53;
/// So many digits always fit in the mantissa.
const DIGITS_MAX: usize = 19;

/// The double nearest to the number that begins here, and its length: up to seven digits before the point, and nineteen
/// in all.
///
/// `None` says nothing about the text: whatever is longer, has an exponent or is no number at all is left to
/// [`super::scan::Scanner::number`].
#[inline]
pub(super) fn plain(rest: &[u8]) -> Option<(f64, usize)> {
    if let Some(window) = rest.first_chunk()
        && let Some(found) = short(window)
    {
        return Some(found);
    }
    long(rest)
}

/// A number with up to seven digits before the point and eight behind it, as most are.
///
/// Where the next number begins hangs on where this one ends, so its end is found first, and from one look: of the bytes
/// that are no digits the first is the point, and the second is behind the end.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "a call for each number is a third of its work"
)]
fn short(window: &[u8; NEAR]) -> Option<(f64, usize)> {
    let negative = window[0] == b'-';
    let start = usize::from(negative);
    let [near, far] = [0, 8].map(|at| non_digits(digits_at(window, at)));
    let near = near & !(u64::from(negative) << 7);
    if near == 0 {
        return None;
    }
    // How long numbers are changes all the time: without a branch, none is guessed wrong.
    let marks = u128::from(far) << 64 | u128::from(near);
    let point = (near.trailing_zeros() / 8) as usize;
    let second = ((marks & (marks - 1)).trailing_zeros() / 8) as usize;
    let (places, end) = match window[point] {
        b'.' => (second - point - 1, second),
        _ => (0, point),
    };
    let whole = point - start;
    if end == 16
        || whole == 0
        || (whole > 1 && window[start] == b'0')
        || places > 8
        || window[end] | 0x20 == b'e'
    {
        return None;
    }
    let before = digits_at(window, start) << (64 - 8 * whole);
    let mantissa = match places {
        0 if window[point] == b'.' => return None,
        0 => value_of(before),
        _ => {
            let after = digits_at(window, point + 1);
            if whole + places <= 8 {
                // All digits side by side.
                value_of(before >> (8 * places) | after << (64 - 8 * places))
            } else {
                let after = value_of(after << (64 - 8 * places));
                value_of(before) * SMALL_POWERS[places] + after
            }
        }
    };
    Some((signed(mantissa, places, negative), end))
}

/// The double nearest to `mantissa / 10^places`; both are doubles themselves, so the one operation rounds correctly.
#[inline]
fn signed(mantissa: u64, places: usize, negative: bool) -> f64 {
    let value = mantissa.cast_signed() as f64 / POWERS_OF_TEN[places];
    // Signs come at random: set as a bit, they cost no wrong guess.
    f64::from_bits(value.to_bits() | u64::from(negative) << 63)
}

/// The same for longer numbers, and near the end of the text: behind that no digit stands.
#[inline(never)]
fn long(rest: &[u8]) -> Option<(f64, usize)> {
    if let Some(window) = rest.first_chunk() {
        return in_window(window);
    }
    let mut window = [0; WINDOW];
    window.get_mut(..rest.len())?.copy_from_slice(rest);
    in_window(&window)
}

#[inline]
fn in_window(window: &[u8; WINDOW]) -> Option<(f64, usize)> {
    let negative = window[0] == b'-';
    let start = usize::from(negative);
    let (whole, mut mantissa) = digits(window, start)?;
    if whole == 8 || (whole > 1 && window[start] == b'0') {
        return None;
    }
    let mut at = start + whole;
    let mut places = 0;
    if window[at] == b'.' {
        at += 1;
        let (mut count, value) = digits(window, at)?;
        mantissa = mantissa * SMALL_POWERS[count] + value;
        (at, places) = (at + count, count);
        while count == 8
            && let Some((more, value)) = digits(window, at)
        {
            if whole + places + more > DIGITS_MAX {
                return None;
            }
            mantissa = mantissa * SMALL_POWERS[more] + value;
            (at, places, count) = (at + more, places + more, more);
        }
    }
    if window[at] | 0x20 == b'e' {
        return None;
    }
    if mantissa <= EXACT {
        return Some((signed(mantissa, places, negative), at));
    }
    let value = nearly(mantissa, places).unwrap_or_else(|| rounded(mantissa, places));
    Some((if negative { -value } else { value }, at))
}

/// How many digits begin at `at`, counted up to eight, and their value; `None` where there is none.
#[inline]
fn digits(window: &[u8; WINDOW], at: usize) -> Option<(usize, u64)> {
    up_to_eight(u64::from_le_bytes(*window.get(at..)?.first_chunk()?))
}

/// What a division by a power of ten is multiplied by in its place: `2^(64 + log) / 10^places`, rounded down, which has 64
/// bits; and `log`, the whole part of the power's binary logarithm.
const RECIPROCALS: [(u64, u32); DIGITS_MAX] = {
    let mut all = [(0, 0); DIGITS_MAX];
    let (mut places, mut power) = (1, 10_u128);
    while places < DIGITS_MAX {
        let log = power.ilog2();
        #[expect(clippy::cast_possible_truncation, reason = "below 2^64")]
        let reciprocal = ((1_u128 << (64 + log)) / power) as u64;
        all[places] = (reciprocal, log);
        (places, power) = (places + 1, power * 10);
    }
    all
};

/// The double nearest to `mantissa / 10^places`, for a mantissa of more than 53 bits and at least one place; `None` where
/// a product is not exact enough to say which it is, which is so for one number in some hundred.
///
/// The idea is Lemire's (Number Parsing at a Gigabyte per Second, 2021).
#[inline]
fn nearly(mantissa: u64, places: usize) -> Option<f64> {
    let (reciprocal, log) = *RECIPROCALS.get(places).filter(|_| places > 0)?;
    let shift = mantissa.leading_zeros();
    // The true quotient, in the same unit, is not below this and less than 1 above it.
    let product = u128::from(mantissa << shift) * u128::from(reciprocal);
    let quotient = (product >> 64) as u64;
    let spare = 11 - quotient.leading_zeros();
    let (cut_off, half) = (quotient & ((1 << spare) - 1), 1 << (spare - 1));
    if cut_off == half || cut_off == half - 1 {
        return None;
    }
    let kept = (quotient >> spare) + u64::from(cut_off > half);
    let scale = f64::from_bits(u64::from(1023 + spare - shift - log) << 52);
    Some(kept.cast_signed() as f64 * scale)
}

/// The double nearest to `mantissa / 10^places`, for a mantissa that is no double by itself.
///
/// The quotient of whole numbers has 64 bits or more, and its last bit stands for all that is cut off: it is below the
/// bit that decides on rounding, so the one conversion rounds correctly. The power of two that is taken off again is exact.
fn rounded(mantissa: u64, places: usize) -> f64 {
    let shift = 64 + mantissa.leading_zeros();
    let dividend = u128::from(mantissa) << shift;
    let divisor = u128::from(10_u64.pow(u32::try_from(places).unwrap_or(u32::MAX)));
    let quotient = dividend / divisor;
    let cut_off = quotient * divisor != dividend;
    let scale = f64::from_bits(u64::from(1023 - shift) << 52);
    (quotient | u128::from(cut_off)) as f64 * scale
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::plain;

    /// The same bits as the standard library's parser gives, and the whole length.
    fn same(number: &str) {
        for behind in [
            "",
            ",",
            "}",
            " ,\"next\":12345678901234567890123456789012345678901234567890",
        ] {
            let text = format!("{number}{behind}");
            let expected: f64 = number.parse().expect("a number");
            let (value, len) = plain(text.as_bytes()).expect("a plain one");
            assert_eq!(
                (value.to_bits(), len),
                (expected.to_bits(), number.len()),
                "{text}"
            );
        }
    }

    #[test]
    fn plain_numbers_are_read() {
        for number in [
            "0",
            "-0",
            "7",
            "-1234567",
            "0.5",
            "-0.0",
            "1.25",
            "0.1",
            "0.3",
            "12.12345678",
            "1234567.123456789012",
            "0.30000000000000004",
            "-1.7976931348623157",
            "0.9007199254740993",
            "9.007199254740993",
            "0.000000000000000001",
            "1.000000000000000001",
            "1234567.000000000000",
        ] {
            same(number);
        }
    }

    #[test]
    fn what_is_not_plain_is_left_alone() {
        for text in [
            "",
            "-",
            "x",
            "-x",
            ".5",
            "1.",
            "1.x",
            "01",
            "-01",
            "00.1",
            "1e5",
            "1E5",
            "1.5e5",
            "12345678",
            "123456789.5",
            "0.1234567890123456789",
            "1.12345678901234567890",
            "null",
            "--1",
            "+1",
            "1.0000000000000000000000000000000000000000000000000",
        ] {
            assert_eq!(plain(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_plain_number_is_the_nearest_double(
            negative in any::<bool>(),
            whole in 0_u64..10_000_000,
            fraction in 0_u64..1_000_000_000_000,
            places in 1_usize..=12,
        ) {
            let sign = if negative { "-" } else { "" };
            let fraction = format!("{fraction:012}");
            same(&format!("{sign}{whole}.{}", &fraction[..places]));
            same(&format!("{sign}{whole}"));
        }

        /// As Python and JavaScript print doubles: up to 17 digits.
        #[test]
        fn every_printed_double_comes_back(value in -1e6_f64..1e6) {
            let text = value.to_string();
            if let Some((read, len)) = plain(text.as_bytes()) {
                prop_assert_eq!((read.to_bits(), len), (value.to_bits(), text.len()));
            }
        }

        /// Half way between two doubles, and a little beside it.
        #[test]
        fn ties_round_to_even(bits in 0x3FE0_0000_0000_0000_u64..0x4150_0000_0000_0000, digit in 0_u8..10) {
            let (low, high) = (f64::from_bits(bits), f64::from_bits(bits + 1));
            let exact = format!("{:.60}", low / 2.0 + high / 2.0);
            let point = exact.find('.').expect("places were asked for");
            let cut = &exact[..(point + 1 + 18 - point).min(exact.len())];
            same(cut);
            let beside = format!("{}{digit}", &cut[..cut.len() - 1]);
            same(&beside);
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some((value, len)) = plain(&bytes) {
                let text = std::str::from_utf8(&bytes[..len]).expect("digits");
                prop_assert_eq!(value.to_bits(), text.parse::<f64>().expect("a number").to_bits());
                prop_assert!(bytes.get(len).is_none_or(|next| !matches!(next, b'0'..=b'9' | b'e' | b'E')));
            }
        }
    }
}
