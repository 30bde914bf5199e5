//! Names that people write and UCUM does not know, and characters that are not ASCII.

/// Names and the UCUM expression that each stands for.
///
/// `ft`, `mph` and `kph` hide a code of UCUM (femtotonne, milliphot, kilophot), which nobody means;
/// a test holds that no other does.
#[rustfmt::skip]
pub(super) const ALIASES: &[(&str, &str)] = &[
    // Area; UCUM knows the acre of the US survey (4046.873 m2) and none of 4046.856 m2.
    ("ha", "har"), ("hectare", "har"), ("hectares", "har"),
    ("ac", "[acr_us]"), ("acre", "[acr_us]"), ("acres", "[acr_us]"),
    // Volume: all of the United States; the ones of Britain are [gal_br] and [bu_br].
    ("bu", "[bu_us]"), ("bushel", "[bu_us]"), ("bushels", "[bu_us]"),
    ("gal", "[gal_us]"), ("gallon", "[gal_us]"), ("gallons", "[gal_us]"),
    ("bbl", "[bbl_us]"), ("liter", "L"), ("litre", "L"),
    // Mass: avoirdupois.
    ("lb", "[lb_av]"), ("lbs", "[lb_av]"), ("pound", "[lb_av]"), ("pounds", "[lb_av]"),
    ("oz", "[oz_av]"), ("tonne", "t"), ("tonnes", "t"),
    // Length: international.
    ("in", "[in_i]"), ("inch", "[in_i]"), ("inches", "[in_i]"),
    ("ft", "[ft_i]"), ("foot", "[ft_i]"), ("feet", "[ft_i]"),
    ("yd", "[yd_i]"), ("mi", "[mi_i]"), ("mile", "[mi_i]"), ("miles", "[mi_i]"),
    ("nmi", "[nmi_i]"),
    // Time.
    ("sec", "s"), ("second", "s"), ("seconds", "s"), ("minute", "min"), ("minutes", "min"),
    ("hr", "h"), ("hour", "h"), ("hours", "h"), ("day", "d"), ("days", "d"),
    ("week", "wk"), ("weeks", "wk"),
    // Speed.
    ("kmh", "km/h"), ("kph", "km/h"), ("mph", "[mi_i]/h"), ("knot", "[kn_i]"), ("knots", "[kn_i]"),
    // Temperature: C and F alone are the coulomb and the farad.
    ("degC", "Cel"), ("celsius", "Cel"), ("Celsius", "Cel"),
    ("degF", "[degF]"), ("fahrenheit", "[degF]"), ("Fahrenheit", "[degF]"), ("degR", "[degR]"),
    // Energy, force and pressure.
    ("Wh", "W.h"), ("kWh", "kW.h"), ("MWh", "MW.h"), ("GWh", "GW.h"),
    ("lbf", "[lbf_av]"), ("psi", "[psi]"), ("mmHg", "mm[Hg]"), ("inHg", "[in_i'Hg]"),
    // Parts.
    ("percent", "%"), ("ppm", "[ppm]"), ("ppb", "[ppb]"),
];

/// Names that mean several units, and what to write for each.
#[rustfmt::skip]
pub(super) const AMBIGUOUS: &[(&str, &str)] = &[
    ("ton", "`t` (metric, 1000 kg), `[ston_av]` (short, 2000 lb) or `[lton_av]` (long, 2240 lb)"),
    ("tons", "`t` (metric, 1000 kg), `[ston_av]` (short, 2000 lb) or `[lton_av]` (long, 2240 lb)"),
    ("cwt", "`[scwt_av]` (short, 100 lb) or `[lcwt_av]` (long, 112 lb)"),
    ("pint", "`[pt_us]`, `[dpt_us]` (dry) or `[pt_br]`"),
    ("quart", "`[qt_us]`, `[dqt_us]` (dry) or `[qt_br]`"),
    ("month", "`mo_j` (30.4375 days) or `mo_s` (a lunation)"),
    ("months", "`mo_j` (30.4375 days) or `mo_s` (a lunation)"),
    ("year", "`a` (365.25 days) or `a_g` (365.2425 days)"),
    ("years", "`a` (365.25 days) or `a_g` (365.2425 days)"),
    ("yr", "`a` (365.25 days) or `a_g` (365.2425 days)"),
    ("hp", "`[HP]` (550 foot-pounds per second) or `kW`; UCUM has no metric horsepower"),
    ("$", "the code of the currency: `USD`, `CAD`, `AUD`"),
];

/// Characters outside ASCII and what they stand for; the longer ones first.
#[rustfmt::skip]
const CHARACTERS: &[(&str, &str)] = &[
    ("°C", "Cel"), ("°F", "[degF]"), ("℃", "Cel"), ("℉", "[degF]"), ("°", "deg"),
    ("µ", "u"), ("μ", "u"), ("Ω", "Ohm"), ("Ω", "Ohm"), ("Å", "Ao"), ("‰", "[ppth]"), ("€", "EUR"),
    ("·", "."), ("⋅", "."), ("×", "."),
    ("⁻", "-"), ("¹", "1"), ("²", "2"), ("³", "3"), ("⁴", "4"), ("⁵", "5"), ("⁶", "6"),
];

/// The UCUM expression that a name stands for.
pub(super) fn find(name: &str) -> Option<&'static str> {
    let (_, ucum) = ALIASES.iter().find(|(alias, _)| *alias == name)?;
    Some(ucum)
}

/// What to write for a name with several meanings.
pub(super) fn meanings(name: &str) -> Option<&'static str> {
    let (_, meanings) = AMBIGUOUS.iter().find(|(word, _)| *word == name)?;
    Some(meanings)
}

/// `text` with the characters that are not ASCII spelled out.
pub(super) fn spelled(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    CHARACTERS
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
