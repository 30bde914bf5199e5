//! What holds for all units, and for all pairs of one dimension.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Affine, Unit, alias, currency, unit};

/// Every atom of UCUM that is a plain factor or a temperature, every name and two currencies.
fn atoms() -> Vec<Unit> {
    let ucum = octofhir_ucum::get_all_units().iter().map(|unit| unit.code);
    let names = alias::ALIASES.iter().map(|(name, _)| *name);
    ucum.chain(names)
        .chain([
            "EUR", "USD", "kg", "mm", "uL", "mCel", "hPa", "km/h", "kg{dry}",
        ])
        .map(unit)
        .filter(|unit| unit.is_linear() || unit.conversion(&self::unit("K")).is_ok())
        .collect()
}

fn by_dimension() -> Vec<Vec<Unit>> {
    let mut groups: BTreeMap<String, Vec<Unit>> = BTreeMap::new();
    for unit in atoms() {
        groups
            .entry(unit.dimension().to_string())
            .or_default()
            .push(unit);
    }
    groups.into_values().collect()
}

fn round_trip(there: Affine, back: Affine, value: f64) {
    let again = back.apply(there.apply(value));
    // An offset puts the error of the larger number on the smaller.
    let size = value.abs() + (there.offset / there.factor).abs();
    assert!(
        (again - value).abs() <= 1e-12 * size,
        "{value} {again} {there:?}"
    );
}

#[test]
fn all_pairs_of_atoms_go_there_and_back() {
    let mut pairs = 0;
    for group in by_dimension() {
        for (from, to) in group
            .iter()
            .flat_map(|from| group.iter().map(move |to| (from, to)))
        {
            // Notes and kinds refuse both ways alike.
            let (Ok(there), Ok(back)) = (from.conversion(to), to.conversion(from)) else {
                assert!(from.conversion(to).is_err() && to.conversion(from).is_err());
                continue;
            };
            round_trip(there, back, 1.0);
            round_trip(there, back, -123.456);
            pairs += 1;
        }
    }
    assert!(pairs > 5_000, "{pairs}");
}

fn any_unit() -> impl Strategy<Value = Unit> {
    let linear: Vec<Unit> = atoms().into_iter().filter(Unit::is_linear).collect();
    let one = (prop::sample::select(linear), -3..=3_i32);
    prop::collection::vec(one, 1..4).prop_map(|factors| {
        factors
            .into_iter()
            .fold(Unit::one(), |product, (unit, exponent)| {
                let power = unit.power(exponent).expect("a small power");
                product.multiply(&power).expect("a short product")
            })
    })
}

fn any_pair() -> impl Strategy<Value = (Unit, Unit)> {
    prop::sample::select(by_dimension()).prop_flat_map(|group| {
        (
            prop::sample::select(group.clone()),
            prop::sample::select(group),
        )
    })
}

proptest! {
    #[test]
    fn pairs_go_there_and_back((from, to) in any_pair(), value in -1e9..1e9_f64) {
        if let (Ok(there), Ok(back)) = (from.conversion(&to), to.conversion(&from)) {
            round_trip(there, back, value);
        }
        if let (Ok(there), Ok(back)) = (from.difference_conversion(&to), to.difference_conversion(&from)) {
            round_trip(there, back, value);
            prop_assert_eq!(there.offset.to_bits(), 0);
        }
    }

    #[test]
    fn a_product_reads_as_it_is_written(made in any_unit()) {
        let read = Unit::parse(&made.to_string()).expect("UCUM");
        prop_assert_eq!(read.dimension(), made.dimension());
        let same = made.conversion(&read).expect("the same unit");
        prop_assert!((same.factor - 1.0).abs() <= 1e-15, "{:?}", same);
    }

    #[test]
    fn products_and_quotients_undo_each_other(a in any_unit(), b in any_unit()) {
        let product = a.multiply(&b).expect("a product");
        let back = product.divide(&b).expect("a quotient");
        prop_assert_eq!(back.dimension(), a.dimension());
        let same = a.conversion(&back).expect("the same unit");
        prop_assert!((same.factor - 1.0).abs() <= 1e-12, "{:?}", same);
        let inverse = Unit::one().divide(&a).expect("a quotient");
        prop_assert_eq!(inverse.dimension(), a.power(-1).expect("a power").dimension());
    }

    #[test]
    fn a_root_undoes_a_power(atom in prop::sample::select(atoms()), degree in 1..5_u32) {
        prop_assume!(atom.is_linear());
        let power = atom.power(i32::try_from(degree).expect("small")).expect("a power");
        let root = power.root(degree).expect("a root");
        prop_assert_eq!(root.dimension(), atom.dimension());
        let same = root.conversion(&atom).expect("the same unit");
        prop_assert!((same.factor - 1.0).abs() <= 1e-12, "{:?}", same);
    }

    #[test]
    fn any_text_is_a_unit_or_an_error(text in "\\PC{0,40}") {
        if let Err(error) = Unit::parse(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn near_units_are_a_unit_or_an_error(text in "[a-zA-Z0-9./\\[\\]{}()*^'%_ -]{0,16}") {
        if let Ok(unit) = Unit::parse(&text) {
            prop_assert!(unit.conversion(&unit).is_ok_and(Affine::is_identity) || !unit.is_linear());
        }
    }
}

#[test]
fn a_currency_is_its_own_dimension() {
    for (a, b) in currency::CODES.iter().zip(currency::CODES.iter().skip(1)) {
        assert!(unit(a).conversion(&unit(b)).is_err(), "{a} {b}");
    }
}
