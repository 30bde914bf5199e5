//! What the steps know by name: the fields, and what earlier steps gave.

use super::{fields::Fields, group::Group};
use crate::{
    config::report::Report,
    contract::Dtype,
    engine::{ColumnRef, OutputInfo, OutputRef},
    graph::formula::Checked,
    units::Unit,
};

/// All steps, as far as they could be resolved.
pub(super) struct Steps {
    pub(super) groups: Vec<Group>,
    pub(super) known: Vec<Known>,
    /// The places in `known` of what the last step gave.
    pub(super) last: std::ops::Range<usize>,
    /// The conditions that were met, by their texts.
    pub(super) conditions: Vec<(String, OutputRef)>,
    /// The names of the fields; of those that a step makes, and not a message, with a `true`.
    pub(super) fields: Vec<(String, bool)>,
    /// Fields that something takes.
    pub(super) used: Vec<bool>,
    /// State values that something takes.
    pub(super) state_used: Vec<bool>,
    /// Outputs that a later step takes.
    pub(super) taken: Vec<OutputRef>,
    /// Nothing was wrong: what is not used is not used.
    pub(super) sound: bool,
    /// Every name is known, so one that is not here is a mistake.
    pub(super) opened: bool,
}

/// Something that a step gave.
pub(super) struct Known {
    pub(super) name: String,
    /// The model that gave it, by which it can be called too: `model.output`.
    pub(super) model: Option<String>,
    pub(super) at: OutputRef,
    /// `None` where the model could not be run.
    info: Option<OutputInfo>,
    unit: Option<Unit>,
    /// The conditions without which it is not there.
    conditions: Vec<OutputRef>,
}

impl Known {
    /// The name that no other output has.
    fn qualified(&self) -> String {
        match &self.model {
            Some(model) => format!("{model}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A column that was found.
#[derive(Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) place: ColumnRef,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) labels: Option<Vec<String>>,
    pub(super) unit: Option<Unit>,
    /// Its unit cannot be read, which is reported.
    pub(super) misread: bool,
    /// The conditions without which it is not there.
    pub(super) conditions: Vec<OutputRef>,
}

impl Column {
    /// The group that it is made in.
    pub(super) fn group(&self) -> Option<usize> {
        match self.place {
            ColumnRef::Output(output) => Some(output.step),
            ColumnRef::Field(_) | ColumnRef::State(_) => None,
        }
    }
}

impl Steps {
    pub(super) fn new(fields: &Fields, complete: bool) -> Self {
        Self {
            groups: Vec::new(),
            known: Vec::new(),
            conditions: Vec::new(),
            fields: (fields.list.iter())
                .map(|field| (field.name.clone(), field.derived))
                .collect(),
            last: 0..0,
            used: fields.used.clone(),
            state_used: vec![false; fields.state.len()],
            taken: Vec::new(),
            sound: complete && fields.complete,
            opened: complete,
        }
    }

    /// Makes a result known. `model` is the model that gave it.
    pub(super) fn learn(
        &mut self,
        name: &str,
        model: Option<&str>,
        at: OutputRef,
        info: Option<OutputInfo>,
        unit: Option<Unit>,
    ) {
        let rows = self.groups.get(at.step).map(|group| &group.rows);
        let conditions = rows.filter(|rows| rows.otherwise.is_none());
        self.known.push(Known {
            conditions: conditions
                .map(|rows| rows.conditions.clone())
                .unwrap_or_default(),
            name: name.to_owned(),
            model: model.map(str::to_owned),
            at,
            info,
            unit,
        });
    }

    /// Everything that is called so: `output` or `model.output`.
    fn called<'s, 'n>(&'s self, name: &'n str) -> impl Iterator<Item = &'s Known> + use<'s, 'n> {
        self.known.iter().filter(move |known| {
            let model = known.model.as_deref();
            let rest = model.and_then(|model| name.strip_prefix(model)?.strip_prefix('.'));
            known.name == name || rest == Some(known.name.as_str())
        })
    }

    /// What is called so, where that is one thing.
    fn known(&self, name: &str) -> Option<&Known> {
        let mut called = self.called(name);
        called.next().filter(|_| called.next().is_none())
    }

    /// Whether anything is called so.
    pub(super) fn is_known(&self, name: &str) -> bool {
        self.called(name).next().is_some()
    }

    /// What is wrong with a name that several things have, to be put where it stands.
    pub(super) fn ambiguous(&self, name: &str) -> Option<Report> {
        let called: Vec<&Known> = self.called(name).collect();
        let [_, _, ..] = called.as_slice() else {
            return None;
        };
        let (models, steps): (Vec<&Known>, Vec<&Known>) =
            called.into_iter().partition(|known| known.model.is_some());
        let names = models
            .iter()
            .map(|known| format!("`{}`", known.qualified()));
        let names = names.collect::<Vec<_>>().join(" or ");
        let report = Report::new(format!("several outputs are called `{name}`"));
        Some(report.help(if steps.is_empty() {
            format!("write {names}")
        } else {
            format!(
                "write {names}; or, where the other step's was meant, give that another `output`"
            )
        }))
    }

    /// The results that have units.
    pub(super) fn units(&self) -> impl Iterator<Item = (OutputRef, String)> + '_ {
        let with = |known: &Known| Some((known.at, known.unit.as_ref()?.to_string()));
        self.known.iter().filter_map(with)
    }

    /// Finds `output` or `model.output`, where one thing is called so.
    pub(super) fn find(&self, name: &str) -> Option<OutputRef> {
        self.known(name).map(|known| known.at)
    }

    /// What really comes out there, where it is known.
    pub(super) fn info(&self, at: OutputRef) -> Option<&OutputInfo> {
        let known = self.known.iter().find(|known| known.at == at)?;
        known.info.as_ref()
    }

    /// Whether it is there in every row.
    pub(super) fn is_everywhere(&self, at: OutputRef) -> bool {
        let known = self.known.iter().find(|known| known.at == at);
        known.is_none_or(|known| known.conditions.is_empty())
    }

    /// What the last step gave, where that is known.
    pub(super) fn last_outputs(&self) -> Option<Vec<(OutputRef, &OutputInfo)>> {
        let last = self.known.get(self.last.clone())?;
        if last.is_empty() {
            return None;
        }
        last.iter()
            .map(|known| Some((known.at, known.info.as_ref()?)))
            .collect()
    }

    /// What every step gave, where all of it is known.
    pub(super) fn all_outputs(&self) -> Option<Vec<(OutputRef, &OutputInfo)>> {
        let all = self.known.iter();
        all.map(|known| Some((known.at, known.info.as_ref()?)))
            .collect()
    }

    /// The names of what the last step gave.
    pub(super) fn last_names(&self) -> impl Iterator<Item = &str> {
        let last = self.known.get(self.last.clone()).unwrap_or_default();
        last.iter().map(|known| known.name.as_str())
    }

    /// Every name that `find` takes, the last step's plain ones first.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.last_names().map(str::to_owned).collect();
        let earlier = self.known.get(..self.last.start).unwrap_or_default();
        names.extend(earlier.iter().rev().map(Known::qualified));
        names
    }

    /// Whether every output's name is known.
    pub(super) fn all_opened(&self) -> bool {
        self.opened && !self.groups.is_empty()
    }

    /// A field of this name, or else a state value, or else an output of an earlier step.
    pub(super) fn column(&self, name: &str, fields: &Fields) -> Option<Column> {
        if let Some(place) = fields.find(name) {
            let field = fields.list.get(place)?;
            return Some(Column {
                name: name.to_owned(),
                place: ColumnRef::Field(place),
                dtype: field.dtype,
                shape: field.shape.clone(),
                labels: None,
                unit: fields.units.get(place).cloned().flatten(),
                misread: fields.misread.contains(&place),
                conditions: Vec::new(),
            });
        }
        let held = fields.state.iter().enumerate();
        let mut held = held.filter(|(_, value)| value.name == name);
        if let Some((place, value)) = held.next() {
            return Some(Column {
                name: name.to_owned(),
                place: ColumnRef::State(place),
                dtype: value.dtype,
                shape: value.shape.clone(),
                labels: None,
                unit: None,
                misread: false,
                conditions: Vec::new(),
            });
        }
        let known = self.known(name)?;
        let info = known.info.as_ref()?;
        Some(Column {
            name: name.to_owned(),
            place: ColumnRef::Output(known.at),
            dtype: info.dtype,
            shape: info.shape.clone(),
            labels: info.labels.clone(),
            unit: known.unit.clone(),
            misread: false,
            conditions: known.conditions.clone(),
        })
    }

    /// A field that feeds something is used.
    pub(super) fn mark(&mut self, column: &Column) {
        self.mark_place(Some(column.place));
    }

    /// The columns that a formula reads, which are used then.
    pub(super) fn read_by(&mut self, checked: &Checked, fields: &Fields) -> Vec<Column> {
        let names = checked.names();
        let columns: Vec<Column> = names.filter_map(|name| self.column(name, fields)).collect();
        for column in &columns {
            self.mark(column);
        }
        columns
    }

    pub(super) fn mark_place(&mut self, place: Option<ColumnRef>) {
        match place {
            Some(ColumnRef::Field(field)) => {
                if let Some(used) = self.used.get_mut(field) {
                    *used = true;
                }
            }
            Some(ColumnRef::State(value)) => {
                if let Some(used) = self.state_used.get_mut(value) {
                    *used = true;
                }
            }
            Some(ColumnRef::Output(output)) => self.taken.push(output),
            None => {}
        }
    }
}
