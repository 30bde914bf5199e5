use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// What `ml_dtypes` makes of each code, written by scripts/onnx_node_tests.py.
const CODES: &str = include_str!("../../../tests/data/verify/codes.json");

fn raw(element: Element, shape: &[usize], bytes: &[u8]) -> Raw {
    Raw {
        element,
        shape: shape.to_vec(),
        data: Data::Packed(Bytes::copy_from_slice(bytes)),
    }
}

fn floats(raw: &Raw) -> Vec<f64> {
    match raw.decode().values {
        Values::Float(values) => values,
        other => panic!("{other:?} are no floats"),
    }
}

#[test]
fn small_floats_are_what_ml_dtypes_says() {
    let table: HashMap<String, Vec<f64>> =
        (serde_json::from_str::<HashMap<String, Vec<String>>>(CODES)
            .expect("JSON")
            .into_iter())
        .map(|(name, numbers)| {
            let numbers = numbers.iter().map(|text| text.parse().expect("a number"));
            (name, numbers.collect())
        })
        .collect();
    assert_eq!(table.len(), 8);
    for (name, expected) in table {
        let element = (Element::ALL.iter()).find(|element| element.name() == name);
        let element = *element.expect("a known type");
        let bytes: Vec<u8> = match element.bits() {
            16 => (0..=255u16)
                .flat_map(|code| (code * 257).to_le_bytes())
                .collect(),
            8 => (0..=255).collect(),
            _ => (0..8)
                .map(|pair| (2 * pair) | (2 * pair + 1) << 4)
                .collect(),
        };
        let found = floats(&raw(element, &[expected.len()], &bytes));
        for (code, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
            assert!(same, "{name} {code:#x}: {found}, expected {expected}");
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn packed_integers_have_their_sign() {
    let ints = |element, bytes: &[u8], count: usize| raw(element, &[count], bytes).decode().values;
    assert_eq!(
        ints(Element::Int4, &[0x8f, 0x07], 3),
        Values::Int(vec![-1, -8, 7])
    );
    assert_eq!(
        ints(Element::Uint4, &[0x8f, 0x07], 3),
        Values::Uint(vec![15, 8, 7])
    );
    assert_eq!(
        ints(Element::Int2, &[0b10_01_11_00, 0b01], 5),
        Values::Int(vec![0, -1, 1, -2, 1])
    );
    assert_eq!(
        ints(Element::Uint2, &[0b10_01_11_00], 4),
        Values::Uint(vec![0, 3, 1, 2])
    );
    assert_eq!(ints(Element::Int8, &[0x80], 1), Values::Int(vec![-128]));
    assert_eq!(ints(Element::Int64, &[0xff; 8], 1), Values::Int(vec![-1]));
    assert_eq!(
        ints(Element::Uint64, &[0xff; 8], 1),
        Values::Uint(vec![u64::MAX])
    );
}

#[test]
fn numbers_may_be_in_fields_of_their_own() {
    let tensor = |element: Element, count: i64| proto::Tensor {
        data_type: element.number(),
        dims: vec![count],
        ..proto::Tensor::default()
    };
    let half = proto::Tensor {
        int32_data: vec![0x3c00, 0xc000],
        ..tensor(Element::Float16, 2)
    };
    assert_eq!(floats(&Raw::of(&half).expect("right")), [1.0, -2.0]);
    let four = proto::Tensor {
        int32_data: vec![0x8f, 0x07],
        ..tensor(Element::Int4, 3)
    };
    assert_eq!(
        Raw::of(&four).expect("right").decode().values,
        Values::Int(vec![-1, -8, 7])
    );
    let complex = proto::Tensor {
        float_data: vec![1.0, 2.0, 3.0, -4.0],
        ..tensor(Element::Complex64, 2)
    };
    let expected = Values::Complex(vec![[1.0, 2.0], [3.0, -4.0]]);
    assert_eq!(Raw::of(&complex).expect("right").decode().values, expected);
    let unsigned = proto::Tensor {
        uint64_data: vec![4_000_000_000],
        ..tensor(Element::Uint32, 1)
    };
    let expected = Values::Uint(vec![4_000_000_000]);
    assert_eq!(Raw::of(&unsigned).expect("right").decode().values, expected);
}

#[test]
fn what_does_not_fit_is_said() {
    let four = proto::Tensor {
        data_type: 1,
        dims: vec![2, 2],
        raw_data: Some(Bytes::from_static(&[0; 16])),
        ..proto::Tensor::default()
    };
    assert!(Raw::of(&four).is_ok());
    let changed = |change: fn(&mut proto::Tensor)| {
        let mut tensor = four.clone();
        change(&mut tensor);
        Raw::of(&tensor).expect_err("it is wrong")
    };
    let said = [
        changed(|tensor| tensor.data_type = 0),
        changed(|tensor| tensor.data_type = 99),
        changed(|tensor| tensor.dims = vec![-1]),
        changed(|tensor| tensor.dims = vec![i64::MAX, 4]),
        changed(|tensor| tensor.dims = vec![i64::MAX]),
        changed(|tensor| tensor.dims = vec![3]),
        changed(|tensor| tensor.raw_data = None),
        changed(|tensor| tensor.data_type = 8),
        changed(|tensor| tensor.data_location = Some(1)),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

proptest! {
    /// Through a file and back, any memory of any type is the same.
    #[test]
    fn files_keep_tensors(at in 0..Element::ALL.len(), shape in prop::collection::vec(0usize..4, 0..4), seed: u8) {
        let element = Element::ALL[at];
        let count: usize = shape.iter().product();
        let data = if element == Element::Text {
            Data::Texts((0..count).map(|at| format!("{seed} {at}").into()).collect())
        } else {
            let bytes = (count * element.bits()).div_ceil(8);
            Data::Packed((0..=u8::MAX).cycle().take(bytes).map(|at| seed.wrapping_mul(31).wrapping_add(at)).collect())
        };
        let tensor = Raw { element, shape, data };
        let again = Raw::of(&tensor.to_proto("x"));
        prop_assert_eq!(again.as_ref(), Ok(&tensor));
        prop_assert_eq!(tensor.decode().values.len(), count);
        prop_assert_eq!(Element::of_number(element.number()), Some(element));
    }
}
