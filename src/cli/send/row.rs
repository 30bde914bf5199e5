//! What a line becomes: a subject from a template, and a payload, as it is or as a raw tensor.

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use crate::{contract::Dtype, encode::tensor::put_json};

/// `FIELD` or `FIELD:DTYPE` of `--tensor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorField {
    pub(super) field: String,
    /// f32, where neither the command line nor a pipeline says otherwise.
    pub(super) dtype: Option<Dtype>,
}

impl std::str::FromStr for TensorField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, dtype) = match text.rsplit_once(':') {
            None => (text, None),
            Some((field, name)) => {
                let dtype = Dtype::from_name(name).filter(|dtype| dtype.size_bytes().is_some());
                let dtype = dtype.ok_or_else(|| {
                    format!(
                        "`{name}` is no type of a tensor; there are f32, f64, i32, i64, u8 and bool"
                    )
                })?;
                (field, Some(dtype))
            }
        };
        if field.is_empty() {
            return Err("the field's name is empty".to_owned());
        }
        Ok(Self {
            field: field.to_owned(),
            dtype,
        })
    }
}

/// A subject with `{field}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectTemplate {
    /// Literal text, and the field behind it.
    parts: Vec<(String, Option<String>)>,
}

impl std::str::FromStr for SubjectTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (field, after) = behind
                .split_once('}')
                .ok_or_else(|| format!("`{text}`: a `{{` has no `}}`"))?;
            if field.is_empty() {
                return Err(format!("`{text}`: name a field between `{{` and `}}`"));
            }
            parts.push((before.to_owned(), Some(field.to_owned())));
            rest = after;
        }
        if rest.contains('}') {
            return Err(format!("`{text}`: a `}}` has no `{{`"));
        }
        parts.push((rest.to_owned(), None));
        let template = Self { parts };
        if (template.parts.iter()).any(|(literal, _)| literal.contains(['*', '>'])) {
            return Err(format!(
                "`{text}` is no subject to publish on: wildcards are for reading only"
            ));
        }
        check_subject(&template.fill(|_| Ok("x".to_owned()))?)?;
        Ok(template)
    }
}

impl SubjectTemplate {
    pub(super) fn has_fields(&self) -> bool {
        self.parts.len() > 1
    }

    fn fill(
        &self,
        mut value: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut subject = String::new();
        for (literal, field) in &self.parts {
            subject.push_str(literal);
            if let Some(field) = field {
                subject.push_str(&value(field)?);
            }
        }
        Ok(subject)
    }
}

/// Turns lines into what is published.
#[derive(Debug, Clone)]
pub(super) struct RowForm {
    pub(super) subject: SubjectTemplate,
    pub(super) tensor: Option<TensorField>,
}

impl RowForm {
    /// The subject and the payload of a line.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn of(&self, line: &Bytes) -> Result<(String, Bytes), String> {
        if !self.subject.has_fields() && self.tensor.is_none() {
            return Ok((self.subject.fill(|_| Ok(String::new()))?, line.clone()));
        }
        let row: Value =
            serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
        if !row.is_object() {
            return Err(format!("not a JSON object but {}", kind(&row)));
        }
        let subject = self.subject.fill(|field| token(&row, field))?;
        check_subject(&subject)?;
        let payload = match &self.tensor {
            None => line.clone(),
            Some(tensor) => tensor.encode(&row)?,
        };
        Ok((subject, payload))
    }
}

/// The text of a field, for a subject.
fn token(row: &Value, field: &str) -> Result<String, String> {
    match row.get(field) {
        Some(Value::String(text)) if text.is_empty() => Err(format!(
            "field `{field}`, which the subject takes, is empty"
        )),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
        Some(value) => Err(format!(
            "field `{field}`, which the subject takes, is {}",
            kind(value)
        )),
        None => Err(format!(
            "field `{field}`, which the subject takes, is missing"
        )),
    }
}

/// Whether one may publish on it.
fn check_subject(subject: &str) -> Result<(), String> {
    let why = if subject.split('.').any(str::is_empty) {
        "it has an empty part"
    } else if subject.contains(|c: char| c.is_whitespace() || c.is_control()) {
        "it has white space in it"
    } else if subject.split('.').any(|part| part == "*" || part == ">") {
        "wildcards are for reading only"
    } else {
        return Ok(());
    };
    Err(format!("`{subject}` is no subject to publish on: {why}"))
}

impl TensorField {
    fn dtype(&self) -> Dtype {
        self.dtype.unwrap_or(Dtype::F32)
    }

    fn encode(&self, row: &Value) -> Result<Bytes, String> {
        let field = &self.field;
        let value = row
            .get(field)
            .ok_or_else(|| format!("field `{field}` is missing"))?;
        let mut bytes = BytesMut::new();
        let mut index = 0;
        self.push(value, &mut index, &mut bytes)?;
        if bytes.is_empty() {
            return Err(format!("field `{field}` has no elements"));
        }
        Ok(bytes.freeze())
    }

    /// Arrays in arrays are laid out one after another, as tensors are.
    fn push(&self, value: &Value, index: &mut usize, bytes: &mut BytesMut) -> Result<(), String> {
        if let Value::Array(values) = value {
            return values
                .iter()
                .try_for_each(|value| self.push(value, index, bytes));
        }
        put_json(value, self.dtype(), bytes).ok_or_else(|| {
            let shown: String = value.to_string().chars().take(40).collect();
            format!(
                "field `{}`, element {index}: {shown} is no {}",
                self.field,
                self.dtype()
            )
        })?;
        *index += 1;
        Ok(())
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(subject: &str, tensor: Option<&str>) -> RowForm {
        RowForm {
            subject: subject.parse().expect("a subject"),
            tensor: tensor.map(|text| text.parse().expect("a tensor")),
        }
    }

    fn of(form: &RowForm, line: &str) -> Result<(String, Vec<u8>), String> {
        form.of(&Bytes::copy_from_slice(line.as_bytes()))
            .map(|(subject, payload)| (subject, payload.to_vec()))
    }

    #[test]
    fn a_line_goes_out_as_it_is() {
        let (subject, payload) = of(&form("rows.a", None), "{ no json").expect("not looked into");
        assert_eq!(subject, "rows.a");
        assert_eq!(payload, b"{ no json");
    }

    #[test]
    fn fields_fill_the_subject() {
        let form = form("rows.{state}.{id}.x", None);
        let filled = of(&form, r#"{"state":"ma","id":7}"#).expect("filled").0;
        assert_eq!(filled, "rows.ma.7.x");
        for (line, says) in [
            (
                r#"{"state":"ma"}"#,
                "`id`, which the subject takes, is missing",
            ),
            (r#"{"state":"m a","id":1}"#, "white space"),
            (r#"{"state":"a.","id":1}"#, "empty part"),
            (r#"{"state":">","id":1}"#, "wildcards"),
            (r#"{"state":"","id":1}"#, "is empty"),
            (r#"{"state":null,"id":1}"#, "is null"),
            ("[1]", "an array"),
            ("{", "not JSON"),
        ] {
            let error = of(&form, line).expect_err(line);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn templates_are_checked_at_once() {
        for (template, says) in [
            ("rows.{state", "no `}`"),
            ("rows.state}", "no `{`"),
            ("rows.{}", "name a field"),
            ("rows..a", "empty part"),
            ("rows.*", "wildcards"),
            ("", "empty part"),
        ] {
            let error = template.parse::<SubjectTemplate>().expect_err(template);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn elements_are_little_endian() {
        let bytes = |dtype: &str, line| of(&form("a", Some(&format!("x:{dtype}"))), line);
        let good = |dtype, line| bytes(dtype, line).expect("encodes").1;
        assert_eq!(
            good("f32", r#"{"x":[1,[2.5]]}"#),
            [1.0_f32.to_le_bytes(), 2.5_f32.to_le_bytes()].concat()
        );
        assert_eq!(good("f64", r#"{"x":0.1}"#), 0.1_f64.to_le_bytes());
        assert_eq!(good("i32", r#"{"x":[-2]}"#), (-2_i32).to_le_bytes());
        assert_eq!(good("i64", r#"{"x":[5.0]}"#), 5_i64.to_le_bytes());
        assert_eq!(good("u8", r#"{"x":[0,255]}"#), [0, 255]);
        assert_eq!(good("bool", r#"{"x":[true,false]}"#), [1, 0]);
        for (dtype, line, says) in [
            ("u8", r#"{"x":[1,256]}"#, "element 1: 256 is no u8"),
            ("i64", r#"{"x":[1.5]}"#, "1.5 is no i64"),
            ("f32", r#"{"x":[1e300]}"#, "is no f32"),
            ("f32", r#"{"x":["1"]}"#, "\"1\" is no f32"),
            ("f32", r#"{"x":[]}"#, "no elements"),
            ("f32", "{}", "`x` is missing"),
        ] {
            let error = bytes(dtype, line).expect_err(line);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_type_defaults_to_f32() {
        let tensor: TensorField = "pixels".parse().expect("a field");
        assert_eq!(tensor.dtype(), Dtype::F32);
        assert!("x:string".parse::<TensorField>().is_err());
        assert!("x:f16".parse::<TensorField>().is_err());
        assert!(":f32".parse::<TensorField>().is_err());
    }
}
