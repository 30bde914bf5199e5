//! The rows, and the forms in which they are sent.

use crate::wire::FIRST_NUMBER;

const ROWS: usize = 997;
const FEATURES: usize = 30;

/// What the body of a request looks like.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// The row as a JSON object.
    Json,
    /// The Open Inference Protocol (V2), all of it JSON.
    V2,
    /// The same with the tensor as raw bytes behind the JSON, as Triton's own client sends it.
    V2Binary,
}

impl Form {
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "json" => Self::Json,
            "v2" => Self::V2,
            "v2-binary" => Self::V2Binary,
            other => panic!("there is no form `{other}`"),
        }
    }
}

/// 30 features in each row, with six digits behind the point, as a sender might print them.
fn values() -> Vec<Vec<String>> {
    let mut state = 42_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let value = (state >> 40) as f64 / f64::from(1 << 22) - 2.0;
        format!("{value:.6}")
    };
    (0..ROWS)
        .map(|_| (0..FEATURES).map(|_| next()).collect())
        .collect()
}

/// Rows as JSON objects with an id, to be sent over NATS again and again under other ids.
pub(crate) fn numbered() -> Vec<Vec<u8>> {
    let rows = values().into_iter();
    rows.map(|row| object(&row, Some(FIRST_NUMBER))).collect()
}

fn object(row: &[String], id: Option<u64>) -> Vec<u8> {
    let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
    let fields = row.iter().enumerate();
    let fields: Vec<String> = fields.map(|(n, v)| format!("\"f{n}\":{v}")).collect();
    format!("{{{id}{}}}", fields.join(",")).into_bytes()
}

/// The rows as JSON objects.
pub(crate) fn objects() -> Vec<Vec<u8>> {
    values().iter().map(|row| object(row, None)).collect()
}

/// Whole requests, one for each row.
pub(crate) fn requests(address: &str, path: &str, form: Form) -> Vec<Vec<u8>> {
    let rows = values();
    rows.iter()
        .map(|row| request(address, path, form, row))
        .collect()
}

fn request(address: &str, path: &str, form: Form, row: &[String]) -> Vec<u8> {
    let shape = format!("\"name\":\"X\",\"shape\":[1,{FEATURES}],\"datatype\":\"FP32\"");
    let (body, kind) = match form {
        Form::Json => (object(row, None), "application/json".to_owned()),
        Form::V2 => {
            let data = row.join(",");
            let body = format!("{{\"inputs\":[{{{shape},\"data\":[{data}]}}]}}");
            (body.into_bytes(), "application/json".to_owned())
        }
        Form::V2Binary => {
            let size = row.len() * 4;
            let mut body = format!(
                "{{\"inputs\":[{{{shape},\"parameters\":{{\"binary_data_size\":{size}}}}}],\"parameters\":{{\"binary_data_output\":true}}}}"
            )
            .into_bytes();
            let kind = format!(
                "application/octet-stream\r\nInference-Header-Content-Length: {}",
                body.len()
            );
            let values = row.iter().map(|text| text.parse::<f32>().unwrap());
            body.extend(values.flat_map(f32::to_le_bytes));
            (body, kind)
        }
    };
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    request
}
