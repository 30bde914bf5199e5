//! Error messages, word for word.

use super::{Density, Unit, refusal, unit};

fn wrong(text: &str) -> String {
    Unit::parse(text).expect_err("no unit").to_string()
}

#[test]
fn of_units_that_cannot_be_read() {
    let texts = [
        "kg/hectar",
        "bushl",
        "eur/t",
        "pa",
        "LB_AV",
        "qqqqqqqq",
        "ton/ha",
        "$",
        "",
        "kg / ha",
        "kg per ha",
        "N*m",
        "m^2",
        "m//s",
        "(m",
        "kg{",
        "0.5.m",
        "-m",
        "[degF]/h",
        "dB/m",
        "m999999999999",
        "žluť",
        "kg{dry mass}",
    ];
    let said: Vec<String> = texts.iter().map(|text| wrong(text)).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    `kg/hectar`: `hectar` is no unit; did you mean `hectare`?
    `bushl` is no unit; did you mean `bushel`?
    `eur/t`: `eur` is no unit; write a UCUM code such as `kg/har`, `Cel` or `[bu_us]/[acr_us]`
    `pa` is no unit; did you mean `Pa`?
    `LB_AV` is no unit; did you mean `[lb_av]`?
    `qqqqqqqq` is no unit; write a UCUM code such as `kg/har`, `Cel` or `[bu_us]/[acr_us]`
    `ton/ha`: `ton` has several meanings; write `t` (metric, 1000 kg), `[ston_av]` (short, 2000 lb) or `[lton_av]` (long, 2240 lb)
    `$`: `$` has several meanings; write the code of the currency: `USD`, `CAD`, `AUD`
    `` is no unit: it is empty; a plain number has the unit `1`
    `kg / ha` is no unit: there must be no space in it; write `.` between factors and `/` for per
    `kg per ha` is no unit: there must be no space in it; write `.` between factors and `/` for per
    `N*m` is no unit; write `.` between factors, as in `N.m`
    `m^2`: `m^` is no unit; write a power without a sign, as in `m2` or `s-1`
    `m//s` is no unit: unexpected character `/` at `/s`
    `(m` is no unit: expected `)` at its end
    `kg{` is no unit: expected `}` at its end
    `0.5.m` is no unit: a number must be a positive integer at `0.5.m`
    `-m` is no unit: unexpected character `-` at `-m`
    `[degF]/h`: `[degF]` has its zero at a temperature of its own, so it takes part in no product, quotient or power; write `K` (or `[degR]` for degrees Fahrenheit) for rates and differences, as in `K/h`
    `dB/m`: `dB` is no plain factor (a logarithm, a tangent or a root), so it takes part in no product, quotient or power; bring the values to a plain unit first
    `m999999999999` is no unit: exponent out of range at its end
    `žluť` is no unit: `ž` is no character of a unit; write a UCUM code of plain ASCII
    `kg{dry mass}` is no unit: there must be no space in the braces; write `_` there
    ");
}

#[test]
fn of_units_that_do_not_convert() {
    let pairs = [
        ("kg/har", "Cel"),
        ("bu/ac", "kg/ha"),
        ("kg", "L"),
        ("EUR/t", "USD/t"),
        ("EUR", "USD/t"),
        ("kg{dry}/har", "kg{wet}/har"),
        ("kg{dry}", "kg"),
        ("Hz", "Bq"),
        ("mol", "1"),
        ("[pH]", "mol/L"),
        ("dB", "1"),
        ("C", "K"),
        ("rad", "1"),
    ];
    let said: Vec<String> = pairs.iter().map(|(from, to)| refusal(from, to)).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    `kg/har` does not convert to `Cel`: `kg/har` measures mass / area (M.L-2), `Cel` measures temperature (C)
    `bu/ac` does not convert to `kg/ha`: `bu/ac` measures length (L), `kg/ha` measures mass / area (M.L-2); `bu/ac` counts a volume where `kg/ha` counts a mass, so the density of the commodity is needed, such as `56 [lb_av]/[bu_us]` for maize
    `kg` does not convert to `L`: `kg` measures mass (M), `L` measures volume (L3); `L` counts a volume where `kg` counts a mass, so the density of the commodity is needed, such as `56 [lb_av]/[bu_us]` for maize
    `EUR/t` does not convert to `USD/t`: there is no fixed rate between EUR and USD; bring the rate along as a field in `USD/EUR` and multiply by it
    `EUR` does not convert to `USD/t`: `EUR` measures EUR (EUR), `USD/t` measures USD / mass (USD.M-1)
    `kg{dry}/har` does not convert to `kg{wet}/har`: the notes in braces must be the same; on the left there is `{dry}` on mass (M), on the right `{wet}` on mass (M)
    `kg{dry}` does not convert to `kg`: the notes in braces must be the same; on the left there is `{dry}` on mass (M), on the right none
    `Hz` does not convert to `Bq`: the one counts a frequency (Hz) and the other radioactive decays (Bq), which have the same dimension and are not the same quantity
    `mol` does not convert to `1`: `mol` measures amount of substance (N), `1` measures a plain number (1)
    `[pH]` does not convert to `mol/L`: `[pH]` is no plain factor (a logarithm, a tangent or a root); convert before the values are sent, or declare both sides in the same unit
    `dB` does not convert to `1`: `dB` is no plain factor (a logarithm, a tangent or a root); convert before the values are sent, or declare both sides in the same unit
    `C` does not convert to `K`: `C` measures charge (Q), `K` measures temperature (C); `C` is the coulomb, degrees Celsius are `Cel`
    `rad` does not convert to `1`: `rad` measures angle (A), `1` measures a plain number (1)
    ");
}

#[test]
fn of_products_and_densities() {
    let mut said = vec![
        unit("Cel")
            .multiply(&unit("h"))
            .expect_err("a product")
            .to_string(),
        unit("[pH]").power(2).expect_err("a power").to_string(),
        unit("har").root(2).expect_err("a root").to_string(),
        unit("m3").root(2).expect_err("a root").to_string(),
        unit("m").root(0).expect_err("a root").to_string(),
        unit("m").power(i32::MIN).expect_err("a power").to_string(),
    ];
    for text in ["56", "-1 lb/bu", "56 lb", "56 lb/bushl"] {
        said.push(Density::parse(text).expect_err("a density").to_string());
    }
    let maize = Density::of_commodity("maize").expect("a standard bushel");
    let astray = maize.conversion(&unit("bu/ac"), &unit("kg"));
    said.push(astray.expect_err("no conversion").to_string());
    insta::assert_snapshot!(said.join("\n"), @r"
    `(Cel).(h)`: `Cel` has its zero at a temperature of its own, so it takes part in no product, quotient or power; write `K` (or `[degR]` for degrees Fahrenheit) for rates and differences, as in `K/h`
    `([pH])^2`: `[pH]` is no plain factor (a logarithm, a tangent or a root), so it takes part in no product, quotient or power; bring the values to a plain unit first
    `root 2 of har`: the root of this unit has no name; convert to a unit of plain powers first, such as `m2` instead of `har`
    `root 2 of m3`: volume (L3) has no such root, its exponents do not divide
    `root 0 of m`: there is no zeroth root
    `(m)^-2147483648`: the numbers in this unit are too large
    `56` is no density; write a number, a space and a unit, such as `56 [lb_av]/[bu_us]`
    `-1 lb/bu` is no density; its number must be above 0 and finite
    `56 lb` is no density: its unit measures mass (M), not mass / volume (M.L-3)
    `lb/bushl`: `bushl` is no unit; did you mean `bushel`?
    `bu/ac` does not convert to `kg`: `bu/ac` measures length (L), `kg` measures mass (M), and the density `56 [lb_av]/[bu_us]` does not lead from the one to the other
    ");
}

#[test]
fn a_missing_density_can_be_asked_for() {
    let refused = |from, to| unit(from).conversion(&unit(to)).expect_err("no conversion");
    assert!(refused("bu/ac", "kg/ha").needs_density());
    assert!(refused("kg", "L").needs_density());
    assert!(!refused("kg", "K").needs_density());
}
