//! What holds for units as such; the traps, the pairs and the messages have files of their own.

mod messages;
mod pairs;
mod pint;
mod traps;

use super::{Affine, Density, Dimension, Unit, alias, currency, test_weight};

fn unit(text: &str) -> Unit {
    Unit::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The conversion between two units that have one.
fn between(from: &str, to: &str) -> Affine {
    unit(from)
        .conversion(&unit(to))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What is said of two units that have none.
fn refusal(from: &str, to: &str) -> String {
    unit(from)
        .conversion(&unit(to))
        .expect_err("no conversion")
        .to_string()
}

fn factor(from: &str, to: &str) -> f64 {
    let affine = between(from, to);
    assert!(affine.offset.abs() < f64::MIN_POSITIVE, "{affine:?}");
    affine.factor
}

#[track_caller]
fn same(left: f64, right: f64) {
    assert!(
        (left - right).abs() <= 1e-15 * right.abs(),
        "{left} {right}"
    );
}

#[test]
fn factors_are_exact_to_the_last_bit() {
    same(
        factor("[lb_av]/[acr_us]", "kg/har"),
        1.120_846_672_794_314_7,
    );
    same(factor("lb/ac", "kg/ha"), 1.120_846_672_794_314_7);
    same(factor("[in_i]", "m"), 0.0254);
    same(factor("km/h", "m/s"), 1.0 / 3.6);
    same(factor("mph", "km/h"), 1.609_344);
    same(factor("gal/ac", "L/ha"), 9.353_918_813_168_729);
    same(factor("mm", "L/m2"), 1.0);
    same(factor("kWh", "MJ"), 3.6);
    same(factor("‰", "%"), 0.1);
    same(factor("µg/m³", "mg/m3"), 0.001);
    same(factor("W·m⁻²", "J/s/m2"), 1.0);
}

#[test]
fn bushels_per_acre_need_a_density() {
    let density = Density::parse("56 [lb_av]/[bu_us]").unwrap();
    let maize = density.conversion(&unit("bu/ac"), &unit("kg/ha")).unwrap();
    assert!((maize.factor - 62.7674).abs() < 5e-5, "{maize:?}");
    let barley = Density::of_commodity("barley").unwrap();
    let barley = barley.conversion(&unit("bu/ac"), &unit("kg/ha")).unwrap();
    assert!((barley.factor - 53.8006).abs() < 5e-5, "{barley:?}");
    // The long way round: the density as part of the unit.
    let product = unit("bu/ac").multiply(&unit("lb/bu")).unwrap();
    same(
        product.conversion(&unit("kg/ha")).unwrap().factor * 56.0,
        maize.factor,
    );
    let back = density.conversion(&unit("kg/ha"), &unit("bu/ac")).unwrap();
    same(back.factor, maize.factor.recip());
}

#[test]
fn a_density_is_a_positive_number_of_mass_per_volume() {
    for wrong in [
        "56",
        "x lb/bu",
        "0 lb/bu",
        "-1 lb/bu",
        "inf lb/bu",
        "56 lb",
        "56 bu/lb",
    ] {
        assert!(Density::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(
        Density::parse("0.72 g/cm3").unwrap().to_string(),
        "0.72 g/cm3"
    );
    let maize = Density::of_commodity("maize").unwrap();
    assert!(maize.conversion(&unit("bu/ac"), &unit("kg")).is_err());
    assert!(maize.conversion(&unit("Cel"), &unit("kg")).is_err());
    // A note on the density takes part: 56 lb of dry maize are not any maize.
    let dry = Density::parse("56 lb{dry}/bu").unwrap();
    assert!(dry.conversion(&unit("bu/ac"), &unit("kg/ha")).is_err());
    assert!(dry.conversion(&unit("bu/ac"), &unit("kg{dry}/ha")).is_ok());
}

#[test]
fn standard_bushels() {
    let weights = [
        ("maize", 56.0),
        ("corn", 56.0),
        ("wheat", 60.0),
        ("soybeans", 60.0),
        ("barley", 48.0),
        ("oats", 32.0),
        ("rye", 56.0),
        ("sorghum", 56.0),
        ("rice", 45.0),
        ("flaxseed", 56.0),
    ];
    for (commodity, pounds) in weights {
        assert_eq!(test_weight(commodity), Some(pounds), "{commodity}");
    }
    assert_eq!(test_weight("sunflower"), None);
    assert!(Density::of_commodity("gold").is_none());
}

#[test]
fn prices_multiply_with_yields() {
    let price = unit("EUR/t").multiply(&unit("t/har")).unwrap();
    assert_eq!(price.to_string(), "EUR/har");
    assert_eq!(price.dimension(), unit("EUR/ha").dimension());
    assert!(price.conversion(&unit("EUR/ha")).unwrap().is_identity());
    same(
        price.conversion(&unit("EUR/ac")).unwrap().factor,
        0.404_687_260_987_425_2,
    );
}

#[test]
fn products_quotients_powers_and_roots_are_written_in_ucum() {
    let text = |unit: Result<Unit, _>| unit.unwrap().to_string();
    assert_eq!(text(unit("kg/ha").multiply(&unit("ha"))), "kg");
    assert_eq!(
        text(unit("kg").divide(&unit("m").power(2).unwrap())),
        "kg/m2"
    );
    assert_eq!(text(unit("m/s").divide(&unit("s"))), "m/s2");
    assert_eq!(text(unit("m").divide(&unit("m"))), "1");
    assert_eq!(text(unit("1").divide(&unit("s"))), "1/s");
    assert_eq!(text(unit("m2/s2").root(2)), "m/s");
    assert_eq!(text(unit("m").power(0)), "1");
    assert_eq!(text(unit("m/s").power(-2)), "s2/m2");
    assert_eq!(
        text(unit("kg{dry}").divide(&unit("har{sown}"))),
        "kg{dry}/har{sown}"
    );
    assert_eq!(text(unit("{plants}/m2").power(2)), "{plants}.{plants}/m4");
    assert_eq!(text(unit("100.m").divide(&unit("60.s"))), "5.m/3/s");
    assert_eq!(text(unit("kmh").multiply(&unit("h"))), "km");
    assert_eq!(text(Unit::one().multiply(&unit("10*3.EUR"))), "10*3.EUR");
}

#[test]
fn dimensions_in_words_and_exponents() {
    let words = |text: &str| unit(text).dimension().to_string();
    insta::assert_snapshot!(words("kg/har"), @"mass / area (M.L-2)");
    insta::assert_snapshot!(words("[bu_us]"), @"volume (L3)");
    insta::assert_snapshot!(words("EUR/t"), @"EUR / mass (EUR.M-1)");
    insta::assert_snapshot!(words("N"), @"mass * length / time^2 (M.L.T-2)");
    insta::assert_snapshot!(words("W/m2/K"), @"mass / (time^3 * temperature) (M.T-3.C-1)");
    insta::assert_snapshot!(words("/h"), @"1 / time (T-1)");
    insta::assert_snapshot!(words("mmol/L"), @"amount of substance / volume (L-3.N)");
    insta::assert_snapshot!(words("%"), @"a plain number (1)");
    insta::assert_snapshot!(words("[CFU]/g"), @"[CFU] / mass (M-1.[CFU])");
    assert_eq!(unit("%").dimension(), Dimension::one());
    assert!(unit("m/m").is_dimensionless() && !unit("rad").is_dimensionless());
}

#[test]
fn a_unit_says_whether_it_is_a_plain_factor() {
    for text in ["1", "%", "K", "[degR]", "kg/har", "EUR", "[IU]/mL"] {
        assert!(unit(text).is_linear(), "{text}");
    }
    for text in [
        "Cel", "mCel", "[degF]", "[degRe]", "[pH]", "dB", "Np", "B[W]", "%[slope]",
    ] {
        assert!(!unit(text).is_linear(), "{text}");
    }
}

#[test]
fn the_same_written_form_is_the_same_unit() {
    assert_eq!(unit("kg/ha"), unit("kg/ha"));
    assert_ne!(unit("kg/ha"), unit("kg/har"));
    assert!(between("kg/ha", "kg/har").is_identity());
}

/// Each name is read, documented, and hides no code of UCUM but the three that are listed.
#[test]
fn names_and_currencies() {
    let documentation = include_str!("../mod.rs");
    for (name, ucum) in alias::ALIASES {
        let same = unit(name).conversion(&unit(ucum));
        assert!(same.is_ok_and(Affine::is_identity), "{name} {ucum}");
        assert!(
            documentation.contains(&format!("`{name}`")),
            "{name} is not documented"
        );
        let hides = octofhir_ucum::validate(name).is_ok();
        assert_eq!(hides, ["ft", "mph", "kph"].contains(name), "{name}");
    }
    for (name, _) in alias::AMBIGUOUS {
        assert!(
            Unit::parse(name).is_err() && octofhir_ucum::validate(name).is_err(),
            "{name}"
        );
    }
    assert!(currency::CODES.is_sorted());
    for code in currency::CODES {
        assert!(octofhir_ucum::validate(code).is_err(), "{code}");
        assert_eq!(
            unit(code).dimension().to_string(),
            format!("{code} ({code})")
        );
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let tera = unit("10*30");
    let huge = (0..40).try_fold(tera, |product, _| product.multiply(&product));
    assert!(huge.is_err());
    assert!(unit("m").power(i32::MAX).unwrap().power(2).is_err());
    assert!(unit("kg").power(i32::MIN).is_err());
    let wide = unit("Ym")
        .power(20)
        .unwrap()
        .conversion(&unit("ym").power(20).unwrap());
    assert!(wide.unwrap_err().to_string().contains("range"));
    assert!(Unit::parse(&"m.".repeat(200)).is_err());
}
