//! Which column of a file is which field.

use super::Wanted;
use crate::{
    contract::{Dtype, Field},
    rows::{RowsError, json::Want},
};

/// A key that is wanted, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: String,
    pub(super) want: Want,
    /// The same for one element of an array.
    pub(super) element: Want,
    /// Base64 where bytes are wanted and the format has such.
    pub(super) bytes: bool,
    pub(super) at: At,
}

/// The columns of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// One column.
    One(usize),
    /// A column for each element: `key_0`, `key_1`, …
    Each(Vec<usize>),
}

/// Finds the wanted keys among the columns of a file. `spread` where a vector may have a column for
/// each element. Gives also notes about what is not there and need not be.
pub(super) fn places(
    names: &[String],
    wanted: Wanted<'_>,
    spread: bool,
    file: &str,
) -> Result<(Vec<Place>, Vec<String>), RowsError> {
    if let Some((_, twice)) = names
        .iter()
        .enumerate()
        .find(|(at, name)| names.get(..*at).unwrap_or_default().contains(name))
    {
        return Err(RowsError::Columns(format!(
            "{file} has two columns called `{twice}`; give one of them another name"
        )));
    }
    let (mut places, mut notes, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for field in wanted.fields.iter().filter(|field| !field.derived) {
        let Some(at) = find(names, &field.name, field.width(), spread) else {
            match stands_in(field) {
                Some(what) => notes.push(format!(
                    "{file} has no column `{}`: {what} in every row{}",
                    field.name,
                    meant(&field.name, names)
                )),
                None => missing.push(field.name.as_str()),
            }
            continue;
        };
        places.push(Place {
            key: field.name.clone(),
            want: want(field),
            element: element(field.dtype),
            bytes: field.dtype == Dtype::Bytes,
            at,
        });
    }
    if !missing.is_empty() {
        return Err(lacking(&missing, names, file));
    }
    let is_field = |key: &&String| wanted.fields.iter().any(|field| field.name == **key);
    for key in wanted.passed.iter().filter(|key| !is_field(key)) {
        match find(names, key, 1, false) {
            Some(at) => places.push(Place {
                key: key.clone(),
                want: Want::Any,
                element: Want::Any,
                bytes: false,
                at,
            }),
            None => notes.push(format!(
                "{file} has no column `{key}` to pass on{}",
                meant(key, names)
            )),
        }
    }
    Ok((places, notes))
}

fn find(names: &[String], key: &str, width: usize, spread: bool) -> Option<At> {
    let column = |name: &str| names.iter().position(|known| known == name);
    if let Some(at) = column(key) {
        return Some(At::One(at));
    }
    if !spread || width < 2 {
        return None;
    }
    let each = (0..width).map(|element| column(&format!("{key}_{element}")));
    Some(At::Each(each.collect::<Option<_>>()?))
}

fn want(field: &Field) -> Want {
    match field.shape.as_slice() {
        [_, ..] => Want::Array,
        [] => element(field.dtype),
    }
}

fn element(dtype: Dtype) -> Want {
    match dtype {
        Dtype::String | Dtype::Bytes => Want::Text,
        Dtype::Bool => Want::Bool,
        _ => Want::Number,
    }
}

/// What a field is where no row has it.
fn stands_in(field: &Field) -> Option<String> {
    if let Some(default) = &field.default {
        return Some(format!("its default, {default}, stands"));
    }
    field.nullable.then(|| "NaN stands".to_owned())
}

fn lacking(missing: &[&str], names: &[String], file: &str) -> RowsError {
    let listed = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    let columns: Vec<&str> = names.iter().map(String::as_str).take(40).collect();
    let more = names.len() - columns.len();
    let mut text = format!(
        "{file} has no column for the field{} {}",
        if missing.len() == 1 { "" } else { "s" },
        listed(missing)
    );
    if names.is_empty() {
        text += "; the first line must name the columns";
    } else {
        text += &format!("\n  its columns: {}", listed(&columns));
        if more > 0 {
            text += &format!(" and {more} more");
        }
    }
    for name in missing {
        if let Some(near) = nearest(name, names) {
            text += &format!("\n  `{name}`: did you mean the column `{near}`?");
        }
    }
    if let [one] = names
        && let Some(sign) = [';', '\t', '|']
            .into_iter()
            .find(|sign| one.contains(*sign))
    {
        text += &format!("\n  columns are separated by commas, and the first line has {sign:?}");
    }
    RowsError::Columns(text)
}

fn meant(name: &str, names: &[String]) -> String {
    nearest(name, names)
        .map(|near| format!("; did you mean the column `{near}`?"))
        .unwrap_or_default()
}

/// The column that was meant: a third of the letters may be wrong.
fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let limit = name.chars().count() / 3;
    let distance = |known: &'a String| (strsim::osa_distance(name, known), known.as_str());
    names
        .iter()
        .map(distance)
        .filter(|(distance, known)| *distance <= limit || known.trim().eq_ignore_ascii_case(name))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}
