//! Units of results.

use super::checked;

#[test]
fn units_of_results() {
    for (text, unit) in [
        ("yield_t * price - cost", Some("EUR/har")),
        ("cost - yield_t * price", Some("EUR/har")),
        ("yield_t + yield_kg", Some("t/har")),
        ("yield_kg + yield_t", Some("kg/har")),
        ("yield_t + 1", Some("t/har")),
        ("1 + yield_t", Some("t/har")),
        ("2 * yield_t / 3", Some("t/har")),
        ("yield_t * area", Some("t")),
        ("1 / side", Some("1/m")),
        ("side ^ 2", Some("m2")),
        ("side ^ -2", Some("1/m2")),
        ("sqrt(side * side)", Some("m")),
        ("(side * side) ^ 0.5", Some("m")),
        ("abs(yield_t) + floor(yield_kg)", Some("t/har")),
        ("min(yield_kg, yield_t, 5)", Some("kg/har")),
        ("if(flag, 0, yield_t)", Some("t/har")),
        ("coalesce(yield_t, 0)", Some("t/har")),
        ("clip(5, yield_kg, yield_t)", Some("kg/har")),
        ("yield_t % yield_kg", Some("t/har")),
        ("-side", Some("m")),
        ("sign(side)", Some("1")),
        ("exp(side / side)", Some("1")),
        ("log(share)", Some("1")),
        ("sin(angle)", Some("1")),
        ("asin(share)", Some("rad")),
        ("share ^ score", Some("1")),
        ("2 ^ share", Some("1")),
        ("score ^ share", None),
        ("yield_t > 5", None),
        ("yield_t > yield_kg", None),
        ("temp > temp_f", None),
        ("if(temp > 25, 1, 0)", None),
        ("score + gain", None),
        // Where a column has no unit, the product has none.
        ("yield_t * score", None),
        // Places on a scale and differences between them.
        ("temp - temp_f", Some("K")),
        ("temp_f - temp", Some("[degR]")),
        ("20 - temp", Some("K")),
        ("temp - 5", Some("Cel")),
        ("5 + temp", Some("Cel")),
        ("max(temp, temp_f)", Some("Cel")),
        ("temp + (temp_f - temp) * 0.5", Some("Cel")),
        ("0.5 * (temp - temp_f) + temp_f", Some("[degF]")),
        ("kelvin - unit(temp, 'K')", Some("K")),
        ("number(temp, '[degF]') * 0.1", Some("1")),
        ("exp(0.07 * number(temp, 'Cel'))", Some("1")),
        ("unit(score, 't/har') + yield_kg", Some("t/har")),
        ("unit(yield_t, 'kg/m2')", Some("kg/m2")),
        ("number(yield_t / yield_kg, '1') + score", Some("1")),
        ("yield_t * unit(100, 'EUR/t')", Some("EUR/har")),
    ] {
        let checked = checked(text);
        let found = checked.unit().map(ToString::to_string);
        assert_eq!(found.as_deref(), unit, "{text}");
    }
}

#[test]
fn whole_numbers_of_two_units_become_floats() {
    use crate::contract::Dtype;
    assert_eq!(checked("boxes + sacks").dtype(), Dtype::F32);
    assert_eq!(checked("boxes + boxes").dtype(), Dtype::I64);
    assert_eq!(checked("boxes > sacks").dtype(), Dtype::Bool);
}
