//! Where UCUM, or a plain comparison of dimensions, lets through what a person did not mean. Each
//! trap has a decision.

use super::{between, factor, refusal, same, unit};

/// Decision: they convert. A formula that multiplies a force by a length makes an energy, and no
/// dimension tells a torque from it; who needs the difference writes a note, `N.m{torque}`.
#[test]
fn newton_metre_is_joule_unless_noted() {
    assert!(between("N.m", "J").is_identity());
    assert!(refusal("N.m{torque}", "J").contains("notes in braces"));
}

/// Decision: refused. Both are `/s`, and nobody who counts decays means cycles. A unit that names
/// neither goes with both, because formulas make it: counts by time.
#[test]
fn hertz_is_no_becquerel() {
    assert!(refusal("Hz", "Bq").contains("not the same quantity"));
    assert!(refusal("Ci", "kHz").contains("not the same quantity"));
    assert!(between("Hz", "/s").is_identity());
    assert!(between("/s", "Bq").is_identity());
    same(factor("Ci", "Bq"), 37e9);
}

/// Decision: refused, as for hertz. The weighting by the kind of radiation lies between the two.
#[test]
fn gray_is_no_sievert() {
    assert!(refusal("Gy", "Sv").contains("not the same quantity"));
    assert!(refusal("RAD", "REM").contains("not the same quantity"));
    assert!(between("Gy", "J/kg").is_identity());
    same(factor("REM", "mSv"), 10.0);
}

/// Decision: a mole is a base dimension, as in the SI. UCUM counts 6.02214076e23 for it, which
/// turns a forgotten `mol` into a number that is wrong by 24 digits.
#[test]
fn mole_is_no_plain_number() {
    assert!(refusal("mol", "1").contains("amount of substance"));
    assert!(refusal("mmol/L", "/L").contains("amount of substance"));
    same(factor("mmol/L", "mol/m3"), 1.0);
    same(factor("U", "nkat"), 1e3 / 60.0);
    // An equivalent is a mole of charges and an osmole one of what came apart: the chemistry is
    // not in the unit.
    assert!(refusal("eq", "mol").contains("not the same quantity"));
    assert!(refusal("osm/L", "mol/L").contains("not the same quantity"));
}

/// Decision: bytes and bits are of their own, so that a size is not mistaken for a ratio.
#[test]
fn byte_is_no_plain_number() {
    assert!(refusal("By", "1").contains("information"));
    same(factor("KiBy", "bit"), 8192.0);
}

/// Decision: they convert, by 0.01. Both are plain numbers, the factor is right, and conversion
/// takes place only where it is asked for; what must be equal is what is declared.
#[test]
fn percent_is_a_hundredth() {
    same(factor("%", "1"), 0.01);
    same(factor("[ppm]", "%"), 1e-4);
    assert!(!between("%", "1").is_identity());
    assert!(refusal("%{vol}", "%").contains("notes in braces"));
    assert!(refusal("%{vol}", "%{mass}").contains("notes in braces"));
}

/// Decision: the caller says whether a value is a temperature or a difference of two. Only a
/// temperature takes the offset.
#[test]
fn kelvin_to_celsius_has_an_offset_only_for_temperatures() {
    let absolute = between("K", "Cel");
    same(absolute.factor, 1.0);
    same(absolute.offset, -273.15);
    let difference = unit("K").difference_conversion(&unit("Cel")).unwrap();
    assert!(difference.is_identity());
    let fahrenheit = between("Cel", "[degF]");
    same(fahrenheit.factor, 1.8);
    same(fahrenheit.offset, 32.0);
    let difference = unit("°C").difference_conversion(&unit("°F")).unwrap();
    same(difference.factor, 1.8);
    assert_eq!(difference.offset.to_bits(), 0.0_f64.to_bits());
}

/// Decision: refused, as in UCUM; the sentence names the units that have no offset.
#[test]
fn degrees_take_part_in_no_product() {
    for text in ["[degF]/h", "Cel.d", "Cel2", "/Cel"] {
        let error = super::Unit::parse(text).unwrap_err().to_string();
        assert!(
            error.contains("`K`") && error.contains("`[degR]`"),
            "{error}"
        );
    }
    assert!(unit("Cel").multiply(&unit("h")).is_err());
    assert!(unit("h").divide(&unit("Cel")).is_err());
    assert!(unit("Cel").power(2).is_err() && unit("Cel").root(1).is_err());
    same(factor("K/h", "[degR]/h"), 1.8);
}

/// Decision: refused. No factor and no offset leads from a logarithm to what it is of.
#[test]
fn curves_convert_only_to_themselves() {
    assert!(refusal("[pH]", "mol/L").contains("logarithm"));
    assert!(refusal("dB", "1").contains("logarithm"));
    assert!(refusal("%[slope]", "deg").contains("logarithm"));
    assert!(between("[pH]", "[pH]").is_identity());
    same(factor("dB", "B"), 0.1);
    assert!(refusal("B", "Np").contains("logarithm"));
    assert!(unit("dB").multiply(&unit("m")).is_err());
}

/// Decision: notes are part of the unit. UCUM ignores them, and so takes dry grain for wet.
#[test]
fn notes_must_be_the_same() {
    assert!(refusal("kg{dry}", "kg{wet}").contains("`{dry}` on mass"));
    assert!(refusal("kg{dry}/har", "kg/har").contains("on the right none"));
    assert!(refusal("kg{dry}/har", "kg/har{dry}").contains("notes in braces"));
    assert!(refusal("{plants}/m2", "/m2").contains("notes in braces"));
    assert!(refusal("kg/{plant}", "kg").contains("notes in braces"));
    assert!(refusal("{a}.{a}/m2", "{a}/m2").contains("notes in braces"));
    let leaf = unit("cm{leaf}").power(2).unwrap();
    assert!(leaf.conversion(&unit("cm2{leaf}")).unwrap().is_identity());
    assert!(between("cm{leaf}.cm{leaf}", "cm2{leaf}").is_identity());
    same(factor("t{dry}/ha", "kg{dry}/ha"), 1e3);
    same(factor("{plants}/ha", "{plants}/m2"), 1e-4);
    assert!(between("kg{dry}/kg{dry}", "1").is_identity());
}

/// Decision: one base dimension for each currency.
#[test]
fn currencies_have_no_fixed_rate() {
    assert!(refusal("EUR", "USD").contains("no fixed rate"));
    assert!(refusal("EUR/t", "USD/t").contains("no fixed rate"));
    assert!(refusal("EUR/t", "USD/har").contains("measures"));
    same(factor("EUR/t", "EUR/kg"), 1e-3);
    same(factor("€/t", "EUR/kg"), 1e-3);
}

/// Decision: `C` and `F` stay the coulomb and the farad, and the refusal says so.
#[test]
fn coulomb_is_no_celsius() {
    assert!(refusal("C", "Cel").contains("degrees Celsius are `Cel`"));
    assert!(refusal("K", "F").contains("degrees Fahrenheit are `[degF]`"));
}

/// Decision: `ft` is the foot, `mph` and `kph` are speeds; UCUM reads femtotonne, milliphot and
/// kilophot.
#[test]
fn foot_is_no_femtotonne() {
    same(factor("ft", "m"), 0.3048);
    same(factor("mph", "m/s"), 0.447_04);
    same(factor("kph", "m/s"), 1.0 / 3.6);
    same(factor("ft3", "L"), 28.316_846_592);
}
