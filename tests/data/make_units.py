"""Writes tests/data/units/pint.json.

Each entry has a conversion between two units of forebay and what pint says of the
same two: to = factor * x + offset. pint computes in decimals with 50 digits; the
file has the nearest 64-bit floats.

Run: pip install pint==0.25.3 && python tests/data/make_units.py
The same version writes the same bytes.
"""

import json
from decimal import Decimal, getcontext
from pathlib import Path

import pint

# forebay's from and to, and pint's.
CASES = [
    # Agriculture
    ("[lb_av]/[acr_us]", "kg/har", "pound/acre", "kg/hectare"),
    ("t/ha", "kg/ha", "metric_ton/hectare", "kg/hectare"),
    ("t/ha", "[ston_av]/ac", "metric_ton/hectare", "short_ton/acre"),
    ("gal/ac", "L/ha", "gallon/acre", "liter/hectare"),
    ("bu/ac", "L/ha", "bushel/acre", "liter/hectare"),
    ("bu/ac", "m3/ha", "bushel/acre", "meter**3/hectare"),
    ("lb/bu", "kg/hL", "pound/bushel", "kg/hectoliter"),
    ("oz/ac", "g/ha", "ounce/acre", "gram/hectare"),
    ("mm/h", "in/d", "mm/hour", "inch/day"),
    ("mm/d", "L/m2/d", "mm/day", "liter/meter**2/day"),
    ("[lb_av]/[gal_us]", "g/L", "pound/gallon", "g/liter"),
    # Length
    ("in", "mm", "inch", "mm"),
    ("ft", "m", "foot", "m"),
    ("yd", "m", "yard", "m"),
    ("mi", "km", "mile", "km"),
    ("[ft_us]", "m", "survey_foot", "m"),
    ("nmi", "m", "nautical_mile", "m"),
    ("[rd_us]", "m", "rod", "m"),
    ("Ao", "nm", "angstrom", "nm"),
    ("[mil_i]", "um", "thou", "um"),
    ("[ly]", "km", "light_year", "km"),
    # Area and volume
    ("ac", "m2", "acre", "m**2"),
    ("ha", "ac", "hectare", "acre"),
    ("[sft_i]", "m2", "foot**2", "m**2"),
    ("[mi_us]2", "km2", "survey_mile**2", "km**2"),
    ("ft3", "L", "foot**3", "liter"),
    ("gal", "L", "gallon", "liter"),
    ("[gal_br]", "L", "imperial_gallon", "liter"),
    ("bu", "L", "bushel", "liter"),
    ("[bu_br]", "L", "imperial_bushel", "liter"),
    ("bbl", "m3", "oil_barrel", "m**3"),
    ("[foz_us]", "mL", "fluid_ounce", "mL"),
    ("[pt_us]", "mL", "pint", "mL"),
    ("[qt_us]", "L", "quart", "liter"),
    ("[cup_us]", "mL", "cup", "mL"),
    ("[tsp_us]", "mL", "teaspoon", "mL"),
    # Mass
    ("lb", "kg", "pound", "kg"),
    ("oz", "g", "ounce", "g"),
    ("[ston_av]", "t", "short_ton", "metric_ton"),
    ("[lton_av]", "kg", "long_ton", "kg"),
    ("[scwt_av]", "kg", "hundredweight", "kg"),
    ("[gr]", "mg", "grain", "mg"),
    ("[stone_av]", "kg", "stone", "kg"),
    ("[oz_tr]", "g", "troy_ounce", "g"),
    # Time and speed
    ("d", "s", "day", "s"),
    ("wk", "h", "week", "hour"),
    ("a", "d", "year", "day"),
    ("km/h", "m/s", "km/hour", "m/s"),
    ("mph", "km/h", "mile/hour", "km/hour"),
    ("knot", "m/s", "knot", "m/s"),
    ("ft/s", "mph", "foot/s", "mile/hour"),
    ("m/s2", "[ft_i]/s2", "m/s**2", "foot/s**2"),
    ("[g]", "m/s2", "standard_gravity", "m/s**2"),
    # Temperature
    ("Cel", "[degF]", "degC", "degF"),
    ("[degF]", "Cel", "degF", "degC"),
    ("K", "Cel", "kelvin", "degC"),
    ("Cel", "K", "degC", "kelvin"),
    ("[degF]", "K", "degF", "kelvin"),
    ("K", "[degR]", "kelvin", "degR"),
    ("[degR]", "[degF]", "degR", "degF"),
    # Force, pressure, energy, power
    ("lbf", "N", "pound_force", "N"),
    ("dyn", "uN", "dyne", "uN"),
    ("bar", "kPa", "bar", "kPa"),
    ("psi", "kPa", "pound_force/inch**2", "kPa"),
    ("atm", "hPa", "atm", "hPa"),
    ("kWh", "MJ", "kW*hour", "MJ"),
    ("cal", "J", "calorie", "J"),
    ("erg", "J", "erg", "J"),
    ("W/m2", "MJ/m2/d", "W/m**2", "MJ/m**2/day"),
    ("J/g/K", "cal/kg/K", "J/g/kelvin", "calorie/kg/kelvin"),
    # Angle, light, electricity, radiation, information, amounts
    ("deg", "rad", "degree", "radian"),
    ("gon", "deg", "grade", "degree"),
    ("deg/s", "rad/min", "degree/s", "radian/minute"),
    ("klx", "lm/m2", "kilolux", "lumen/m**2"),
    ("mA.h", "C", "mA*hour", "coulomb"),
    ("Ohm.mm2/m", "uOhm.m", "ohm*mm**2/m", "microohm*m"),
    ("Ci", "Bq", "curie", "becquerel"),
    ("RAD", "Gy", "rads", "gray"),
    ("REM", "Sv", "rem", "sievert"),
    ("MiBy", "bit", "mebibyte", "bit"),
    ("mmol/L", "mol/m3", "mmol/liter", "mol/m**3"),
    ("U", "nkat", "enzyme_unit", "nanokatal"),
    # Parts
    ("%", "1", "percent", "dimensionless"),
    ("[ppm]", "%", "ppm", "percent"),
]


def main():
    getcontext().prec = 50
    registry = pint.UnitRegistry(non_int_type=Decimal, autoconvert_offset_to_baseunit=True)

    def convert(value, source, target):
        return registry.Quantity(Decimal(value), source).to(target).magnitude

    answers = []
    for source, target, pint_source, pint_target in CASES:
        offset = convert(0, pint_source, pint_target)
        # Far from zero, so that the offset does not eat the digits.
        factor = (convert(10**9, pint_source, pint_target) - offset) / 10**9
        answers.append(
            {
                "from": source,
                "to": target,
                "factor": float(factor),
                "offset": float(offset),
            }
        )
    path = Path(__file__).parent / "units" / "pint.json"
    path.parent.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(answer) for answer in answers)
    path.write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
