//! The offline twin: what `forebay run` gives, from and into files of every form.

use std::{fs::File, path::Path};

use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::Field,
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::{
    cli::{err, forebay},
    support::examples::{Changed, assert_near, changed, example, json as read_json, lines},
};

/// As many rows as the files under `tests/data/rows` have.
const ROWS: usize = 300;

pub(crate) fn data(file: &str) -> String {
    format!("{}/tests/data/rows/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs `forebay transform`, which must go well; gives what it says.
pub(crate) fn transform(pipeline: &Path, input: &str, output: &Path, more: &[&str]) -> String {
    let (pipeline, output) = (pipeline.to_str(), output.to_str());
    let mut args = vec!["transform", pipeline.expect("UTF-8"), "-i", input];
    args.extend(["-o", output.expect("UTF-8")]);
    args.extend(more);
    let ran = forebay(&args).output().expect("it runs");
    assert!(ran.status.success(), "{args:?}: {}", err(&ran));
    err(&ran)
}

pub(crate) fn json_lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("written");
    text.lines()
        .map(|line| read_json(line.as_bytes()))
        .collect()
}

/// An example that reads and writes files, with a key in each result.
fn over_files(name: &str, input: &Path, output: &Path) -> Changed {
    let file = format!("{name}/pipeline.yaml");
    let text = std::fs::read_to_string(example(&file)).expect("readable");
    let block = |key: &str| {
        let start = text.find(&format!("\n{key}:\n")).expect("it is there") + 1;
        let end = text[start..].find("\n\n").expect("a line between") + start;
        text[start..end].to_owned()
    };
    let (source, sink, dead) = (block("source"), block("sink"), block("dead_letter"));
    let place =
        |key: &str, path: &Path| format!("{key}: {{ file: {{ path: {} }} }}", path.display());
    let (read, write) = (place("source", input), place("sink", output));
    let mut changes = vec![
        (source.as_str(), read.as_str()),
        (&sink, &write),
        (&dead, ""),
    ];
    if name == "digits" {
        changes.push(("tensor: { dtype: f32, shape: [64] }", "json: {}"));
        changes.push(("    outputs: {", "    pass: [id]\n    outputs: {"));
        // They have no ids in their results.
        changes.push((
            "golden: { input: golden.jsonl, expected: golden.expected.jsonl, rtol: 1e-4, atol: 1e-6 }",
            "",
        ));
    }
    changed(&file, &changes)
}

#[test]
fn every_form_gives_what_a_run_gives() {
    for name in ["income", "penguins", "digits"] {
        let folder = TempDir::new().expect("a folder");
        let at = |file: &str| folder.path().join(file);
        let rows: Vec<_> = lines(&format!("{name}/sample.jsonl"));
        let rows = &rows[..rows.len().min(ROWS)];
        std::fs::write(at("in.jsonl"), rows.join("\n")).expect("written");
        let pipeline = over_files(name, &at("in.jsonl"), &at("run.jsonl"));
        let ran = forebay(&["run", pipeline.file.to_str().expect("UTF-8")])
            .env("HTTP_LISTEN", "127.0.0.1:0")
            .output()
            .expect("it runs");
        assert!(ran.status.success(), "{}", err(&ran));
        let mut expected = json_lines(&at("run.jsonl"));
        // A run promises no order; the files are in the order of their ids.
        let ids: Vec<Value> = rows
            .iter()
            .map(|row| read_json(row.as_bytes())["id"].clone())
            .collect();
        expected.sort_by_key(|row| ids.iter().position(|id| *id == row["id"]));
        assert_eq!(expected.len(), rows.len());
        let inputs = [
            at("in.jsonl").display().to_string(),
            data(&format!("{name}.csv")),
            data(&format!("{name}.parquet")),
        ];
        for input in inputs {
            transform(&pipeline.file, &input, &at("out.jsonl"), &[]);
            let found = json_lines(&at("out.jsonl"));
            assert_eq!(found.len(), expected.len(), "{input}");
            for (found, expected) in found.iter().zip(&expected) {
                assert_near(found, expected);
            }
            for output in ["out.csv", "out.parquet"] {
                transform(&pipeline.file, &input, &at(output), &[]);
            }
            let rows = parquet_rows(&at("out.parquet"));
            assert_eq!(rows.len(), expected.len());
            for (found, expected) in rows.iter().zip(&expected) {
                assert_near(found, expected);
            }
            let cells = csv_rows(&at("out.csv"));
            assert_eq!(cells.len(), expected.len());
            for (found, expected) in cells.iter().zip(&expected) {
                assert_cells(found, expected);
            }
        }
    }
}

/// The rows of a Parquet file, as the `parquet` crate's own reader of records has them.
pub(crate) fn parquet_rows(file: &Path) -> Vec<Value> {
    let reader = SerializedFileReader::new(File::open(file).expect("written")).expect("Parquet");
    let rows = reader.get_row_iter(None).expect("rows");
    let row = |row: parquet::errors::Result<parquet::record::Row>| {
        let row = row.expect("a row");
        let pairs = row.get_column_iter();
        Value::Object(
            pairs
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect(),
        )
    };
    rows.map(row).collect()
}

fn plain(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => json!(value),
        Field::Int(value) => json!(value),
        Field::UByte(value) => json!(value),
        Field::Long(value) => json!(value),
        Field::Float(value) => json!(value),
        Field::Double(value) => json!(value),
        Field::Str(value) => json!(value),
        Field::Group(row) => {
            let pairs = row.get_column_iter();
            Value::Object(
                pairs
                    .map(|(key, value)| (key.clone(), plain(value)))
                    .collect(),
            )
        }
        Field::ListInternal(list) => list.elements().iter().map(plain).collect(),
        other => panic!("nobody writes {other:?}"),
    }
}

fn csv_rows(file: &Path) -> Vec<Map<String, Value>> {
    let mut reader = csv::Reader::from_path(file).expect("written");
    let names = reader.headers().expect("a header").clone();
    let records = reader.records().map(|record| {
        let record = record.expect("a record");
        let pairs = names.iter().zip(&record);
        pairs
            .map(|(name, cell)| (name.to_owned(), json!(cell)))
            .collect()
    });
    records.collect()
}

/// Vectors and maps have a column for each element.
fn assert_cells(cells: &Map<String, Value>, expected: &Value) {
    let mut flat = Map::new();
    for (key, value) in expected.as_object().expect("an object") {
        match value {
            Value::Array(values) => {
                for (at, value) in values.iter().enumerate() {
                    flat.insert(format!("{key}_{at}"), value.clone());
                }
            }
            Value::Object(values) => {
                for (label, value) in values {
                    flat.insert(format!("{key}_{label}"), value.clone());
                }
            }
            value => drop(flat.insert(key.clone(), value.clone())),
        }
    }
    assert_eq!(cells.len(), flat.len());
    for (key, expected) in &flat {
        let cell = cells[key].as_str().expect("text");
        let found = match expected {
            Value::Null => json!((!cell.is_empty()).then_some(cell)),
            Value::String(_) => json!(cell),
            _ => read_json(cell.as_bytes()),
        };
        assert_near(&found, expected);
    }
}

#[test]
fn every_kind_of_parquet_column_is_read() {
    use forebay::rows::{Format, read};
    let passed = [
        "i8", "u8", "u32", "u64", "i64", "f32", "f64", "bool", "text", "category", "date", "ms",
        "local", "list", "gaps", "nested", "bytes",
    ];
    let passed: Vec<String> = passed.map(str::to_owned).to_vec();
    let read_all = |file: &str, most: usize| {
        let path = data(file);
        let (fields, passed) = (&[], passed.as_slice());
        let wanted = read::Wanted { fields, passed };
        let opened = read::open(Some(Path::new(&path)), Format::Parquet, wanted);
        let (mut reader, _) = opened.expect("opened");
        let mut rows = Vec::new();
        while {
            let before = rows.len();
            reader.read(most, &mut rows).expect("read");
            rows.len() > before
        } {}
        rows
    };
    let rows = read_all("kinds.parquet", 100);
    for most in [1, 2] {
        assert_eq!(read_all("kinds.parquet", most), rows);
        assert_eq!(read_all("kinds_v2.parquet", most), rows);
    }
    let shown: Vec<String> = rows
        .iter()
        .map(|row| {
            let fault = row
                .fault
                .as_ref()
                .map(|fault| format!("  # {}", fault.reason));
            format!(
                "{} {}{}",
                row.number,
                String::from_utf8_lossy(&row.text),
                fault.unwrap_or_default()
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}
