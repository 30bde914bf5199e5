//! Apache Parquet, row group by row group; only the columns that are wanted are read.

use std::fs::File;

use bytes::{BufMut as _, BytesMut};
use parquet::{
    basic::{CompressionCodec, ConvertedType, Repetition},
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, ParquetMetaData},
        reader::{FileReader, SerializedFileReader},
    },
    schema::types::{ColumnDescPtr, Type},
};

use super::{
    CHUNK_BYTES, ReadRows, Row, Wanted,
    cells::{Cells, Look},
    columns::{At, Place, places},
};
use crate::{
    encode::json::text,
    message::{Reject, Stage},
    rows::RowsError,
};

/// The row groups of a file.
pub(super) struct Groups {
    file: SerializedFileReader<File>,
    name: String,
    columns: Vec<Column>,
    notes: Vec<String>,
    /// The row group that comes next.
    group: usize,
    /// Rows that the one before still has.
    left: usize,
    /// About so many bytes a row.
    row_bytes: usize,
    chunk: BytesMut,
    number: u64,
    position: u64,
}

/// A column that is wanted.
struct Column {
    /// `"key":`.
    lead: Vec<u8>,
    key: String,
    /// The leaf's number in the file.
    leaf: usize,
    look: Look,
    cells: Cells,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Groups {
    pub(super) fn open(file: File, name: String, wanted: Wanted<'_>) -> Result<Self, RowsError> {
        let file = SerializedFileReader::new(file).map_err(|error| no_parquet(&name, &error))?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let roots = schema.root_schema().get_fields();
        let names: Vec<String> = roots.iter().map(|root| root.name().to_owned()).collect();
        let (places, notes) = places(&names, wanted, false, &name)?;
        let columns = places.into_iter().map(|place| {
            let At::One(root) = place.at else {
                return Err(RowsError::Columns(
                    "a column for each element: this is a bug".to_owned(),
                ));
            };
            let leaves = (0..schema.num_columns()).filter(|leaf| {
                // Roots of the same name are refused before.
                schema.get_column_root_idx(*leaf) == root
            });
            let leaves: Vec<usize> = leaves.collect();
            let root = roots.get(root);
            Column::new(place, &leaves, root.map(AsRef::as_ref), schema.columns())
        });
        let columns: Vec<Column> = columns.collect::<Result<_, _>>()?;
        check_codecs(file.metadata(), &columns, &name)?;
        Ok(Self {
            columns,
            notes,
            file,
            name,
            group: 0,
            left: 0,
            row_bytes: 0,
            chunk: BytesMut::new(),
            number: 0,
            position: 0,
        })
    }

    /// Goes on to the next row group that has rows; `false` at the end.
    fn next_group(&mut self) -> Result<bool, RowsError> {
        while self.left == 0 {
            if self.group >= self.file.num_row_groups() {
                return Ok(false);
            }
            let fail = |error: &ParquetError| damaged(&self.name, error);
            let group = self
                .file
                .get_row_group(self.group)
                .map_err(|error| fail(&error))?;
            let about = group.metadata();
            self.left = usize::try_from(about.num_rows()).unwrap_or_default();
            let bytes = usize::try_from(about.total_byte_size()).unwrap_or_default();
            self.row_bytes = bytes / self.left.max(1);
            self.position += u64::try_from(about.compressed_size()).unwrap_or_default();
            for column in &mut self.columns {
                let reader = group.get_column_reader(column.leaf);
                column.cells = Cells::new(reader.map_err(|error| fail(&error))?);
            }
            self.group += 1;
        }
        Ok(true)
    }

    /// Writes one row into `chunk`.
    fn row(&mut self) -> Result<Result<(), Reject>, RowsError> {
        self.chunk.put_u8(b'{');
        let (mut first, mut fault) = (true, None);
        for column in &mut self.columns {
            let before = self.chunk.len();
            if !first {
                self.chunk.put_u8(b',');
            }
            self.chunk.put_slice(&column.lead);
            match column.cells.write(&column.look, &mut self.chunk) {
                Ok(true) => first = false,
                Ok(false) => self.chunk.truncate(before),
                Err(None) => return Err(fewer(&self.name, &column.key)),
                Err(Some(what)) => {
                    self.chunk.truncate(before);
                    let reason = format!("the cell of `{}` {what}", column.key);
                    fault.get_or_insert(Reject::new(Stage::Source, "syntax", reason));
                }
            }
        }
        self.chunk.put_u8(b'}');
        Ok(fault.map_or(Ok(()), Err))
    }
}

impl Column {
    fn new(
        place: Place,
        leaves: &[usize],
        root: Option<&Type>,
        columns: &[ColumnDescPtr],
    ) -> Result<Self, RowsError> {
        let refuse = |what: &str| {
            RowsError::Columns(format!(
                "the column `{}` is {what}, which cannot be read; make it numbers, text, truth values, or lists of them",
                place.key
            ))
        };
        let (&[leaf], Some(root)) = (leaves, root) else {
            return Err(refuse("a structure of several columns"));
        };
        let is_list =
            root.is_group() && root.get_basic_info().converted_type() == ConvertedType::LIST;
        if root.is_group() && !is_list {
            return Err(refuse("a structure"));
        }
        let about = columns.get(leaf).ok_or_else(|| refuse("not there"))?;
        let look = Look::new(about, levels(root), place.bytes).map_err(|what| refuse(&what))?;
        let mut lead = BytesMut::new();
        text(&place.key, &mut lead);
        lead.put_u8(b':');
        Ok(Self {
            lead: lead.to_vec(),
            key: place.key,
            leaf,
            look,
            cells: Cells::default(),
        })
    }
}

/// The definition level at which the value (0 where it is always there) and the first element of
/// a list (`None` where it is no list) begin.
fn levels(root: &Type) -> (i16, Option<i16>) {
    let (mut node, mut level, mut list) = (root, 0, None);
    let there = i16::from(repetition(root) == Some(Repetition::OPTIONAL));
    loop {
        match repetition(node) {
            Some(Repetition::OPTIONAL) => level += 1,
            Some(Repetition::REPEATED) => {
                level += 1;
                list = Some(level);
                break;
            }
            _ => {}
        }
        match node {
            Type::GroupType { fields, .. } if fields.len() == 1 => node = &fields[0],
            _ => break,
        }
    }
    (there, list)
}

fn repetition(node: &Type) -> Option<Repetition> {
    let about = node.get_basic_info();
    about.has_repetition().then(|| about.repetition())
}

impl ReadRows for Groups {
    fn read(&mut self, most: usize, into: &mut Vec<Row>) -> Result<(), RowsError> {
        if !self.next_group()? {
            return Ok(());
        }
        let fitting = (CHUNK_BYTES / self.row_bytes.max(1)).max(1);
        let rows = most.min(fitting).min(self.left);
        for column in &mut self.columns {
            let read = column.cells.read(rows);
            let read = read.map_err(|error| damaged(&self.name, &error))?;
            if read < rows {
                return Err(fewer(&self.name, &column.key));
            }
        }
        for _ in 0..rows {
            self.number += 1;
            let fault = self.row()?.err();
            into.push(Row {
                number: self.number,
                text: self.chunk.split().freeze(),
                fault,
            });
        }
        self.left -= rows;
        Ok(())
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// A column may be compressed in another way in each row group; all is looked at before anything is read.
fn check_codecs(file: &ParquetMetaData, columns: &[Column], name: &str) -> Result<(), RowsError> {
    for (group, column) in (file.row_groups().iter())
        .flat_map(|group| columns.iter().map(move |column| (group, column)))
    {
        let codec = (group.columns().get(column.leaf)).map(ColumnChunkMetaData::compression_codec);
        if let Some(codec) = codec.and_then(not_read) {
            return Err(RowsError::Unreadable(format!(
                "cannot read {name}: the column `{}` is compressed with {codec}, which forebay does not read; write the file with Snappy or Zstandard, or uncompressed",
                column.key
            )));
        }
    }
    Ok(())
}

/// What a codec is called that is not read.
fn not_read(codec: CompressionCodec) -> Option<&'static str> {
    match codec {
        CompressionCodec::UNCOMPRESSED | CompressionCodec::SNAPPY | CompressionCodec::ZSTD => None,
        CompressionCodec::GZIP => Some("gzip"),
        CompressionCodec::LZO => Some("LZO"),
        CompressionCodec::BROTLI => Some("Brotli"),
        CompressionCodec::LZ4 | CompressionCodec::LZ4_RAW => Some("LZ4"),
    }
}

fn fewer(name: &str, key: &str) -> RowsError {
    RowsError::Unreadable(format!(
        "cannot read {name}: the column `{key}` has fewer values than the file has rows; the file is damaged"
    ))
}

/// The file is no Parquet, or not whole.
fn no_parquet(name: &str, error: &ParquetError) -> RowsError {
    RowsError::Unreadable(format!(
        "cannot read {name} as Parquet: {}; was it written to its end, and is it Parquet at all?",
        why(error)
    ))
}

fn damaged(name: &str, error: &ParquetError) -> RowsError {
    RowsError::Unreadable(format!(
        "cannot read {name} to its end: {}; the file is damaged",
        why(error)
    ))
}

fn why(error: &ParquetError) -> String {
    match error {
        ParquetError::EOF(_) => "it ends too early".to_owned(),
        ParquetError::External(cause) => cause.to_string(),
        ParquetError::General(text) | ParquetError::NYI(text) => {
            let text = text.trim_start_matches("Invalid Parquet file. ");
            let mut letters = text.chars();
            let first = letters.next().map(|letter| letter.to_ascii_lowercase());
            first.into_iter().chain(letters).collect()
        }
        other => other.to_string(),
    }
}
