//! Densities: how a field that counts a volume becomes a mass, or the other way round.

use super::{Resolver, fields::Fields, known::Column, units::Conversion};
use crate::{
    config::{
        node::Span,
        raw::{At, Density as RawDensity},
        report::{Report, listed, nearest},
    },
    contract::{Dtype, Scalar},
    engine::ColumnRef,
    graph::formula::ColumnDensity,
    units::{Density, Unit},
};

impl<'r> Resolver<'r> {
    /// What is wrong with densities, whether they are needed or not.
    pub(super) fn check_densities(&mut self, fields: &mut Fields) {
        let raw = self.raw;
        let written = raw.fields.iter().flat_map(|fields| &fields.value.0);
        for (place, (name, field)) in written.enumerate() {
            let Some(density) = &field.value.density else {
                continue;
            };
            let mut sound = self.check_density(density).is_some();
            if field.value.unit.is_none() {
                sound = false;
                self.report(
                    Report::new(format!("`{}` has a density and no unit", name.value))
                        .at(
                            &name.span(),
                            "so nobody knows what volume or mass it counts",
                        )
                        .help(format!(
                            "add it: `{}: {{ unit: \"[bu_us]/[acr_us]\", … }}`",
                            name.value
                        )),
                );
            }
            if !sound {
                fields.misread.push(place);
            }
        }
    }

    fn check_density(&mut self, density: &At<RawDensity>) -> Option<()> {
        let RawDensity { value, by, of } = &density.value;
        match (value, by) {
            (Some(text), None) if of.is_none() => self.density(text).map(|_| ()),
            (None, Some(by)) => {
                let kinds = self.kinds(by)?;
                let Some(of) = of else {
                    let known =
                        |kind: &&String| Density::of_commodity(&kind.to_lowercase()).is_none();
                    let strange: Vec<&str> =
                        kinds.iter().filter(known).map(String::as_str).collect();
                    return self.no_density(&strange, by, None);
                };
                let mut sound = true;
                for (name, text) in &of.0 {
                    sound &= self.density(text).is_some();
                    if kinds.contains(&name.value) {
                        continue;
                    }
                    sound = false;
                    let known = || kinds.iter().map(String::as_str);
                    self.report(
                        Report::new(format!("`{}` is no value of `{}`", name.value, by.value))
                            .at(&name.span(), format!("its values: {}", listed(known())))
                            .maybe_help(nearest(&name.value, known())),
                    );
                }
                let has = |kind: &&String| of.0.iter().all(|(name, _)| name.value != **kind);
                let strange: Vec<&str> = kinds.iter().filter(has).map(String::as_str).collect();
                // A name that is spelt wrong is reported already.
                if sound {
                    self.no_density(&strange, by, of.0.first().map(|(name, _)| name.span()))?;
                }
                sound.then_some(())
            }
            _ => {
                self.report(
                    Report::new("a density is a `value`, or is said `by` another field")
                        .at(&density.span(), "")
                        .help("write `density: { value: 56 [lb_av]/[bu_us] }` or `density: { by: crop, of: { maize: 56 [lb_av]/[bu_us] } }`"),
                );
                None
            }
        }
    }

    fn no_density(&mut self, kinds: &[&str], by: &At<String>, of: Option<Span>) -> Option<()> {
        let [first, ..] = kinds else {
            return Some(());
        };
        let names = listed(kinds.iter().copied());
        let mut report = Report::new(format!("there is no density for {names}"))
            .at(&by.span(), format!("`{}` can have such values", by.value));
        if let Some(of) = of {
            report = report.also(&of, "there must be one for each value");
        }
        self.report(report.help(format!(
            "add it: `density: {{ by: {}, of: {{ {first}: 56 [lb_av]/[bu_us], … }} }}`",
            by.value
        )));
        None
    }

    /// The density of a field, where there is one and nothing is wrong with it.
    pub(super) fn column_density(&self, column: &Column) -> Option<ColumnDensity> {
        let RawDensity { value, by, of } = &self.density_of(column)?.value;
        if let Some(text) = value {
            return Density::parse(&text.value).ok().map(ColumnDensity::Fixed);
        }
        let by = by.as_ref()?;
        let density = |kind: String| {
            let density = match of {
                None => Density::of_commodity(&kind.to_lowercase())?,
                Some(of) => {
                    let (_, text) = of.0.iter().find(|(name, _)| name.value == kind)?;
                    Density::parse(&text.value).ok()?
                }
            };
            Some((kind, density))
        };
        Some(ColumnDensity::By {
            column: by.value.clone(),
            of: self
                .values_of(by)?
                .into_iter()
                .map(density)
                .collect::<Option<_>>()?,
        })
    }

    /// What the file says of the density of a field.
    pub(super) fn density_of(&self, column: &Column) -> Option<&'r At<RawDensity>> {
        let fields = self.raw.fields.as_ref()?;
        let (_, field) = fields
            .value
            .0
            .iter()
            .find(|(name, _)| name.value == column.name)?;
        field.value.density.as_ref()
    }

    /// By the field's density, or the one that another field says.
    pub(super) fn by_density(
        &mut self,
        from: &Unit,
        to: &Unit,
        density: &At<RawDensity>,
    ) -> Option<Conversion> {
        let (value, by) = (&density.value.value, &density.value.by);
        let factor = |resolver: &mut Self, density: &Density, span: &Span| {
            let affine = density.conversion(from, to);
            affine
                .map_err(|error| resolver.report(Report::new(error.to_string()).at(span, "")))
                .ok()
        };
        match (value, by) {
            (Some(text), None) => {
                let density = self.density(text)?;
                factor(self, &density, &text.span()).map(Conversion::Affine)
            }
            (None, Some(by)) => {
                let kinds = self.kinds(by)?;
                let of = density.value.of.as_ref().map(|of| of.0.as_slice());
                let mut factors = Vec::with_capacity(kinds.len());
                for kind in kinds {
                    let (density, span) = match of {
                        None => (Density::of_commodity(&kind.to_lowercase()), by.span()),
                        Some(of) => {
                            let (_, text) = of.iter().find(|(name, _)| name.value == kind)?;
                            (self.density(text), text.span())
                        }
                    };
                    // It was checked.
                    let density = density?;
                    factors.push((kind, factor(self, &density, &span)?.factor));
                }
                let place = self
                    .raw
                    .fields
                    .as_ref()?
                    .value
                    .0
                    .iter()
                    .position(|(name, _)| name.value == by.value)?;
                Some(Conversion::By {
                    field: ColumnRef::Field(place),
                    name: by.value.clone(),
                    factors,
                })
            }
            _ => None,
        }
    }

    fn density(&mut self, text: &At<String>) -> Option<Density> {
        Density::parse(&text.value)
            .map_err(|error| self.report(Report::new(error.to_string()).at(&text.span(), "")))
            .ok()
    }

    /// The values of the text field by which densities are told, where it is one that lists them.
    fn values_of(&self, by: &At<String>) -> Option<Vec<String>> {
        let fields = self.raw.fields.as_ref()?;
        let field = fields
            .value
            .0
            .iter()
            .find(|(name, _)| name.value == by.value);
        let text = field.filter(|(_, field)| {
            let dtype = field.value.dtype.as_ref();
            let text = dtype.is_some_and(|dtype| dtype.value.0 == Dtype::String);
            text && field.value.shape.is_none()
        });
        let values = text.and_then(|(_, field)| field.value.values.as_ref());
        let texts: Option<Vec<String>> = values.map(|values| {
            let text = |value: &At<crate::config::raw::ScalarValue>| match &value.value.0 {
                Scalar::String(text) => Some(text.clone()),
                _ => None,
            };
            values.value.iter().filter_map(text).collect()
        });
        texts.filter(|texts| !texts.is_empty())
    }

    /// The values of the text field by which densities are told.
    fn kinds(&mut self, by: &At<String>) -> Option<Vec<String>> {
        let values = self.values_of(by);
        if values.is_some() {
            return values;
        }
        self.report(
            Report::new(format!(
                "`{}` must be a text field that lists its `values`",
                by.value
            ))
            .at(&by.span(), "so that there is a density for each")
            .help(format!(
                "under `fields`: `{}: {{ dtype: string, values: [maize, wheat] }}`",
                by.value
            )),
        );
        None
    }
}
