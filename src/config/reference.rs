//! The reference of pipeline files as Markdown, made from the schema, so from the types' own doc
//! comments.

use serde_json::{Map, Value};

use super::schema::schema;

/// Keys of the file in the order of the data; the schema has them by the alphabet.
const ORDER: [&str; 20] = [
    "name",
    "source",
    "decode",
    "fields",
    "order_by",
    "state",
    "batch",
    "priority",
    "cache",
    "capacity",
    "weight",
    "max_in_flight",
    "max_in_flight_bytes",
    "models",
    "steps",
    "encode",
    "sink",
    "dead_letter",
    "http",
    "shutdown_grace",
];

const HEAD: &str = "\
# The pipeline file

Made from the program's own types by `forebay schema --markdown`; `forebay schema` prints the same as JSON Schema.
Keys in **bold** must be there. `${NAME}` and `${NAME:-default}` are filled in from the environment, in every value.
";

/// Every key of a pipeline file: what it takes, what it is when left out, and what it does.
pub fn reference() -> String {
    let schema: Value = serde_json::from_str(&schema()).unwrap_or_default();
    let mut text = HEAD.to_owned();
    let mut sections = Vec::new();
    let keys = schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let known = ORDER.iter().filter_map(|key| Some((*key, keys.get(*key)?)));
    let new = keys
        .iter()
        .filter(|(key, _)| !ORDER.contains(&key.as_str()));
    let rows: Vec<_> = known
        .chain(new.map(|(key, value)| (key.as_str(), value)))
        .collect();
    table(&mut text, &rows, &required(&schema), &mut sections);
    // A section can name others, so the list grows while it is read.
    let mut at = 0;
    while let Some(name) = sections.get(at).cloned() {
        section(
            &mut text,
            &name,
            &schema["definitions"][&name],
            &mut sections,
        );
        at += 1;
    }
    text
}

fn section(text: &mut String, name: &str, definition: &Value, sections: &mut Vec<String>) {
    text.push_str(&format!("\n## {name}\n\n{}\n", description(definition)));
    if let Some(choices) = definition["enum"].as_array() {
        let words = choices.iter().filter_map(Value::as_str);
        let words: Vec<_> = words.map(|word| format!("`{word}`")).collect();
        text.push_str(&format!("\nOne of {}.\n", words.join(", ")));
    }
    if let Some(choices) = definition["oneOf"].as_array() {
        text.push('\n');
        for choice in choices {
            if let Some(word) = choice["const"].as_str() {
                text.push_str(&format!("- `{word}`: {}\n", description(choice)));
            }
            for word in choice["enum"].as_array().into_iter().flatten() {
                text.push_str(&format!("- `{}`\n", word.as_str().unwrap_or_default()));
            }
            for (key, value) in choice["properties"].as_object().into_iter().flatten() {
                let kind = kind(value, sections);
                text.push_str(&format!("- `{key}`: {kind}. {}\n", description(choice)));
            }
        }
    }
    if let Some(properties) = definition["properties"].as_object() {
        let required = required(definition);
        let (mut rows, rest): (Vec<_>, Vec<_>) = pairs(properties)
            .into_iter()
            .partition(|(key, _)| required.iter().any(|name| name == key));
        rows.extend(rest);
        table(text, &rows, &required, sections);
    }
}

fn pairs(map: &Map<String, Value>) -> Vec<(&str, &Value)> {
    map.iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect()
}

fn required(schema: &Value) -> Vec<String> {
    let names = schema["required"].as_array().into_iter().flatten();
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

fn table(
    text: &mut String,
    rows: &[(&str, &Value)],
    required: &[String],
    sections: &mut Vec<String>,
) {
    if rows.is_empty() {
        return;
    }
    text.push_str("\n| key | takes | default | |\n|---|---|---|---|\n");
    for (key, value) in rows {
        let strong = if required.iter().any(|name| name == key) {
            "**"
        } else {
            ""
        };
        let default = match &value["default"] {
            Value::Null => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let kind = kind(value, sections);
        let what = description(value).replace('|', "\\|");
        text.push_str(&format!(
            "| {strong}`{key}`{strong} | {kind} | {default} | {what} |\n"
        ));
    }
}

fn description(value: &Value) -> &str {
    value["description"].as_str().unwrap_or_default()
}

/// What a key takes, in words; a definition becomes a link, and a section of its own.
fn kind(value: &Value, sections: &mut Vec<String>) -> String {
    if let Some(name) = reference_of(value) {
        if !sections.contains(&name) {
            sections.push(name.clone());
        }
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(choices) = value["enum"].as_array() {
        let choices = choices.iter().filter_map(Value::as_str);
        let choices: Vec<_> = choices.map(|choice| format!("`{choice}`")).collect();
        return choices.join(" ");
    }
    if let Some(choices) = value["anyOf"].as_array().or(value["oneOf"].as_array()) {
        let kinds: Vec<_> = choices
            .iter()
            .map(|choice| kind(choice, sections))
            .collect();
        return kinds.join(" or ");
    }
    let of = |part: &Value, sections: &mut Vec<String>| match part {
        Value::Object(_) => format!(" of {}", kind(part, sections)),
        _ => String::new(),
    };
    match value["type"].as_str() {
        Some("array") => format!("list{}", of(&value["items"], sections)),
        Some("object") => format!("map{}", of(&value["additionalProperties"], sections)),
        Some("string") => match value["examples"][0].as_str() {
            Some(example) => format!("text, like `{example}`"),
            None => "text".to_owned(),
        },
        Some(other) => other.to_owned(),
        // A number may also come from the environment, which makes it text for a moment.
        None => match value["type"].as_array() {
            Some(types) if value["pattern"].is_string() || value["examples"].is_array() => {
                let example = value["examples"][0].as_str();
                let first = types.iter().find_map(Value::as_str).unwrap_or_default();
                example.map_or(first.to_owned(), |example| {
                    format!("size, like `{example}`")
                })
            }
            Some(types) => {
                let names: Vec<_> = types.iter().filter_map(Value::as_str).collect();
                names.join(" or ")
            }
            None => "anything".to_owned(),
        },
    }
}

fn reference_of(value: &Value) -> Option<String> {
    let target = value["$ref"]
        .as_str()
        .or(value["allOf"][0]["$ref"].as_str())?;
    Some(target.rsplit('/').next()?.to_owned())
}
