//! JSON numbers, read once: digits into a 64-bit mantissa and a power of ten.

use super::{
    plain::plain,
    scan::{Scan, Scanner},
};
use crate::decode::rules::{Number, exact_integer};

/// Every power of ten that a double holds exactly. A constant would be copied for each look-up.
pub(super) static POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// The power of ten by which up to eight more digits shift the mantissa.
pub(super) static SMALL_POWERS: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];
/// Below it, one more digit always fits in the mantissa.
const MANTISSA_ROOM: u64 = 1_000_000_000_000_000_000;
/// Below it, eight more digits always fit.
const MANTISSA_ROOM_FOR_EIGHT: u64 = 100_000_000_000;

/// A number token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    /// The whole text, and where the number is in it: cut out only when needed.
    text: &'a str,
    start: usize,
    end: usize,
    negative: bool,
    mantissa: u64,
    /// The value is `mantissa × 10^exponent`, unless digits were lost.
    exponent: i32,
    /// The mantissa has not room for all digits.
    lost: bool,
}

impl<'a> Scanner<'a> {
    /// Reads a number as the nearest double, which is infinite when it is too large; its first byte is a digit or a minus.
    pub(super) fn float(&mut self) -> Scan<f64> {
        if let Some((value, len)) = self.bytes.get(self.pos..).and_then(plain) {
            self.pos += len;
            return Ok(value);
        }
        Ok(self.number()?.float())
    }

    /// Reads a number; its first byte is a digit or a minus.
    #[inline]
    pub(super) fn number(&mut self) -> Scan<Token<'a>> {
        let start = self.pos;
        let negative = self.peek() == Some(b'-');
        self.pos += usize::from(negative);
        let (mut mantissa, mut lost) = (0_u64, false);
        match self.peek() {
            Some(b'0') => {
                self.pos += 1;
                if let Some(b'0'..=b'9') = self.peek() {
                    return self.fail("a number with a leading zero");
                }
            }
            Some(b'1'..=b'9') => self.digits(&mut mantissa, &mut lost),
            _ => return self.fail("expected a digit"),
        }
        let mut exponent = 0;
        if self.peek() == Some(b'.') {
            self.pos += 1;
            let from = self.pos;
            self.digits(&mut mantissa, &mut lost);
            if self.pos == from {
                return self.fail("expected a digit after the decimal point");
            }
            exponent = i32::try_from(self.pos - from).map_or(-i32::MAX, |digits| -digits);
        }
        if let Some(b'e' | b'E') = self.peek() {
            exponent = exponent.saturating_add(self.exponent()?);
        }
        Ok(Token {
            text: self.text,
            start,
            end: self.pos,
            negative,
            mantissa,
            exponent,
            lost,
        })
    }

    #[inline]
    fn digits(&mut self, mantissa: &mut u64, lost: &mut bool) {
        // How many digits there are changes from number to number, so a loop over them is
        // mispredicted again and again. Up to eight at once are counted without a branch.
        while *mantissa < MANTISSA_ROOM_FOR_EIGHT
            && let Some((count, value)) = up_to_eight_digits(self.bytes, self.pos)
        {
            *mantissa = *mantissa * SMALL_POWERS[count] + value;
            self.pos += count;
            if count < 8 {
                return;
            }
        }
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            if *mantissa < MANTISSA_ROOM {
                *mantissa = *mantissa * 10 + u64::from(byte - b'0');
            } else {
                *lost = true;
            }
            self.pos += 1;
        }
    }

    fn exponent(&mut self) -> Scan<i32> {
        self.pos += 1;
        let negative = self.peek() == Some(b'-');
        if let Some(b'-' | b'+') = self.peek() {
            self.pos += 1;
        }
        let from = self.pos;
        let mut exponent = 0_i32;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            // Saturated, it is far beyond any double whatever the decimal places take off.
            exponent = exponent
                .saturating_mul(10)
                .saturating_add(i32::from(byte - b'0'));
            self.pos += 1;
        }
        if self.pos == from {
            return self.fail("expected a digit in the exponent");
        }
        Ok(if negative { -exponent } else { exponent })
    }
}

/// The number of digits that begin here, counted up to eight, and their value; `None` near the
/// end of the text, and where there is no digit.
#[inline]
fn up_to_eight_digits(bytes: &[u8], at: usize) -> Option<(usize, u64)> {
    up_to_eight(u64::from_le_bytes(*bytes.get(at..)?.first_chunk::<8>()?))
}

/// The number of digits that begin this piece of text, and their value; `None` where there is none.
#[inline]
pub(super) fn up_to_eight(word: u64) -> Option<(usize, u64)> {
    let digits = word ^ ZEROS;
    let count = non_digits(digits).trailing_zeros() / 8;
    if count == 0 {
        return None;
    }
    // What follows the digits is shifted out, and zeros come in before them.
    Some((count as usize, value_of(digits << (64 - 8 * count))))
}

/// Eight times the digit zero.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// Eight bytes of text from `at` on, the first lowest; a digit becomes its value, and what is none is above 9.
#[inline]
pub(super) fn digits_at<const N: usize>(window: &[u8; N], at: usize) -> u64 {
    let bytes = window.get(at..).and_then(<[u8]>::first_chunk);
    u64::from_le_bytes(bytes.copied().unwrap_or_default()) ^ ZEROS
}

/// The highest bit of each byte that is no digit. One may be marked by mistake only behind a byte that is not ASCII: the
/// first mark is right, and behind digits and ASCII so are the others.
#[inline]
pub(super) fn non_digits(digits: u64) -> u64 {
    (digits | digits.wrapping_add(0x7676_7676_7676_7676)) & 0x8080_8080_8080_8080
}

/// The value of eight digits, the first lowest.
#[inline]
pub(super) fn value_of(digits: u64) -> u64 {
    // Pairs, then fours, then all eight.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xFFFF_FFFF
}

impl Token<'_> {
    /// The nearest double; infinite when it is too large.
    #[inline]
    pub(super) fn float(&self) -> f64 {
        // Mantissa and power are both exact, so the one operation rounds correctly.
        if self.mantissa <= 1 << 53 && !self.lost && self.exponent.unsigned_abs() <= 22 {
            let power = POWERS_OF_TEN[self.exponent.unsigned_abs() as usize];
            let mantissa = self.mantissa as f64;
            let value = if self.exponent < 0 {
                mantissa / power
            } else {
                mantissa * power
            };
            // Signs come at random: set as a bit, they cost no wrong guess.
            return f64::from_bits(value.to_bits() | u64::from(self.negative) << 63);
        }
        self.parsed()
    }

    fn parsed(&self) -> f64 {
        // `parse` clamps absurd exponents before it counts the decimal places in.
        let beyond = match self.exponent {
            _ if self.lost => None,
            ..=-400 => Some(0.0),
            400.. if self.mantissa > 0 => Some(f64::INFINITY),
            400.. => Some(0.0),
            _ => None,
        };
        match beyond {
            Some(value) if self.negative => -value,
            Some(value) => value,
            // Every JSON number is one that `parse` reads, and it rounds correctly.
            None => {
                let text = self.text.get(self.start..self.end);
                text.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
            }
        }
    }

    /// The number with whole ones exact: `3`, `3.0` and `3e0` are the integer 3.
    pub(super) fn number(&self) -> Number {
        if let Some(value) = self.integer() {
            return Number::Integer(value);
        }
        let value = self.float();
        if self.exponent < 0 && exact_integer(value).is_some() {
            // The text is no whole number, or it would be one by now.
            return Number::Rounded(value);
        }
        Number::Float(value)
    }

    fn integer(&self) -> Option<i64> {
        if self.lost {
            return self.integer_of_many_digits();
        }
        let magnitude = if self.mantissa == 0 || self.exponent == 0 {
            self.mantissa
        } else {
            let power = 10_u64.checked_pow(self.exponent.unsigned_abs())?;
            if self.exponent >= 0 {
                self.mantissa.checked_mul(power)?
            } else if self.mantissa.is_multiple_of(power) {
                self.mantissa / power
            } else {
                return None;
            }
        };
        if self.negative {
            0_i64.checked_sub_unsigned(magnitude)
        } else {
            i64::try_from(magnitude).ok()
        }
    }

    /// The same from the text, where the mantissa has not room for all digits: most often they
    /// are zeros behind the point.
    #[cold]
    fn integer_of_many_digits(&self) -> Option<i64> {
        let text = self.text.get(self.start..self.end)?;
        let digits = text.split(['e', 'E']).next()?;
        let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
        // Digits were lost, so none of them is missing here: with a positive exponent the number
        // is beyond 64 bits.
        let places = usize::try_from(-i64::from(self.exponent)).ok()?;
        let (whole, fraction) = digits.split_at_checked(digits.len().checked_sub(places)?)?;
        if fraction.bytes().any(|digit| digit != b'0') {
            return None;
        }
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}{whole}").parse().ok()
    }
}
