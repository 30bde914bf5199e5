//! What the steps know by name: the fields, and what earlier steps gave.

use super::{fields::Fields, group::Group};
use crate::{
    contract::Dtype,
    engine::{ColumnRef, OutputInfo, OutputRef},
};

/// All steps, as far as they could be resolved.
pub(super) struct Steps {
    pub(super) groups: Vec<Group>,
    pub(super) known: Vec<Known>,
    /// The places in `known` of what the last step gave.
    pub(super) last: std::ops::Range<usize>,
    /// Fields that something takes.
    pub(super) used: Vec<bool>,
    /// Nothing was wrong: what is not used is not used.
    pub(super) sound: bool,
    /// Every name is known, so one that is not here is a mistake.
    pub(super) opened: bool,
}

/// Something that a step gave.
pub(super) struct Known {
    pub(super) name: String,
    /// The model that gave it, by which it can be called too: `model.output`.
    model: Option<String>,
    at: OutputRef,
    /// `None` where the model could not be run.
    info: Option<OutputInfo>,
}

/// A column that was found.
#[derive(Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) place: ColumnRef,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
}

impl Column {
    /// The group that it is made in.
    pub(super) fn group(&self) -> Option<usize> {
        match self.place {
            ColumnRef::Output(output) => Some(output.step),
            ColumnRef::Field(_) => None,
        }
    }
}

impl Steps {
    pub(super) fn new(fields: &Fields, complete: bool) -> Self {
        Self {
            groups: Vec::new(),
            known: Vec::new(),
            last: 0..0,
            used: fields.used.clone(),
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
    ) {
        self.known.push(Known {
            name: name.to_owned(),
            model: model.map(str::to_owned),
            at,
            info,
        });
    }

    /// Finds `output` or `model.output`; the latest step wins.
    fn known(&self, name: &str) -> Option<&Known> {
        let mut plain = self.known.iter().rev();
        plain.find(|known| known.name == name).or_else(|| {
            self.known.iter().rev().find(|known| {
                let model = known.model.as_deref();
                let rest = model.and_then(|model| name.strip_prefix(model)?.strip_prefix('.'));
                rest == Some(known.name.as_str())
            })
        })
    }

    /// Finds `output` or `model.output`; the latest step wins.
    pub(super) fn find(&self, name: &str) -> Option<OutputRef> {
        self.known(name).map(|known| known.at)
    }

    /// What really comes out there, where it is known.
    pub(super) fn info(&self, at: OutputRef) -> Option<&OutputInfo> {
        let known = self.known.iter().find(|known| known.at == at)?;
        known.info.as_ref()
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
        names.extend(earlier.iter().rev().map(|known| match &known.model {
            Some(model) => format!("{model}.{}", known.name),
            None => known.name.clone(),
        }));
        names
    }

    /// Whether every output's name is known.
    pub(super) fn all_opened(&self) -> bool {
        self.opened && !self.groups.is_empty()
    }

    /// A field of this name, or else an output of an earlier step.
    pub(super) fn column(&self, name: &str, fields: &Fields) -> Option<Column> {
        if let Some(place) = fields.find(name) {
            let field = fields.list.get(place)?;
            return Some(Column {
                name: name.to_owned(),
                place: ColumnRef::Field(place),
                dtype: field.dtype,
                shape: field.shape.clone(),
            });
        }
        let known = self.known(name)?;
        let info = known.info.as_ref()?;
        Some(Column {
            name: name.to_owned(),
            place: ColumnRef::Output(known.at),
            dtype: info.dtype,
            shape: info.shape.clone(),
        })
    }

    /// A field that feeds something is used.
    pub(super) fn mark(&mut self, column: &Column) {
        if let ColumnRef::Field(field) = column.place
            && let Some(used) = self.used.get_mut(field)
        {
            *used = true;
        }
    }
}
