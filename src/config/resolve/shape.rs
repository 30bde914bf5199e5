//! Whether what feeds a model input fits it: types and shapes. Pure.

use crate::{contract::Dtype, engine::Dim};

/// Whether an engine may turn `from` into `to` without asking: nothing is lost but digits that a
/// float of the model's type does not have.
pub(super) fn converts(from: Dtype, to: Dtype) -> bool {
    use Dtype::{Bool, Bytes, F32, F64, I32, I64, String, U8};
    match (from, to) {
        _ if from == to => true,
        (String | Bytes, _) | (_, String | Bool | Bytes) => false,
        (_, F32 | F64) | (I32 | U8 | Bool, I64) | (U8 | Bool, I32) | (Bool, U8) => true,
        _ => false,
    }
}

/// More elements in one row are a slip of the pen: as f32 these are 256 MiB.
pub(super) const ROW_ELEMENTS_MAX: usize = 1 << 26;

/// Whether one row of this shape has no more than [`ROW_ELEMENTS_MAX`] elements.
pub(super) fn is_servable(shape: &[usize]) -> bool {
    (shape.iter())
        .try_fold(1_usize, |all, size| all.checked_mul(*size))
        .is_some_and(|elements| elements <= ROW_ELEMENTS_MAX)
}

/// The shape of one row of a model input that declares `dims`, fed by columns of these shapes side
/// by side.
///
/// # Errors
/// A sentence that says what does not fit.
pub(super) fn row_shape(dims: &[Dim], columns: &[Vec<usize>]) -> Result<Vec<usize>, String> {
    if let [column] = columns
        && matches(dims, column)
    {
        return Ok(column.clone());
    }
    let width: usize = columns
        .iter()
        .map(|shape| shape.iter().product::<usize>())
        .sum();
    let free = dims
        .iter()
        .filter(|dim| matches!(dim, Dim::Free(_)))
        .count();
    let fixed: usize = dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Free(_) => 1,
        })
        .fold(1, usize::saturating_mul);
    let fits = match free {
        0 => fixed == width,
        1 => fixed != 0 && width.is_multiple_of(fixed),
        _ => {
            return Err(format!(
                "the model leaves {free} dimensions of {} free, and only one field with a `shape` of that rank can fill them",
                shown(dims)
            ));
        }
    };
    if !fits {
        let wants = match free {
            0 => format!("{fixed} for each row"),
            _ => format!("a multiple of {fixed}"),
        };
        return Err(format!(
            "these make {width} for each row, and the model takes {wants} (shape {})",
            shown(dims)
        ));
    }
    Ok(dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Free(_) => width / fixed,
        })
        .collect())
}

/// The declared shape of one row, where nothing in it is free.
pub(super) fn fixed_shape(dims: &[Dim]) -> Option<Vec<usize>> {
    dims.iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => Some(*size),
            Dim::Free(_) => None,
        })
        .collect()
}

/// `[rows, 3, height]`
pub(super) fn shown(dims: &[Dim]) -> String {
    let mut out = "[rows".to_owned();
    for dim in dims {
        out.push_str(", ");
        match dim {
            Dim::Fixed(size) => out.push_str(&size.to_string()),
            Dim::Free(name) if name.is_empty() => out.push('?'),
            Dim::Free(name) => out.push_str(name),
        }
    }
    out + "]"
}

fn matches(dims: &[Dim], shape: &[usize]) -> bool {
    dims.len() == shape.len()
        && dims.iter().zip(shape).all(|(dim, size)| match dim {
            Dim::Fixed(fixed) => fixed == size,
            Dim::Free(_) => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free() -> Dim {
        Dim::Free(String::new())
    }

    #[test]
    fn shapes_are_filled_in() {
        let one = vec![];
        for (dims, columns, expected) in [
            (
                vec![Dim::Fixed(2)],
                vec![one.clone(), one.clone()],
                Some(vec![2]),
            ),
            (vec![Dim::Fixed(3)], vec![one.clone(), one.clone()], None),
            (vec![Dim::Fixed(1)], vec![one.clone()], Some(vec![1])),
            (vec![], vec![one.clone()], Some(vec![])),
            (vec![], vec![one.clone(), one.clone()], None),
            (vec![free()], vec![one, vec![4]], Some(vec![5])),
            (vec![free(), free()], vec![vec![2, 3]], Some(vec![2, 3])),
            (vec![free(), free()], vec![vec![6]], None),
            (vec![Dim::Fixed(1), free()], vec![vec![6]], Some(vec![1, 6])),
            (vec![Dim::Fixed(4), free()], vec![vec![6]], None),
            (vec![Dim::Fixed(784)], vec![vec![28, 28]], Some(vec![784])),
        ] {
            assert_eq!(
                row_shape(&dims, &columns).ok(),
                expected,
                "{dims:?} {columns:?}"
            );
        }
    }

    #[test]
    fn conversions_lose_nothing() {
        let allowed: Vec<_> = Dtype::ALL
            .into_iter()
            .flat_map(|from| Dtype::ALL.map(|to| (from, to)))
            .filter(|(from, to)| from != to && converts(*from, *to))
            .map(|(from, to)| format!("{from}→{to}"))
            .collect();
        assert_eq!(
            allowed.join(" "),
            "f32→f64 f64→f32 i32→f32 i32→f64 i32→i64 i64→f32 i64→f64 u8→f32 u8→f64 u8→i32 u8→i64 bool→f32 bool→f64 bool→i32 bool→i64 bool→u8"
        );
    }
}
