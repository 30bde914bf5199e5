//! What a unit measures: a product of base dimensions with whole exponents.

use std::{collections::BTreeMap, fmt};

/// One base dimension, in the order in which it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Base {
    /// ISO 4217: each currency measures itself alone.
    Currency(&'static str),
    /// Written before the others, as people say "mass per area".
    Mass,
    Length,
    Time,
    Temperature,
    Angle,
    Charge,
    Luminosity,
    /// Moles. UCUM calls them a plain number; see the module's `mol` decision.
    Amount,
    /// Bits and bytes. UCUM calls them a plain number; as for moles.
    Information,
    /// An arbitrary unit of UCUM (`[IU]`, `[CFU]`): it measures itself alone.
    Arbitrary(&'static str),
}

impl Base {
    /// The order of the base units of UCUM: metre, second, gram, radian, kelvin, coulomb, candela.
    pub(super) const UCUM: [Self; 7] = [
        Self::Length,
        Self::Time,
        Self::Mass,
        Self::Angle,
        Self::Temperature,
        Self::Charge,
        Self::Luminosity,
    ];

    /// The letter of the UCUM tables (`C` is temperature, `Q` charge, `F` light), or the code itself.
    fn symbol(self) -> &'static str {
        match self {
            Self::Currency(code) | Self::Arbitrary(code) => code,
            Self::Mass => "M",
            Self::Length => "L",
            Self::Time => "T",
            Self::Temperature => "C",
            Self::Angle => "A",
            Self::Charge => "Q",
            Self::Luminosity => "F",
            Self::Amount => "N",
            Self::Information => "I",
        }
    }

    /// `exponent` of this base in words.
    fn words(self, exponent: i32) -> String {
        let word = match self {
            Self::Currency(code) | Self::Arbitrary(code) => code,
            Self::Mass => "mass",
            Self::Length => match exponent {
                2 => return "area".to_owned(),
                3 => return "volume".to_owned(),
                _ => "length",
            },
            Self::Time => "time",
            Self::Temperature => "temperature",
            Self::Angle => "angle",
            Self::Charge => "charge",
            Self::Luminosity => "luminous intensity",
            Self::Amount => "amount of substance",
            Self::Information => "information",
        };
        match exponent {
            1 => word.to_owned(),
            _ => format!("{word}^{exponent}"),
        }
    }
}

/// A product of base dimensions with whole exponents: mass, length, time, temperature, angle,
/// charge, luminous intensity, amount of substance, information, and one per currency.
///
/// Displays in words and in exponents: `mass / area (M.L-2)`, `EUR / mass (EUR.M-1)`,
/// `a plain number (1)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Dimension {
    /// Never a zero.
    exponents: BTreeMap<Base, i32>,
}

impl Dimension {
    /// Of a plain number.
    pub fn one() -> Self {
        Self::default()
    }

    /// Whether nothing is measured but a number.
    pub fn is_one(&self) -> bool {
        self.exponents.is_empty()
    }

    pub(super) fn of(base: Base) -> Self {
        Self {
            exponents: BTreeMap::from([(base, 1)]),
        }
    }

    /// `self * other^times`; nothing where an exponent is beyond `i32`.
    pub(super) fn times(&self, other: &Self, times: i32) -> Option<Self> {
        let mut exponents = self.exponents.clone();
        add(&mut exponents, &other.exponents, times)?;
        Some(Self { exponents })
    }

    /// The dimension whose `degree`-th power this is, where there is one.
    pub(super) fn root(&self, degree: i32) -> Option<Self> {
        let exponents = divided(&self.exponents, degree)?;
        Some(Self { exponents })
    }

    /// Mass per volume.
    pub(super) fn density() -> Self {
        Self {
            exponents: BTreeMap::from([(Base::Mass, 1), (Base::Length, -3)]),
        }
    }

    pub(super) fn is_density(&self) -> bool {
        *self == Self::density()
    }

    /// The currencies in it.
    pub(super) fn currencies(&self) -> Vec<&'static str> {
        let code = |base: &Base| match base {
            Base::Currency(code) => Some(*code),
            _ => None,
        };
        self.exponents.keys().filter_map(code).collect()
    }

    /// The same without its currencies and their exponents.
    pub(super) fn without_currencies(&self) -> Self {
        let mut rest = self.clone();
        rest.exponents
            .retain(|base, _| !matches!(base, Base::Currency(_)));
        rest
    }

    /// The exponent of `base`.
    pub(super) fn exponent(&self, base: Base) -> i32 {
        self.exponents.get(&base).copied().unwrap_or_default()
    }
}

/// `into + from * times`, entry by entry, without zeros; nothing where one is beyond `i32`.
pub(super) fn add<K: Ord + Clone>(
    into: &mut BTreeMap<K, i32>,
    from: &BTreeMap<K, i32>,
    times: i32,
) -> Option<()> {
    for (key, count) in from {
        let entry = into.entry(key.clone()).or_default();
        *entry = count.checked_mul(times)?.checked_add(*entry)?;
    }
    into.retain(|_, count| *count != 0);
    Some(())
}

/// Every entry divided by `by`, where that leaves whole numbers.
pub(super) fn divided<K: Ord + Clone>(
    from: &BTreeMap<K, i32>,
    by: i32,
) -> Option<BTreeMap<K, i32>> {
    from.iter()
        .map(|(key, count)| (count.checked_rem(by)? == 0).then(|| (key.clone(), count / by)))
        .collect()
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one() {
            return f.write_str("a plain number (1)");
        }
        let side = |sign: i32| -> Vec<String> {
            self.exponents
                .iter()
                .filter(|(_, exponent)| exponent.signum() == sign)
                .map(|(base, exponent)| base.words(exponent.saturating_abs()))
                .collect()
        };
        let (above, below) = (side(1), side(-1));
        let above = if above.is_empty() {
            "1".to_owned()
        } else {
            above.join(" * ")
        };
        f.write_str(&above)?;
        match below.as_slice() {
            [] => {}
            [one] => write!(f, " / {one}")?,
            several => write!(f, " / ({})", several.join(" * "))?,
        }
        let symbols: Vec<String> = self
            .exponents
            .iter()
            .map(|(base, exponent)| match exponent {
                1 => base.symbol().to_owned(),
                _ => format!("{}{exponent}", base.symbol()),
            })
            .collect();
        write!(f, " ({})", symbols.join("."))
    }
}
