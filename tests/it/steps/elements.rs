//! What tensors hold, fed and compared.

use forebay::contract::Dtype;
use ort::{
    session::SessionInputValue,
    value::{DynValue, Tensor, TensorElementType},
};
use serde_json::Value as Json;

/// Elements of any type: text apart, numbers as `f64` (all in the files fit) beside whole numbers as they are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Elements {
    Text(Vec<String>),
    Whole(Vec<i64>),
    Float(Vec<f64>),
}

fn text(value: &Json) -> String {
    value.as_str().unwrap().to_owned()
}

fn float(value: &Json) -> f64 {
    match value {
        Json::Null => f64::NAN,
        Json::String(text) if text == "inf" => f64::INFINITY,
        Json::String(text) if text == "-inf" => f64::NEG_INFINITY,
        value => value.as_f64().unwrap(),
    }
}

fn whole(value: &Json) -> i64 {
    value
        .as_bool()
        .map_or_else(|| value.as_i64().unwrap(), i64::from)
}

impl Elements {
    /// As the files write them.
    pub(crate) fn read(dtype: Dtype, values: &[Json]) -> Self {
        let values = values.iter();
        match dtype {
            Dtype::String => Self::Text(values.map(text).collect()),
            Dtype::F64 => Self::Float(values.map(float).collect()),
            Dtype::F32 => Self::Float(
                values
                    .map(float)
                    .map(|value| f64::from(value as f32))
                    .collect(),
            ),
            _ => Self::Whole(values.map(whole).collect()),
        }
    }

    /// Those of some rows out of `of`.
    pub(crate) fn rows(&self, from: usize, count: usize, of: usize) -> Self {
        fn cut<T: Clone>(all: &[T], from: usize, count: usize, of: usize) -> Vec<T> {
            let width = all.len() / of.max(1);
            all[from * width..(from + count) * width].to_vec()
        }
        match self {
            Self::Text(all) => Self::Text(cut(all, from, count, of)),
            Self::Whole(all) => Self::Whole(cut(all, from, count, of)),
            Self::Float(all) => Self::Float(cut(all, from, count, of)),
        }
    }

    pub(crate) fn tensor(&self, dtype: Dtype, shape: &[usize]) -> SessionInputValue<'static> {
        /// A tensor of numbers.
        macro_rules! numbers {
            ($values:expr, $type:ty) => {{
                let values: Vec<$type> = $values.iter().map(|value| *value as $type).collect();
                Tensor::from_array((shape, values)).unwrap().into()
            }};
        }
        match (self, dtype) {
            (Self::Text(texts), _) => Tensor::from_string_array((shape, texts.as_slice()))
                .unwrap()
                .into(),
            (Self::Float(values), Dtype::F32) => numbers!(values, f32),
            (Self::Float(values), _) => numbers!(values, f64),
            (Self::Whole(values), Dtype::I32) => numbers!(values, i32),
            (Self::Whole(values), Dtype::I64) => numbers!(values, i64),
            (Self::Whole(values), Dtype::U8) => {
                let values: Vec<u8> = values
                    .iter()
                    .map(|value| u8::try_from(*value).unwrap())
                    .collect();
                Tensor::from_array((shape, values)).unwrap().into()
            }
            (Self::Whole(values), _) => {
                let values: Vec<bool> = values.iter().map(|value| *value != 0).collect();
                Tensor::from_array((shape, values)).unwrap().into()
            }
        }
    }

    /// The type, the shape and the elements of what came out.
    pub(crate) fn of(value: &DynValue) -> (Dtype, Vec<usize>, Self) {
        let ty = value.dtype().tensor_type().unwrap();
        let shape = value.dtype().tensor_shape().unwrap();
        let shape = shape.iter().map(|size| usize::try_from(*size).unwrap());
        /// Elements that convert without loss.
        macro_rules! numbers {
            ($type:ty, $into:ident) => {{
                let (_, data) = value.try_extract_tensor::<$type>().unwrap();
                Self::$into(data.iter().map(|value| (*value).into()).collect())
            }};
        }
        let (dtype, elements) = match ty {
            TensorElementType::Float32 => (Dtype::F32, numbers!(f32, Float)),
            TensorElementType::Float64 => (Dtype::F64, numbers!(f64, Float)),
            TensorElementType::Int32 => (Dtype::I32, numbers!(i32, Whole)),
            TensorElementType::Int64 => (Dtype::I64, numbers!(i64, Whole)),
            TensorElementType::Uint8 => (Dtype::U8, numbers!(u8, Whole)),
            TensorElementType::Bool => (Dtype::Bool, numbers!(bool, Whole)),
            TensorElementType::String => {
                let (_, texts) = value.try_extract_strings().unwrap();
                let texts = texts.iter().map(ToString::to_string).collect();
                (Dtype::String, Self::Text(texts))
            }
            other => panic!("the step gives elements of type {other}"),
        };
        (dtype, shape.collect(), elements)
    }

    /// What differs first, where something does.
    pub(crate) fn differs(&self, expected: &Self, rtol: f64, atol: f64) -> Option<String> {
        /// Where two lists differ first.
        fn first<T: std::fmt::Debug>(
            got: &[T],
            expected: &[T],
            same: impl Fn(&T, &T) -> bool,
        ) -> Option<String> {
            if got.len() != expected.len() {
                return Some(format!("{} elements, not {}", got.len(), expected.len()));
            }
            let place = (0..got.len()).find(|place| !same(&got[*place], &expected[*place]))?;
            let count = (0..got.len())
                .filter(|place| !same(&got[*place], &expected[*place]))
                .count();
            let (got, expected) = (&got[place], &expected[place]);
            Some(format!(
                "element {place} is {got:?}, not {expected:?} ({count} differ)"
            ))
        }
        match (self, expected) {
            (Self::Text(got), Self::Text(expected)) => first(got, expected, |a, b| a == b),
            (Self::Whole(got), Self::Whole(expected)) => {
                first(got, expected, |a, b| a.abs_diff(*b) as f64 <= atol)
            }
            (Self::Float(got), Self::Float(expected)) => first(got, expected, |a, b| {
                let near = b.is_finite() && (a - b).abs() <= atol + rtol * b.abs();
                near || a.total_cmp(b).is_eq() || a.is_nan() && b.is_nan()
            }),
            _ => Some("another kind of elements".to_owned()),
        }
    }
}

#[test]
fn the_check_itself_sees_differences() {
    let of = |values: &[f64]| Elements::Float(values.to_vec());
    let differs = |a: &[f64], b: &[f64]| of(a).differs(&of(b), 1e-6, 0.0).is_some();
    assert!(differs(&[1.0], &[1.0, 1.0]));
    assert!(differs(&[1.0], &[1.000_01]));
    assert!(differs(&[f64::NAN], &[0.0]));
    assert!(differs(&[0.0], &[f64::NAN]));
    assert!(differs(&[f64::INFINITY], &[1.0]));
    assert!(differs(&[f64::INFINITY], &[f64::NEG_INFINITY]));
    assert!(!differs(
        &[f64::NAN, f64::INFINITY],
        &[f64::NAN, f64::INFINITY]
    ));
    assert!(
        Elements::Whole(vec![1])
            .differs(&of(&[1.0]), 1.0, 1.0)
            .is_some()
    );
}
