mod errors;
mod properties;
mod read;
mod units;

use std::collections::BTreeMap;

use super::{Checked, ColumnType, Columns, Formula, FormulaError};
use crate::{contract::Dtype, units::Unit};

/// Columns by their names.
#[derive(Debug, Default)]
struct Table(BTreeMap<String, ColumnType>);

impl Table {
    fn with(mut self, name: &str, dtype: Dtype, shape: &[usize], unit: &str) -> Self {
        let column = ColumnType {
            unit: (!unit.is_empty()).then(|| Unit::parse(unit).unwrap()),
            ..ColumnType::new(dtype, shape.to_vec())
        };
        self.0.insert(name.to_owned(), column);
        self
    }

    fn labelled(mut self, name: &str, labels: &[&str]) -> Self {
        let column = ColumnType {
            labels: Some(labels.iter().map(|&label| label.to_owned()).collect()),
            ..ColumnType::new(Dtype::F32, vec![labels.len()])
        };
        self.0.insert(name.to_owned(), column);
        self
    }
}

impl Columns for Table {
    fn find(&self, name: &str) -> Option<ColumnType> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// A column of each kind.
fn table() -> Table {
    Table::default()
        .with("score", Dtype::F32, &[], "")
        .with("gain", Dtype::F32, &[], "")
        .with("wide", Dtype::F64, &[], "")
        .with("count", Dtype::I64, &[], "")
        .with("level", Dtype::U8, &[], "")
        .with("flag", Dtype::Bool, &[], "")
        .with("crop", Dtype::String, &[], "")
        .with("other crop", Dtype::String, &[], "")
        .with("probs", Dtype::F32, &[3], "")
        .with("pair", Dtype::F32, &[2], "")
        .with("one", Dtype::F32, &[1], "")
        .with("grid", Dtype::F32, &[2, 2], "")
        .labelled("flower.class", &["setosa", "virginica", "a (b)"])
        .with("yield_t", Dtype::F32, &[], "t/har")
        .with("yield_kg", Dtype::F32, &[], "kg/har")
        .with("price", Dtype::F32, &[], "EUR/t")
        .with("cost", Dtype::F32, &[], "EUR/har")
        .with("area", Dtype::F32, &[], "har")
        .with("temp", Dtype::F32, &[], "Cel")
        .with("temp_f", Dtype::F32, &[], "[degF]")
        .with("kelvin", Dtype::F32, &[], "K")
        .with("share", Dtype::F32, &[], "%")
        .with("angle", Dtype::F32, &[], "deg")
        .with("side", Dtype::F32, &[], "m")
        .with("boxes", Dtype::I64, &[], "kg")
        .with("sacks", Dtype::I64, &[], "g")
}

fn check(text: &str) -> Result<Checked, FormulaError> {
    Formula::parse(text)?.check(&table())
}

fn checked(text: &str) -> Checked {
    check(text).unwrap_or_else(|error| panic!("{}", error.render(text)))
}
