//! What a unit expression means: its factor to the base units, its dimension, its scale, and what
//! UCUM ignores but people do not.
//!
//! `octofhir-ucum` parses the expression and knows the atoms of UCUM 2.2 with exact decimal
//! factors (28 digits); the walk over its syntax tree is here, because aliases, currencies, moles,
//! bytes, annotations and kinds are not UCUM.

use std::collections::BTreeMap;

use octofhir_ucum::{Case, Number, SpecialKind, UnitExpr, UnitRecord, evaluate, lookup_unit};

use super::{
    alias, currency,
    dimension::{Base, Dimension, add, divided},
    error::Problem,
};

/// How a number in a unit maps to the quantity it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// Zero is nothing: a plain factor.
    Ratio,
    /// A temperature scale: a number `x` is `(scale * x + offset) * factor`.
    Interval { scale: Number, offset: Number },
    /// A logarithm, a tangent or a root: a number `x` is `f(scale * x)`, and `f` belongs to `atom`.
    Curved { atom: &'static str, scale: Number },
}

/// What a unit says beyond its dimension: quantities that share a dimension and must not be mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// `Hz`: cycles per second.
    Frequency,
    /// `Bq`, `Ci`: decays per second.
    Activity,
    /// `Gy`, `RAD`: energy taken up per mass.
    AbsorbedDose,
    /// `Sv`, `REM`: the same, weighted by the harm it does.
    EquivalentDose,
    /// `mol`, `kat`, `U`: particles.
    Particles,
    /// `eq`: charges, so that a mole of Ca2+ is two.
    Charges,
    /// `osm`: particles after the substance came apart, so that a mole of NaCl is two.
    Osmoles,
}

impl Kind {
    pub(super) const GROUPS: [&'static [Self]; 3] = [
        &[Self::Frequency, Self::Activity],
        &[Self::AbsorbedDose, Self::EquivalentDose],
        &[Self::Particles, Self::Charges, Self::Osmoles],
    ];

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Frequency => "a frequency (Hz)",
            Self::Activity => "radioactive decays (Bq)",
            Self::AbsorbedDose => "an absorbed dose (Gy)",
            Self::EquivalentDose => "an equivalent dose (Sv)",
            Self::Particles => "particles (mol)",
            Self::Charges => "electric charges (eq)",
            Self::Osmoles => "osmotic particles (osm)",
        }
    }

    fn of(atom: &str) -> Option<Self> {
        Some(match atom {
            "Hz" => Self::Frequency,
            "Bq" | "Ci" => Self::Activity,
            "Gy" | "RAD" => Self::AbsorbedDose,
            "Sv" | "REM" => Self::EquivalentDose,
            "mol" | "kat" | "U" => Self::Particles,
            "eq" => Self::Charges,
            "osm" => Self::Osmoles,
            _ => return None,
        })
    }
}

/// What is annotated with one text: the dimension of it, and how many plain numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Annotated {
    dimension: Dimension,
    count: i32,
}

/// One atom of a product as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    /// Prefix and atom; empty for an annotation that stands alone.
    pub(super) symbol: String,
    pub(super) annotation: Option<String>,
    pub(super) exponent: i32,
}

/// What a unit expression means.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meaning {
    /// Times the base units (metre, second, gram, radian, kelvin, coulomb, candela, particle, bit).
    pub(super) factor: Number,
    pub(super) dimension: Dimension,
    pub(super) scale: Scale,
    pub(super) annotations: BTreeMap<String, Annotated>,
    pub(super) kinds: BTreeMap<Kind, i32>,
    pub(super) terms: Vec<Term>,
    /// The whole numbers above and below the line, for writing.
    pub(super) numbers: (Number, Number),
}

impl Meaning {
    pub(super) fn one() -> Self {
        Self::number(Number::ONE)
    }

    fn number(factor: Number) -> Self {
        Self {
            factor,
            dimension: Dimension::one(),
            scale: Scale::Ratio,
            annotations: BTreeMap::new(),
            kinds: BTreeMap::new(),
            terms: Vec::new(),
            numbers: (factor, Number::ONE),
        }
    }

    fn atom(symbol: &str, factor: Number, dimension: Dimension) -> Self {
        Self {
            factor,
            dimension,
            numbers: (Number::ONE, Number::ONE),
            terms: vec![Term {
                symbol: symbol.to_owned(),
                annotation: None,
                exponent: 1,
            }],
            ..Self::one()
        }
    }

    /// The meaning of a parsed expression; its depth is bounded by the parser.
    pub(super) fn of(expression: &UnitExpr) -> Result<Self, Problem> {
        match expression {
            UnitExpr::Symbol(symbol) => symbol_meaning(symbol),
            UnitExpr::Numeric(number) => Ok(Self::number(*number)),
            UnitExpr::Power(base, exponent) => Self::of(base)?.power(*exponent),
            UnitExpr::Annotation(text) => {
                Self::annotated(Self::atom("", Number::ONE, Dimension::one()), text, 1)
            }
            UnitExpr::Annotated(inner, text) => {
                let exponent = match **inner {
                    UnitExpr::Power(_, exponent) => exponent,
                    _ => 1,
                };
                Self::annotated(Self::of(inner)?, text, exponent)
            }
            UnitExpr::Product(terms) => terms.iter().try_fold(Self::one(), |product, term| {
                product.times(&Self::of(term)?, 1)
            }),
            UnitExpr::Quotient(above, below) => Self::of(above)?.times(&Self::of(below)?, -1),
            UnitExpr::Reciprocal(below) => Self::one().times(&Self::of(below)?, -1),
        }
    }

    /// `self{text}`; `count` is the exponent, which counts where there is no dimension to tell.
    fn annotated(mut self, text: &str, count: i32) -> Result<Self, Problem> {
        if self.terms.is_empty() {
            self = self.times(&Self::atom("", Number::ONE, Dimension::one()), 1)?;
        }
        for term in &mut self.terms {
            term.annotation = Some(text.to_owned());
        }
        let count = if self.dimension.is_one() { count } else { 0 };
        let what = Annotated {
            dimension: self.dimension.clone(),
            count,
        };
        self.annotations = BTreeMap::from([(text.to_owned(), what)]);
        Ok(self)
    }

    /// `self * other^exponent`.
    pub(super) fn times(&self, other: &Self, exponent: i32) -> Result<Self, Problem> {
        for side in [self, other] {
            side.refuse_scales()?;
        }
        let product = |a: Number, b: Number, times: i32| a.checked_mul(b.checked_powi(times)?);
        let all = || {
            let mut kinds = self.kinds.clone();
            add(&mut kinds, &other.kinds, exponent)?;
            let (above, below) = if exponent < 0 {
                (other.numbers.1, other.numbers.0)
            } else {
                other.numbers
            };
            let count = i32::try_from(exponent.unsigned_abs()).ok()?;
            Some(Self {
                factor: product(self.factor, other.factor, exponent)?,
                dimension: self.dimension.times(&other.dimension, exponent)?,
                scale: Scale::Ratio,
                annotations: merged(&self.annotations, &other.annotations, exponent)?,
                kinds,
                terms: joined(&self.terms, &other.terms, exponent)?,
                numbers: (
                    product(self.numbers.0, above, count)?,
                    product(self.numbers.1, below, count)?,
                ),
            })
        };
        all().ok_or(Problem::TooLarge)
    }

    pub(super) fn power(&self, exponent: i32) -> Result<Self, Problem> {
        if exponent == 1 {
            return Ok(self.clone());
        }
        Self::one().times(self, exponent)
    }

    /// The unit whose `degree`-th power this is, where its atoms can be written so.
    pub(super) fn root(&self, degree: i32) -> Result<Self, Problem> {
        self.refuse_scales()?;
        let all = || {
            let mut root = Self::one();
            for term in &self.terms {
                (term.exponent.checked_rem(degree)? == 0).then_some(())?;
                let expression = UnitExpr::Symbol(term.symbol.clone());
                let mut atom = match term.symbol.as_str() {
                    "" => Self::atom("", Number::ONE, Dimension::one()),
                    _ => Self::of(&expression).ok()?,
                };
                if let Some(text) = &term.annotation {
                    atom = Self::annotated(atom, text, 1).ok()?;
                }
                root = root.times(&atom, term.exponent / degree).ok()?;
            }
            Some(root)
        };
        let whole = [self.numbers.0, self.numbers.1]
            .iter()
            .all(|n| *n == Number::ONE);
        match (self.dimension.root(degree), divided(&self.kinds, degree)) {
            (Some(_), Some(_)) if whole => all().ok_or(Problem::RootOfAtom),
            (Some(_), _) => Err(Problem::RootOfAtom),
            (None, _) => Err(Problem::RootOfDimension(self.dimension.clone())),
        }
    }

    /// The notes in braces, and what each is on; sorted.
    pub(super) fn notes(&self) -> Vec<String> {
        self.annotations
            .iter()
            .map(|(text, what)| format!("`{{{text}}}` on {}", what.dimension))
            .collect()
    }

    /// The first atom.
    pub(super) fn code(&self) -> &str {
        self.terms.first().map_or("", |term| term.symbol.as_str())
    }

    fn refuse_scales(&self) -> Result<(), Problem> {
        let code = self.code();
        match self.scale {
            Scale::Ratio => Ok(()),
            Scale::Interval { .. } => Err(Problem::OffsetInProduct(code.to_owned())),
            Scale::Curved { .. } => Err(Problem::CurvedInProduct(code.to_owned())),
        }
    }
}

fn merged(
    a: &BTreeMap<String, Annotated>,
    b: &BTreeMap<String, Annotated>,
    times: i32,
) -> Option<BTreeMap<String, Annotated>> {
    let mut all = a.clone();
    for (text, what) in b {
        let entry = all.entry(text.clone()).or_default();
        entry.dimension = entry.dimension.times(&what.dimension, times)?;
        entry.count = what.count.checked_mul(times)?.checked_add(entry.count)?;
    }
    all.retain(|_, what| *what != Annotated::default());
    Some(all)
}

/// The terms of a product; equal atoms are one, and those that cancel are gone.
fn joined(a: &[Term], b: &[Term], times: i32) -> Option<Vec<Term>> {
    let mut all = a.to_vec();
    for term in b {
        let exponent = term.exponent.checked_mul(times)?;
        let same = all
            .iter_mut()
            .find(|other| other.symbol == term.symbol && other.annotation == term.annotation);
        match same {
            Some(same) => same.exponent = same.exponent.checked_add(exponent)?,
            None => all.push(Term {
                exponent,
                ..term.clone()
            }),
        }
    }
    all.retain(|term| term.exponent != 0);
    Some(all)
}

fn symbol_meaning(symbol: &str) -> Result<Meaning, Problem> {
    if let Some(ucum) = alias::find(symbol) {
        let expression = octofhir_ucum::parse_expression(ucum)
            .map_err(|_| Problem::Unknown(symbol.to_owned()))?;
        return Meaning::of(&expression);
    }
    if let Some(code) = currency::find(symbol) {
        let dimension = Dimension::of(Base::Currency(code));
        return Ok(Meaning::atom(symbol, Number::ONE, dimension));
    }
    if let Some(meanings) = alias::meanings(symbol) {
        return Err(Problem::Ambiguous(symbol.to_owned(), meanings));
    }
    let unknown = || Problem::Unknown(symbol.to_owned());
    let (_, record) = lookup_unit(symbol, Case::Sensitive).ok_or_else(unknown)?;
    let value = evaluate(&UnitExpr::Symbol(symbol.to_owned())).map_err(|_| unknown())?;
    let dimension = dimension_of(record).ok_or(Problem::TooLarge)?;
    let mut meaning = Meaning::atom(symbol, value.factor, dimension);
    if let Some(kind) = Kind::of(record.code) {
        meaning.kinds.insert(kind, 1);
    }
    if let Some(special) = value.special {
        meaning.scale = match offset(record.special) {
            Some(offset) => Scale::Interval {
                scale: special.scale,
                offset: Number::parse(offset).ok_or(Problem::TooLarge)?,
            },
            None => Scale::Curved {
                atom: record.code,
                scale: special.scale,
            },
        };
    }
    Ok(meaning)
}

/// Where the zero of a temperature scale lies in its own degrees (UCUM, table of special units).
fn offset(kind: SpecialKind) -> Option<&'static str> {
    match kind {
        SpecialKind::Celsius => Some("273.15"),
        SpecialKind::Fahrenheit => Some("459.67"),
        SpecialKind::Reaumur => Some("218.52"),
        _ => None,
    }
}

/// The dimension of an atom, with the bases that UCUM lacks.
fn dimension_of(record: &UnitRecord) -> Option<Dimension> {
    let mut dimension = Dimension::one();
    for (base, exponent) in Base::UCUM.into_iter().zip(record.dim.0) {
        dimension = dimension.times(&Dimension::of(base), i32::from(exponent))?;
    }
    for (atom, exponent) in record.arbitrary {
        dimension = dimension.times(&Dimension::of(Base::Arbitrary(atom)), *exponent)?;
    }
    let more = match record.code {
        "mol" | "eq" | "osm" | "kat" | "U" | "[pH]" => Base::Amount,
        "bit" | "By" => Base::Information,
        _ => return Some(dimension),
    };
    dimension.times(&Dimension::of(more), 1)
}
