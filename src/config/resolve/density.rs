//! Densities: how a field that counts a volume becomes a mass, or the other way round.

use super::{Resolver, known::Column, units::Conversion};
use crate::{
    config::{
        node::Span,
        raw::{At, Density as RawDensity},
        report::Report,
    },
    contract::Scalar,
    engine::ColumnRef,
    units::{Density, Unit},
};

impl<'r> Resolver<'r> {
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
                        Some(of) => match of.iter().find(|(name, _)| name.value == kind) {
                            Some((_, text)) => (Some(self.density(text)?), text.span()),
                            None => (None, by.span()),
                        },
                    };
                    let Some(density) = density else {
                        self.report(
                            Report::new(format!("there is no density for `{kind}`, a value of `{}`", by.value))
                                .at(&by.span(), "")
                                .help(format!("add it: `density: {{ by: {}, of: {{ {kind}: 56 [lb_av]/[bu_us], … }} }}`", by.value)),
                        );
                        return None;
                    };
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

    fn density(&mut self, text: &At<String>) -> Option<Density> {
        Density::parse(&text.value)
            .map_err(|error| self.report(Report::new(error.to_string()).at(&text.span(), "")))
            .ok()
    }

    /// The values of the text field by which densities are told.
    fn kinds(&mut self, by: &At<String>) -> Option<Vec<String>> {
        let fields = self.raw.fields.as_ref()?;
        let field = fields
            .value
            .0
            .iter()
            .find(|(name, _)| name.value == by.value);
        let values = field.and_then(|(_, field)| field.value.values.as_ref());
        let texts: Option<Vec<String>> = values.map(|values| {
            let text = |value: &At<crate::config::raw::ScalarValue>| match &value.value.0 {
                Scalar::String(text) => Some(text.clone()),
                _ => None,
            };
            values.value.iter().filter_map(text).collect()
        });
        if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
            return Some(texts);
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
