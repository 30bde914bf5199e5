//! The JSON Schema of pipeline files, for editors.

use schemars::{
    Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform},
};
use serde_json::Value;

use super::raw::Pipeline;

/// The schema as indented JSON.
pub fn schema() -> String {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(without_null));
    let mut schema = settings.into_generator().into_root_schema_for::<Pipeline>();
    RecursiveTransform(one_line).transform(&mut schema);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON: this is a bug");
    text.push('\n');
    text
}

/// A key may be left out, but not be null: serde's `Option` says both.
fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("enum") {
        choices.retain(|choice| !choice.is_null());
    }
    let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
        return;
    };
    choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(one)] = choices.as_slice() {
        let one = one.clone();
        object.remove("anyOf");
        if one.contains_key("$ref") {
            // Whatever stands beside a `$ref` is not looked at.
            object.insert("allOf".to_owned(), Value::Array(vec![one.into()]));
            return;
        }
        for (key, value) in one {
            object.entry(key).or_insert(value);
        }
    }
}

/// Doc comments are wrapped for the source; editors wrap for themselves.
fn one_line(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}
