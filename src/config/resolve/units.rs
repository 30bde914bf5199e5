//! Units: what fields have, what models want, and what is done where the two differ.

use super::{Resolver, fields::Fields, group::Group, known::Column, list::ModelItem};
use crate::{
    config::{
        node::Span,
        raw::At,
        report::{Report, listed, nearest},
    },
    contract::Dtype,
    engine::{ColumnRef, InputInfo, OutputInfo},
    graph::Value,
    units::{Affine, ConversionError, Unit},
};

/// How a column becomes what a model wants.
pub(super) enum Conversion {
    /// The same for every row.
    Affine(Affine),
    /// By a factor that another field says, one for each of its values.
    By {
        field: ColumnRef,
        name: String,
        factors: Vec<(String, f64)>,
    },
}

impl Conversion {
    /// The field that says the factor.
    pub(super) fn by(&self) -> Option<ColumnRef> {
        match self {
            Self::By { field, .. } => Some(*field),
            Self::Affine(_) => None,
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Affine(affine) if affine.is_identity())
    }
}

impl Resolver<'_> {
    /// The unit that is written there.
    pub(super) fn unit(&mut self, written: &At<String>) -> Option<Unit> {
        Unit::parse(&written.value)
            .map_err(|error| self.report(Report::new(error.to_string()).at(&written.span(), "")))
            .ok()
    }

    /// The units of the fields. What is wrong with one is reported once, here: the field is noted, so
    /// that whoever takes it does not complain as well.
    pub(super) fn field_units(&mut self, fields: &mut Fields) {
        let units = self.units_of(fields);
        fields.units = units;
        self.check_densities(fields);
    }

    fn units_of(&mut self, fields: &mut Fields) -> Vec<Option<Unit>> {
        let raw = self.raw;
        let written = raw.fields.as_ref().map(|fields| fields.value.0.as_slice());
        let written = written.unwrap_or_default();
        let unit_of = |name: &str| {
            let (_, field) = written.iter().find(|(known, _)| known.value == name)?;
            field.value.unit.as_ref()
        };
        let units: Vec<_> = fields
            .list
            .iter()
            .map(|field| unit_of(&field.name))
            .collect();
        units
            .into_iter()
            .zip(fields.list.iter().enumerate())
            .map(|(written, (place, field))| {
                let written = written?;
                if matches!(field.dtype, Dtype::String | Dtype::Bool | Dtype::Bytes) {
                    self.report(
                        Report::new(format!(
                            "`{}` is {} and has no unit",
                            field.name, field.dtype
                        ))
                        .at(&written.span(), "only numbers have units")
                        .help("remove it"),
                    );
                    return None;
                }
                let unit = self.unit(written);
                if unit.is_none() {
                    fields.misread.push(place);
                }
                unit
            })
            .collect()
    }

    /// The unit of an output, where the file says one.
    ///
    /// # Errors
    /// It cannot be read, or the output is none of numbers, which is reported.
    pub(super) fn output_unit(
        &mut self,
        step: &ModelItem<'_>,
        output: &OutputInfo,
    ) -> Result<Option<Unit>, ()> {
        let units = step.written.output_units.iter().flat_map(|units| &units.0);
        let written = units
            .into_iter()
            .find(|(name, _)| name.value == output.name);
        let Some((_, written)) = written else {
            return Ok(None);
        };
        if matches!(output.dtype, Dtype::String | Dtype::Bool) {
            self.report(
                Report::new(format!(
                    "the output `{}` is {} and has no unit",
                    output.name, output.dtype
                ))
                .at(&written.span(), "only numbers have units")
                .help("remove it"),
            );
            return Err(());
        }
        self.unit(written).map(Some).ok_or(())
    }

    /// The names under `input_units` and `output_units` must be the model's.
    pub(super) fn check_unit_names(&mut self, step: &ModelItem<'_>) {
        let Some(model) = step.opened else { return };
        let inputs = || model.inputs.iter().map(|input| input.name.as_str());
        let outputs = || model.declared.iter().map(String::as_str);
        let written = &step.written;
        for (name, _) in written.input_units.iter().flat_map(|units| &units.0) {
            if inputs().all(|known| known != name.value) {
                self.report(
                    Report::new(format!(
                        "the model `{}` has no input `{}`",
                        step.name, name.value
                    ))
                    .at(&name.span(), format!("its inputs: {}", listed(inputs())))
                    .maybe_help(nearest(&name.value, inputs())),
                );
            }
        }
        for (name, _) in written.output_units.iter().flat_map(|units| &units.0) {
            if outputs().all(|known| known != name.value) {
                self.report(
                    Report::new(format!(
                        "the model `{}` has no output `{}`",
                        step.name, name.value
                    ))
                    .at(&name.span(), format!("its outputs: {}", listed(outputs())))
                    .maybe_help(nearest(&name.value, outputs())),
                );
            }
        }
    }

    /// How each column becomes what the model wants.
    pub(super) fn conversions(
        &mut self,
        step: &ModelItem<'_>,
        input: &InputInfo,
        columns: &[Column],
        spans: &[Span],
    ) -> Option<Vec<Conversion>> {
        let same = || {
            columns
                .iter()
                .map(|_| Conversion::Affine(Affine::IDENTITY))
                .collect()
        };
        let Some(units) = &step.written.input_units else {
            return Some(same());
        };
        let Some((_, units)) = units.0.iter().find(|(name, _)| name.value == input.name) else {
            return Some(same());
        };
        let written = units.value.0.as_slice();
        if written.len() != 1 && written.len() != columns.len() {
            self.report(
                Report::new(format!(
                    "`{}` is fed by {} columns, and has {} units",
                    input.name,
                    columns.len(),
                    written.len()
                ))
                .at(&covering(written.iter().map(At::span)), "the units")
                .also(&covering(spans.iter().cloned()), "the columns")
                .help("write one unit for all columns, or one for each; `\"1\"` for what has none"),
            );
            return None;
        }
        if input.dtype == Dtype::String {
            let report = Report::new(format!(
                "the input `{}` is text and has no unit",
                input.name
            ));
            let at = covering(written.iter().map(At::span));
            self.report(report.at(&at, "only numbers have units").help("remove it"));
            return None;
        }
        let read: Vec<Option<Unit>> = written.iter().map(|unit| self.unit(unit)).collect();
        let read = read.into_iter().collect::<Option<Vec<Unit>>>()?;
        let mut conversions = Vec::with_capacity(columns.len());
        let whole = covering(spans.iter().cloned());
        for (at, column) in columns.iter().enumerate() {
            let place = if written.len() == 1 { 0 } else { at };
            let (wanted, to) = (written.get(place)?, read.get(place)?);
            let span = spans.get(at).unwrap_or(&whole);
            // What is wrong with one says nothing of the others.
            let Some(conversion) = self.conversion(column, to, span, &wanted.span()) else {
                continue;
            };
            if !conversion.is_nothing() && !matches!(input.dtype, Dtype::F32 | Dtype::F64) {
                self.report(
                    Report::new(format!(
                        "`{}` must be converted to `{to}`, and the input `{}` takes {}",
                        column.name, input.name, input.dtype
                    ))
                    .at(span, "a converted value is no whole number")
                    .also(&wanted.span(), "the model wants this")
                    .help("send it in the model's unit"),
                );
                continue;
            }
            conversions.push(conversion);
        }
        (conversions.len() == columns.len()).then_some(conversions)
    }

    fn conversion(
        &mut self,
        column: &Column,
        to: &Unit,
        span: &Span,
        wanted: &Span,
    ) -> Option<Conversion> {
        if column.misread {
            return None;
        }
        let Some(from) = &column.unit else {
            // A number without a unit is a plain one, and not one of percent.
            if to.conversion(&Unit::one()).is_ok_and(Affine::is_identity) {
                return Some(Conversion::Affine(Affine::IDENTITY));
            }
            let help = match column.place {
                ColumnRef::Field(_) => format!(
                    "say what it is measured in: `{}: {{ unit: \"{to}\" }}` under `fields`",
                    column.name
                ),
                ColumnRef::State(_) => format!(
                    "`{}` is held between rows, and has no unit: give it one by a formula, `\"{} * 1 {to}\"`",
                    column.name, column.name
                ),
                ColumnRef::Output(_) => format!(
                    "say what it is measured in: `unit` beside a formula, `output_units` under a model; other steps give plain numbers, so where this was meant, write `\"1\"` in the place of `{to}`"
                ),
            };
            self.report(
                Report::new(format!(
                    "`{}` has no unit, and the model wants `{to}`",
                    column.name
                ))
                .at(span, "")
                .also(wanted, "the model wants this")
                .help(help),
            );
            return None;
        };
        match from.conversion(to) {
            Ok(affine) => Some(Conversion::Affine(affine)),
            Err(error) => match self.density_of(column) {
                Some(density) if error.needs_density() => self.by_density(from, to, density),
                _ => {
                    self.unit_mismatch(column, &error, span, wanted);
                    None
                }
            },
        }
    }

    fn unit_mismatch(
        &mut self,
        column: &Column,
        error: &ConversionError,
        span: &Span,
        wanted: &Span,
    ) {
        let mut report = Report::new(format!("`{}`: {error}", column.name))
            .at(span, "")
            .also(wanted, "the model wants this");
        if error.needs_density() {
            report = report.help(format!(
                "give the field one: `{}: {{ …, density: {{ value: 56 [lb_av]/[bu_us] }} }}`, or by another field: `density: {{ by: crop }}`",
                column.name
            ));
        }
        self.report(report);
    }
}

impl Group {
    /// The columns side by side as a vector, each converted.
    pub(super) fn converted(
        &mut self,
        columns: &[Column],
        conversions: &[Conversion],
        dtype: Dtype,
        group: usize,
    ) -> Option<Value> {
        // Steps around the model belong to the graph, even where only units are converted.
        self.steps += 1;
        let mut parts = Vec::with_capacity(columns.len());
        for (column, conversion) in columns.iter().zip(conversions) {
            let one = std::slice::from_ref(column);
            // Rounded once, at the end, where the column has more digits than the model.
            let wide = match column.dtype {
                Dtype::F64 | Dtype::I64 | Dtype::I32 => Dtype::F64,
                _ => dtype,
            };
            let value = self.bring_flat(one, wide, group)?;
            self.graph.begin_step(&format!("{}/unit", column.name));
            let value = match conversion {
                Conversion::Affine(affine) => self.affine(&value, *affine),
                Conversion::By {
                    field,
                    name,
                    factors,
                } => {
                    let kind = self.import_text(name, *field);
                    let factor = self.graph.look_up(&kind, factors, wide);
                    let factor = self.graph.reshape(&factor, &vec![1; value.shape.len()]);
                    self.graph.with_constant("Mul", &value, &factor.name)
                }
            };
            let value = self.graph.cast(&value, dtype);
            parts.push(if columns.len() > 1 {
                self.graph.flatten(&value)
            } else {
                value
            });
        }
        self.graph.concat(&parts)
    }

    fn affine(&mut self, value: &Value, affine: Affine) -> Value {
        let mut value = value.clone();
        if (affine.factor - 1.0).abs() > 0.0 {
            let factor = self.graph.number(value.dtype, affine.factor);
            value = self.graph.with_constant("Mul", &value, &factor);
        }
        if affine.offset.abs() > 0.0 {
            let offset = self.graph.number(value.dtype, affine.offset);
            value = self.graph.with_constant("Add", &value, &offset);
        }
        value
    }
}

/// From the first place to the last.
fn covering(spans: impl Iterator<Item = Span>) -> Span {
    spans
        .reduce(|all, span| all.start.min(span.start)..all.end.max(span.end))
        .unwrap_or_default()
}
