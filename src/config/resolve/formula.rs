//! Formulas: what they read, and the nodes that they become.

use super::{
    Resolver,
    fields::Fields,
    group::Group,
    known::{Column, Steps},
    list::{FormulaItem, Item, StepList},
    names::Earlier,
};
use crate::{
    config::{node::Span, raw::At, report::Report},
    contract::Dtype,
    engine::{OutputInfo, OutputRef},
    graph::{
        GraphBuilder, Value,
        formula::{Checked, ColumnType, Columns, Formula, FormulaError},
    },
    units::{Affine, Unit},
};

/// Everything that a formula can name.
struct Names<'a, 'r> {
    resolver: &'a Resolver<'r>,
    fields: &'a Fields,
    steps: &'a Steps,
}

impl Columns for Names<'_, '_> {
    fn find(&self, name: &str) -> Option<ColumnType> {
        let column = self.steps.column(name, self.fields)?;
        Some(ColumnType {
            density: self.resolver.column_density(&column),
            dtype: column.dtype,
            shape: column.shape,
            labels: column.labels,
            unit: column.unit,
        })
    }

    fn names(&self) -> Vec<String> {
        let fields = self.fields.list.iter().map(|field| field.name.clone());
        fields.chain(self.steps.names()).collect()
    }
}

impl Resolver<'_> {
    /// The formula that is written there.
    pub(super) fn parsed(&mut self, text: &At<String>) -> Option<Formula> {
        Formula::parse(&text.value)
            .map_err(|error| self.formula_error(error, text))
            .ok()
    }

    /// Where no fields are declared, a formula can read earlier results only.
    pub(super) fn formula_without_fields(
        &mut self,
        item: &FormulaItem<'_>,
        earlier: &[Earlier<'_>],
        fields: &mut Fields,
    ) {
        let names = item
            .formula
            .as_ref()
            .map(Formula::names)
            .unwrap_or_default();
        let unknown = names.into_iter().find(|name| {
            !Formula::is_constant(name) && !earlier.iter().any(|output| output.is(name))
        });
        if let Some(name) = unknown
            && fields.complete
        {
            self.report(
                Report::new(format!(
                    "`fields` is missing: the formula cannot say what `{name}` is"
                ))
                .at(&item.text.span(), "")
                .help(format!("add `fields: {{ {name}: {{ dtype: f32 }}, … }}`")),
            );
        }
        fields.complete &= unknown.is_none();
    }

    pub(super) fn formula_step(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        item: &Item<'_>,
        step: &FormulaItem<'_>,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<()> {
        let made = self.made(list, at, item, step, fields, steps);
        // Whoever uses it has no mistake of its own.
        steps.opened &= made.is_some();
        made
    }

    fn made(
        &mut self,
        list: &StepList<'_>,
        at: usize,
        item: &Item<'_>,
        step: &FormulaItem<'_>,
        fields: &Fields,
        steps: &mut Steps,
    ) -> Option<()> {
        self.check_formula_keys(item)?;
        let formula = step.formula.as_ref()?;
        let checked = self.checked(formula, step.text, fields, steps)?;
        let columns = steps.read_by(&checked, fields);
        let (unit, conversion) = self.result_unit(item, &checked)?;
        self.check_name(step.output, &step.output_span, fields, steps)?;
        let all: Vec<&Column> = columns.iter().collect();
        let rows = self.rows(list, at, item, &all, fields, steps)?;
        let number = self.group_for(list, at, &all, rows, steps);
        let name = (step.output, step.text);
        let (at, value) =
            self.emit_formula(steps, number, &checked, &columns, name, |graph, value| {
                converted(graph, &value, conversion)
            })?;
        let info = OutputInfo {
            name: step.output.to_owned(),
            dtype: value.dtype,
            shape: value.shape,
            labels: value.labels,
        };
        steps.learn(step.output, None, at, Some(info), unit);
        Some(())
    }

    /// Adds a formula to the group of this number, with what `finish` makes of its result as a value of this name.
    pub(super) fn emit_formula(
        &mut self,
        steps: &mut Steps,
        number: usize,
        checked: &Checked,
        columns: &[Column],
        (name, text): (&str, &At<String>),
        finish: impl FnOnce(&mut GraphBuilder, Value) -> Value,
    ) -> Option<(OutputRef, Value)> {
        let group = steps.groups.get_mut(number)?;
        let value = match group.emit_formula(checked, columns, name, number) {
            Ok(value) => finish(&mut group.graph, value),
            Err(error) => {
                self.formula_error(error, text);
                return None;
            }
        };
        let output = group.add(name, name.to_owned(), value.clone());
        let at = OutputRef {
            step: number,
            output,
        };
        Some((at, value))
    }

    /// The formula with what it reads; `None` for a mistake, or where something that it reads has
    /// one.
    pub(super) fn checked(
        &mut self,
        formula: &Formula,
        text: &At<String>,
        fields: &Fields,
        steps: &Steps,
    ) -> Option<Checked> {
        if !fields.complete || !steps.opened {
            return None;
        }
        // Known by name only, because the step could not be run; or its unit cannot be read.
        let lost = |name: &&str| match steps.column(name, fields) {
            Some(column) => column.misread,
            None => steps.is_known(name),
        };
        let unsure = |name: &str| {
            let report = steps
                .ambiguous(name)
                .filter(|_| fields.find(name).is_none())?;
            let at = text.value.find(name).unwrap_or_default();
            Some((report, at..at + name.len()))
        };
        if let Some((report, part)) = formula.names().into_iter().find_map(unsure) {
            self.report(report.at(&self.inside(text, &part), ""));
            return None;
        }
        if formula.names().iter().any(lost) {
            return None;
        }
        let names = Names {
            resolver: self,
            fields,
            steps,
        };
        let error = match formula.check(&names) {
            Ok(checked) => return Some(checked),
            Err(error) => error,
        };
        let name = text.value.get(error.span.clone()).unwrap_or_default();
        let name = name.trim_matches('`');
        let unknown = steps.column(name, fields).is_none();
        let early = unknown.then(|| self.too_early(name, &self.inside(text, &error.span)));
        match early.flatten() {
            Some(report) => self.report(report),
            None => self.formula_error(error, text),
        }
        None
    }

    /// A formula names what it reads.
    fn check_formula_keys(&mut self, item: &Item<'_>) -> Option<()> {
        let input = item.raw.and_then(|raw| raw.input.as_ref()).map(At::span);
        let Some(span) = input.or_else(|| item.inputs_span()) else {
            return Some(());
        };
        self.report(
            Report::new("a formula names what it reads")
                .at(&span, "so nothing need feed it")
                .help("remove this, and write the names into the formula"),
        );
        None
    }

    /// The unit of the result, and how it is converted to that.
    fn result_unit(
        &mut self,
        item: &Item<'_>,
        checked: &Checked,
    ) -> Option<(Option<Unit>, Affine)> {
        let found = checked.unit();
        let Some(written) = item.raw.and_then(|raw| raw.unit.as_ref()) else {
            return Some((found.cloned(), Affine::IDENTITY));
        };
        if checked.dtype() == Dtype::Bool {
            self.report(
                Report::new("the result of the formula is a truth value and has no unit")
                    .at(&written.span(), "only numbers have units")
                    .help("remove it"),
            );
            return None;
        }
        let unit = self.unit(written)?;
        let Some(found) = found else {
            return Some((Some(unit), Affine::IDENTITY));
        };
        match found.conversion(&unit) {
            Ok(conversion) => Some((Some(unit), conversion)),
            Err(error) => {
                self.report(
                    Report::new(format!(
                        "the result of the formula cannot be given in `{unit}`: {error}"
                    ))
                    .at(&written.span(), format!("the formula gives `{found}`"))
                    .maybe_help(error.needs_density().then(|| {
                        "give the field a `density` and write `unit(FIELD, 'kg/har')` in the formula, or multiply by one: `FIELD * unit(48, '[lb_av]/[bu_us]')`"
                            .to_owned()
                    })),
                );
                None
            }
        }
    }

    pub(super) fn formula_error(&mut self, error: FormulaError, text: &At<String>) {
        let span = self.inside(text, &error.span);
        self.report(Report::new(error.what).at(&span, "").maybe_help(error.help));
    }

    /// The place in the file of a part of this text; of all of it, where it is written with escapes.
    fn inside(&self, text: &At<String>, part: &Span) -> Span {
        let whole = text.span();
        let written = self.text.get(whole.clone()).unwrap_or_default();
        match written.find(text.value.as_str()) {
            Some(at) if !text.value.is_empty() => {
                let start = whole.start + at;
                start + part.start..start + part.end.max(part.start)
            }
            _ => whole,
        }
    }
}

impl Group {
    /// The nodes of a formula that reads these columns.
    fn emit_formula(
        &mut self,
        checked: &Checked,
        columns: &[Column],
        name: &str,
        group: usize,
    ) -> Result<Value, FormulaError> {
        self.steps += 1;
        self.graph.begin_step(name);
        let mut values = Vec::with_capacity(columns.len());
        for column in columns {
            let one = std::slice::from_ref(column);
            // One column fits beside nothing.
            if let Ok(value) = self.bring(one, column.dtype, name, group) {
                values.push((column.name.as_str(), value));
            }
        }
        checked.emit(&mut self.graph, &|name| {
            let found = values.iter().find(|(known, _)| *known == name);
            found.map_or_else(
                || Value::new(name, Dtype::F32, Vec::new()),
                |(_, value)| value.clone(),
            )
        })
    }
}

fn converted(graph: &mut GraphBuilder, value: &Value, conversion: Affine) -> Value {
    if conversion.is_identity() {
        return value.clone();
    }
    let mut value = graph.float(value);
    if (conversion.factor - 1.0).abs() > 0.0 {
        let factor = graph.number(value.dtype, conversion.factor);
        value = graph.with_constant("Mul", &value, &factor);
    }
    if conversion.offset.abs() > 0.0 {
        let offset = graph.number(value.dtype, conversion.offset);
        value = graph.with_constant("Add", &value, &offset);
    }
    value
}
