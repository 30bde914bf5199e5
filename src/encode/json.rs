//! Results as JSON: an object for each record, passed keys first, then the outputs.
//!
//! Floats are written with the fewest digits that give back the same value in their own
//! precision. NaN and infinities, which JSON cannot say, become null and are counted.

use std::ops::Range;

use bytes::{BufMut as _, BytesMut};

use super::{Encode, Item, NonFinite, OutputField, items, only_row, passed, series};
use crate::{
    block::{Column, Layout, Record, Series, Table},
    message::Reject,
};

/// Writes objects. Everything that is the same in each row is prepared beforehand.
#[derive(Debug)]
pub struct JsonEncoder {
    /// `{"key":` or `,"key":` for each passed key.
    passed: Vec<Vec<u8>>,
    outputs: Vec<Output>,
}

#[derive(Debug)]
struct Output {
    field: OutputField,
    /// `{"key":` or `,"key":`.
    lead: Vec<u8>,
    /// The same for each label of an object.
    labels: Vec<Vec<u8>>,
}

impl JsonEncoder {
    /// An encoder that carries the `passed` keys along and adds `outputs`.
    pub fn new(passed: &[String], outputs: Vec<OutputField>) -> Self {
        let keys = leads(passed.len() + outputs.len(), |index| {
            match index.checked_sub(passed.len()) {
                Some(output) => &outputs[output].key,
                None => &passed[index],
            }
        });
        let mut keys = keys.into_iter();
        let passed = keys.by_ref().take(passed.len()).collect();
        let outputs = outputs
            .into_iter()
            .zip(keys)
            .map(|(field, lead)| Output {
                labels: match &field.labels {
                    Some(labels) => leads(labels.len(), |index| &labels[index]),
                    None => Vec::new(),
                },
                field,
                lead,
            })
            .collect();
        Self { passed, outputs }
    }

    fn row(&self, row: usize, input: &Table, all: &[Series], into: &mut BytesMut) -> NonFinite {
        let mut non_finite = 0;
        for (index, lead) in self.passed.iter().enumerate() {
            into.put_slice(lead);
            match passed(input, self.passed.len(), index, row) {
                "" => into.put_slice(b"null"),
                text => into.put_slice(text.as_bytes()),
            }
        }
        for output in &self.outputs {
            into.put_slice(&output.lead);
            non_finite += output.value(row, &all[output.field.series], into);
        }
        if self.passed.is_empty() && self.outputs.is_empty() {
            into.put_u8(b'{');
        }
        into.put_u8(b'}');
        non_finite
    }
}

impl Output {
    fn value(&self, row: usize, series: &Series, into: &mut BytesMut) -> NonFinite {
        if !series.is_present(row) {
            into.put_slice(b"null");
            return 0;
        }
        let width = series.width();
        let start = row * width;
        if let Some(element) = self.field.element {
            return scalar(&series.values, start + element, into);
        }
        if self.field.labels.is_some() {
            let mut non_finite = 0;
            for (element, lead) in self.labels.iter().take(width).enumerate() {
                into.put_slice(lead);
                non_finite += scalar(&series.values, start + element, into);
            }
            if self.labels.is_empty() || width == 0 {
                into.put_u8(b'{');
            }
            into.put_u8(b'}');
            return non_finite;
        }
        match series.shape.as_slice() {
            [] | [1] => scalar(&series.values, start, into),
            shape => nested(&series.values, &mut start.clone(), shape, into),
        }
    }
}

impl Encode for JsonEncoder {
    fn encode(
        &mut self,
        record: &Record,
        rows: Range<usize>,
        input: &Table,
        output: &Table,
        into: &mut BytesMut,
    ) -> Result<NonFinite, Reject> {
        // An empty list needs no series, and where nothing was run there may be none.
        if !rows.is_empty() {
            for prepared in &self.outputs {
                series(&prepared.field, output, &rows)?;
            }
        }
        let Layout::Many { rejected } = &record.layout else {
            return Ok(self.row(only_row(&rows)?, input, &output.series, into));
        };
        let mut non_finite = 0;
        into.put_u8(b'[');
        for (place, item) in items(rows, rejected).enumerate() {
            if place > 0 {
                into.put_u8(b',');
            }
            match item {
                Item::Row(row) => non_finite += self.row(row, input, &output.series, into),
                Item::Rejected(reject) => error(reject, into),
            }
        }
        into.put_u8(b']');
        Ok(non_finite)
    }
}

/// The keys of an object with what stands around them: `{"first":`, `,"second":`, …
fn leads<'k>(count: usize, key: impl Fn(usize) -> &'k String) -> Vec<Vec<u8>> {
    let lead = |index| {
        let mut lead = BytesMut::new();
        lead.put_u8(if index == 0 { b'{' } else { b',' });
        text(key(index), &mut lead);
        lead.put_u8(b':');
        lead.to_vec()
    };
    (0..count).map(lead).collect()
}

fn error(reject: &Reject, into: &mut BytesMut) {
    into.put_slice(br#"{"error":{"stage":"#);
    text(reject.stage.name(), into);
    into.put_slice(br#","reason":"#);
    text(&reject.reason, into);
    into.put_slice(b"}}");
}

fn nested(values: &Column, at: &mut usize, shape: &[usize], into: &mut BytesMut) -> NonFinite {
    let Some((size, inner)) = shape.split_first() else {
        let non_finite = scalar(values, *at, into);
        *at += 1;
        return non_finite;
    };
    let mut non_finite = 0;
    into.put_u8(b'[');
    for index in 0..*size {
        if index > 0 {
            into.put_u8(b',');
        }
        non_finite += nested(values, at, inner, into);
    }
    into.put_u8(b']');
    non_finite
}

#[inline]
fn scalar(values: &Column, at: usize, into: &mut BytesMut) -> NonFinite {
    match values {
        Column::F32(values) => return float(values[at], values[at].is_finite(), into),
        Column::F64(values) => return float(values[at], values[at].is_finite(), into),
        Column::I32(values) => integer(values[at], into),
        Column::I64(values) => integer(values[at], into),
        Column::U8(values) => integer(values[at], into),
        Column::Bool(values) => into.put_slice(if values[at] { b"true" } else { b"false" }),
        Column::String(values) => text(values.get(at).unwrap_or_default(), into),
        // No model and no step gives bytes.
        Column::Bytes(_) => into.put_slice(b"null"),
    }
    0
}

fn float(value: impl zmij::Float, finite: bool, into: &mut BytesMut) -> NonFinite {
    if !finite {
        into.put_slice(b"null");
        return 1;
    }
    into.put_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    0
}

pub(crate) fn integer(value: impl itoa::Integer, into: &mut BytesMut) {
    into.put_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A string in quotes, with escapes where JSON demands them.
pub(crate) fn text(value: &str, into: &mut BytesMut) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    into.put_u8(b'"');
    let mut rest = value.as_bytes();
    while let Some(at) = rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
    {
        let (plain, from) = rest.split_at(at);
        into.put_slice(plain);
        match from[0] {
            b'\n' => into.put_slice(b"\\n"),
            b'\r' => into.put_slice(b"\\r"),
            b'\t' => into.put_slice(b"\\t"),
            byte @ 0..0x20 => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                into.put_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            byte => into.put_slice(&[b'\\', byte]),
        }
        rest = &from[1..];
    }
    into.put_slice(rest);
    into.put_u8(b'"');
}
