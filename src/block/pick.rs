//! Some of the rows of a column, and back to their places.

use super::Column;
use crate::contract::Scalar;

impl Column {
    /// A copy of these rows, of `width` elements each.
    ///
    /// # Panics
    /// When a row is past the end.
    #[must_use]
    pub fn pick(&self, rows: &[usize], width: usize) -> Self {
        let mut picked = Self::new(self.dtype());
        for row in rows {
            picked.extend_from(self, row * width..(row + 1) * width);
        }
        picked
    }

    /// A column of `total` rows in which the rows of this one stand at the places `rows`, in rising
    /// order; elsewhere stands `otherwise`, as far as the type can hold it, else zeros and nothing.
    #[must_use]
    pub fn spread(
        &self,
        rows: &[usize],
        total: usize,
        width: usize,
        otherwise: Option<&Scalar>,
    ) -> Self {
        let mut blank = Self::new(self.dtype());
        blank.push_scalar(otherwise, width);
        let mut spread = Self::new(self.dtype());
        let mut next = rows.iter().enumerate().peekable();
        for row in 0..total {
            match next.next_if(|(_, place)| **place == row) {
                Some((from, _)) => spread.extend_from(self, from * width..(from + 1) * width),
                None => spread.extend_from(&blank, 0..width),
            }
        }
        spread
    }

    /// Whether one element can be this; no float is infinite or NaN by choice.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "too large becomes infinite, and that is asked"
    )]
    pub fn can_hold(&self, value: &Scalar) -> bool {
        match (self, value) {
            (Self::F32(_), Scalar::Float(value)) => (*value as f32).is_finite(),
            (Self::F64(_), Scalar::Float(value)) => value.is_finite(),
            (Self::F32(_) | Self::F64(_) | Self::I64(_), Scalar::Integer(_))
            | (Self::Bool(_), Scalar::Bool(_))
            | (Self::String(_), Scalar::String(_)) => true,
            (Self::I32(_), Scalar::Integer(value)) => i32::try_from(*value).is_ok(),
            (Self::U8(_), Scalar::Integer(value)) => u8::try_from(*value).is_ok(),
            _ => false,
        }
    }

    /// Appends `count` elements of this value, as far as the type can hold it, else zeros and
    /// nothing.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding is what f32 does; whole numbers were checked to fit"
    )]
    pub fn push_scalar(&mut self, value: Option<&Scalar>, count: usize) {
        let number = match value {
            Some(Scalar::Integer(value)) => *value as f64,
            Some(Scalar::Float(value)) => *value,
            _ => 0.0,
        };
        let whole = match value {
            Some(Scalar::Integer(value)) => *value,
            _ => 0,
        };
        match self {
            Self::F32(values) => values.resize(values.len() + count, number as f32),
            Self::F64(values) => values.resize(values.len() + count, number),
            Self::I32(values) => {
                values.resize(values.len() + count, i32::try_from(whole).unwrap_or(0));
            }
            Self::I64(values) => values.resize(values.len() + count, whole),
            Self::U8(values) => {
                values.resize(values.len() + count, u8::try_from(whole).unwrap_or(0));
            }
            Self::Bool(values) => {
                let flag = matches!(value, Some(Scalar::Bool(true)));
                values.resize(values.len() + count, flag);
            }
            Self::String(values) => {
                let text = match value {
                    Some(Scalar::String(text)) => text.as_str(),
                    _ => "",
                };
                (0..count).for_each(|_| values.push(text));
            }
            Self::Bytes(values) => (0..count).for_each(|_| values.push(&[])),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block::Strings;

    proptest! {
        /// What is picked and spread again stands where it stood, and the filling elsewhere.
        #[test]
        fn picked_rows_go_back_to_their_places(
            values in prop::collection::vec((any::<i64>(), any::<bool>()), 0..40),
            width in 1_usize..3,
            filling in any::<i64>(),
        ) {
            let total = values.len() / width;
            let numbers: Vec<i64> = values.iter().take(total * width).map(|(value, _)| *value).collect();
            let rows: Vec<usize> = (0..total).filter(|row| values[*row].1).collect();
            let column = Column::I64(numbers.clone());
            let picked = column.pick(&rows, width);
            prop_assert_eq!(picked.len(), rows.len() * width);
            let Column::I64(back) = picked.spread(&rows, total, width, Some(&Scalar::Integer(filling))) else {
                panic!("the same type");
            };
            for row in 0..total {
                for at in row * width..(row + 1) * width {
                    let expected = if rows.contains(&row) { numbers[at] } else { filling };
                    prop_assert_eq!(back[at], expected);
                }
            }
        }
    }

    #[test]
    fn text_is_filled_with_text() {
        let mut texts = Strings::default();
        texts.push("b");
        let filling = Scalar::String("none".to_owned());
        let Column::String(spread) = Column::String(texts).spread(&[1], 3, 1, Some(&filling))
        else {
            panic!("the same type");
        };
        assert_eq!(spread.iter().collect::<Vec<_>>(), ["none", "b", "none"]);
    }

    #[test]
    fn a_type_holds_what_it_can() {
        assert!(Column::F32(vec![]).can_hold(&Scalar::Integer(1)));
        assert!(Column::F32(vec![]).can_hold(&Scalar::Float(-1.5)));
        assert!(!Column::F32(vec![]).can_hold(&Scalar::Float(1e39)));
        assert!(!Column::F64(vec![]).can_hold(&Scalar::Float(f64::NAN)));
        assert!(!Column::F64(vec![]).can_hold(&Scalar::Bool(true)));
        assert!(!Column::I64(vec![]).can_hold(&Scalar::Float(1.0)));
        assert!(!Column::U8(vec![]).can_hold(&Scalar::Integer(300)));
        assert!(!Column::Bool(vec![]).can_hold(&Scalar::Integer(1)));
    }
}
