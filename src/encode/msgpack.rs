//! Results as MessagePack: a map for each record, as the JSON encoder writes an object.
//!
//! Passed values are JSON text on the way through the pipeline and are written as what they say.
//! NaN and infinities become nil and are counted, so that both formats mean the same.

use std::{fmt, ops::Range};

use bytes::{BufMut as _, BytesMut};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Encode, Item, NonFinite, OutputField, items, only_row, passed, series};
use crate::{
    block::{Column, Layout, Record, Series, Table},
    message::{Reject, Stage},
};

/// Writes maps. Everything that is the same in each row is prepared beforehand.
#[derive(Debug)]
pub struct MsgpackEncoder {
    /// The map's header.
    head: Vec<u8>,
    /// The passed keys, encoded.
    passed: Vec<Vec<u8>>,
    outputs: Vec<Output>,
}

#[derive(Debug)]
struct Output {
    field: OutputField,
    key: Vec<u8>,
    labels: Vec<Vec<u8>>,
}

impl MsgpackEncoder {
    /// An encoder that carries the `passed` keys along and adds `outputs`.
    pub fn new(passed: &[String], outputs: Vec<OutputField>) -> Self {
        let key = |name: &String| {
            let mut key = BytesMut::new();
            text(name, &mut key);
            key.to_vec()
        };
        let mut head = BytesMut::new();
        map_head(passed.len() + outputs.len(), &mut head);
        let output = |field: OutputField| Output {
            key: key(&field.key),
            labels: field.labels.iter().flatten().map(key).collect(),
            field,
        };
        Self {
            head: head.to_vec(),
            passed: passed.iter().map(key).collect(),
            outputs: outputs.into_iter().map(output).collect(),
        }
    }

    fn row(
        &self,
        row: usize,
        input: &Table,
        all: &[Series],
        into: &mut BytesMut,
    ) -> Result<NonFinite, Reject> {
        let mut non_finite = 0;
        into.put_slice(&self.head);
        for (index, key) in self.passed.iter().enumerate() {
            into.put_slice(key);
            json_as_msgpack(passed(input, self.passed.len(), index, row), into)?;
        }
        for output in &self.outputs {
            into.put_slice(&output.key);
            non_finite += output.value(row, &all[output.field.series], into);
        }
        Ok(non_finite)
    }
}

impl Output {
    fn value(&self, row: usize, series: &Series, into: &mut BytesMut) -> NonFinite {
        if !series.is_present(row) {
            into.put_u8(NIL);
            return 0;
        }
        let width = series.width();
        let start = row * width;
        if let Some(element) = self.field.element {
            return scalar(&series.values, start + element, into);
        }
        if self.field.labels.is_some() {
            let mut non_finite = 0;
            map_head(self.labels.len().min(width), into);
            for (element, key) in self.labels.iter().take(width).enumerate() {
                into.put_slice(key);
                non_finite += scalar(&series.values, start + element, into);
            }
            return non_finite;
        }
        match series.shape.as_slice() {
            [] | [1] => scalar(&series.values, start, into),
            shape => nested(&series.values, &mut start.clone(), shape, into),
        }
    }
}

impl Encode for MsgpackEncoder {
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
            return self.row(only_row(&rows)?, input, &output.series, into);
        };
        let mut non_finite = 0;
        array_head(rows.len() + rejected.len(), into);
        for item in items(rows, rejected) {
            match item {
                Item::Row(row) => non_finite += self.row(row, input, &output.series, into)?,
                Item::Rejected(reject) => error(reject, into),
            }
        }
        Ok(non_finite)
    }
}

fn error(reject: &Reject, into: &mut BytesMut) {
    map_head(1, into);
    text("error", into);
    map_head(2, into);
    text("stage", into);
    text(reject.stage.name(), into);
    text("reason", into);
    text(&reject.reason, into);
}

fn nested(values: &Column, at: &mut usize, shape: &[usize], into: &mut BytesMut) -> NonFinite {
    let Some((size, inner)) = shape.split_first() else {
        let non_finite = scalar(values, *at, into);
        *at += 1;
        return non_finite;
    };
    array_head(*size, into);
    (0..*size).map(|_| nested(values, at, inner, into)).sum()
}

#[inline]
fn scalar(values: &Column, at: usize, into: &mut BytesMut) -> NonFinite {
    match values {
        Column::F32(values) if values[at].is_finite() => {
            let [a, b, c, d] = values[at].to_be_bytes();
            into.put_slice(&[0xca, a, b, c, d]);
        }
        Column::F64(values) if values[at].is_finite() => float(values[at], into),
        Column::F32(_) | Column::F64(_) => {
            into.put_u8(NIL);
            return 1;
        }
        Column::I32(values) => integer(i64::from(values[at]), into),
        Column::I64(values) => integer(values[at], into),
        Column::U8(values) => integer(i64::from(values[at]), into),
        Column::Bool(values) => into.put_u8(boolean(values[at])),
        Column::String(values) => text(values.get(at).unwrap_or_default(), into),
        // No model and no step gives bytes.
        Column::Bytes(_) => into.put_u8(NIL),
    }
    0
}

const NIL: u8 = 0xc0;

fn boolean(value: bool) -> u8 {
    if value { 0xc3 } else { 0xc2 }
}

fn float(value: f64, into: &mut BytesMut) {
    into.put_u8(0xcb);
    into.put_f64(value);
}

/// A whole number in its shortest form.
fn integer(value: i64, into: &mut BytesMut) {
    if let Ok(positive) = u64::try_from(value) {
        return unsigned(positive, into);
    }
    if let Ok(value) = i8::try_from(value) {
        if value < -32 {
            into.put_u8(0xd0);
        }
        into.put_i8(value);
    } else if let Ok(value) = i16::try_from(value) {
        into.put_u8(0xd1);
        into.put_i16(value);
    } else if let Ok(value) = i32::try_from(value) {
        into.put_u8(0xd2);
        into.put_i32(value);
    } else {
        into.put_u8(0xd3);
        into.put_i64(value);
    }
}

fn unsigned(value: u64, into: &mut BytesMut) {
    if let Ok(value) = u8::try_from(value) {
        if value > 0x7f {
            into.put_u8(0xcc);
        }
        into.put_u8(value);
    } else if let Ok(value) = u16::try_from(value) {
        into.put_u8(0xcd);
        into.put_u16(value);
    } else if let Ok(value) = u32::try_from(value) {
        into.put_u8(0xce);
        into.put_u32(value);
    } else {
        into.put_u8(0xcf);
        into.put_u64(value);
    }
}

fn text(value: &str, into: &mut BytesMut) {
    head(value.len(), (0xa0, 31), Some(0xd9), (0xda, 0xdb), into);
    into.put_slice(value.as_bytes());
}

fn array_head(len: usize, into: &mut BytesMut) {
    head(len, (0x90, 15), None, (0xdc, 0xdd), into);
}

fn map_head(len: usize, into: &mut BytesMut) {
    head(len, (0x80, 15), None, (0xde, 0xdf), into);
}

/// A length in its shortest form: within the marker, or behind it in 1, 2 or 4 bytes.
fn head(
    len: usize,
    (fixed, fixed_max): (u8, u8),
    one_byte: Option<u8>,
    (two_bytes, four_bytes): (u8, u8),
    into: &mut BytesMut,
) {
    match (u8::try_from(len), u16::try_from(len), one_byte) {
        (Ok(len), ..) if len <= fixed_max => into.put_u8(fixed | len),
        (Ok(len), _, Some(marker)) => into.put_slice(&[marker, len]),
        (_, Ok(len), _) => {
            into.put_u8(two_bytes);
            into.put_u16(len);
        }
        _ => {
            into.put_u8(four_bytes);
            // Four billion elements of one result do not fit in a message.
            into.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
        }
    }
}

/// Writes what a JSON text says; nil for no text.
///
/// # Errors
/// It is not JSON.
pub fn json_as_msgpack(json: &str, into: &mut BytesMut) -> Result<(), Reject> {
    if json.is_empty() {
        into.put_u8(NIL);
        return Ok(());
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    Transcode(into).deserialize(&mut reader).map_err(|error| {
        let reason = format!("a passed value cannot be written as MessagePack: {error}");
        Reject::new(Stage::Encode, "syntax", reason)
    })
}

/// Writes whatever comes.
struct Transcode<'b>(&'b mut BytesMut);

impl Transcode<'_> {
    /// JSON does not say how long its containers are, so their length is filled in afterwards.
    fn open(&mut self, marker: u8) -> usize {
        self.0.put_u8(marker);
        self.0.put_u32(0);
        self.0.len()
    }

    fn close<E: Error>(&mut self, opened: usize, count: usize) -> Result<(), E> {
        let count = u32::try_from(count).map_err(E::custom)?;
        self.0[opened - 4..opened].copy_from_slice(&count.to_be_bytes());
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Transcode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Transcode<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.put_u8(NIL);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.put_u8(boolean(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        integer(value, self.0);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        unsigned(value, self.0);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        float(value, self.0);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        text(value, self.0);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let opened = self.open(0xdd);
        let mut count = 0;
        while seq.next_element_seed(Transcode(self.0))?.is_some() {
            count += 1;
        }
        self.close(opened, count)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let opened = self.open(0xdf);
        let mut count = 0;
        while map.next_key_seed(Transcode(self.0))?.is_some() {
            map.next_value_seed(Transcode(self.0))?;
            count += 1;
        }
        self.close(opened, count)
    }
}
