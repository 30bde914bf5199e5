//! The forms in which rows are sent over HTTP.

use crate::rows::{FEATURES, object, values};

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
