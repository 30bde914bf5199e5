//! The arrows between the rooms, held by a test: data flows down, nothing on the data path knows
//! what is above it.

use std::{fs, path::Path};

/// For each room, the rooms it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("threads", &[]),
    ("turns", &[]),
    ("units", &[]),
    ("message", &["turns"]),
    ("block", &["contract", "message"]),
    ("nats", &[]),
    ("telemetry", &["message"]),
    ("source", &["message", "nats", "sink", "telemetry"]),
    ("decode", &["block", "contract", "host", "message"]),
    ("host", &["block", "contract", "message"]),
    ("batch", &["block", "message"]),
    ("graph", &["contract", "units"]),
    (
        "engine",
        &["block", "contract", "graph", "message", "threads"],
    ),
    ("encode", &["block", "contract", "message"]),
    ("rows", &["block", "contract", "encode", "message"]),
    ("sink", &["message", "nats", "source", "telemetry"]),
    (
        "config",
        &[
            "batch", "block", "contract", "decode", "encode", "engine", "graph", "host", "message",
            "nats", "sink", "source", "units",
        ],
    ),
    ("control", &["message", "pipeline", "telemetry", "threads"]),
    (
        "pipeline",
        &[
            "batch",
            "block",
            "config",
            "contract",
            "decode",
            "encode",
            "engine",
            "host",
            "message",
            "nats",
            "sink",
            "source",
            "telemetry",
            "threads",
            "turns",
        ],
    ),
];

fn rust_files(dir: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir)
        .expect("a folder of the project")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            into.push(path);
        }
    }
}

fn sources() -> Vec<(String, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files
        .into_iter()
        .map(|path| {
            let name = path
                .strip_prefix(&src)
                .expect("inside src")
                .display()
                .to_string();
            let room = name.split(['/', '.']).next().unwrap_or_default().to_owned();
            (name, room, fs::read_to_string(&path).expect("readable"))
        })
        .collect()
}

/// Rooms named after `crate::`, in grouped imports too.
fn used_rooms(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let (mut depth, mut word, mut fresh) = (1, String::new(), true);
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => fresh = true,
                    c if c.is_alphanumeric() || c == '_' => {
                        if depth == 1 && fresh {
                            word.push(c);
                        }
                        continue;
                    }
                    c if c.is_whitespace() => continue,
                    _ => {}
                }
                if !word.is_empty() {
                    rooms.push(std::mem::take(&mut word));
                    fresh = c == ',';
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            rooms.push(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    rooms
}

#[test]
fn imports_follow_the_arrows() {
    let mut wrong = Vec::new();
    for (file, room, text) in sources() {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            continue;
        };
        for used in used_rooms(&text) {
            let is_room = MAY_USE.iter().any(|(name, _)| *name == used) || used == "cli";
            if is_room && used != room && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{file}: `{room}` must not use `{used}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_itself_sees_imports() {
    let text = "use crate::{block::{Table, Column}, engine::Engine,\n message};\nlet x = crate::config::load();";
    assert_eq!(used_rooms(text), ["block", "engine", "message", "config"]);
}

#[test]
fn unsafe_is_only_where_it_is_allowed() {
    for (file, _, text) in sources() {
        let has = text.lines().any(|line| {
            let code = line.split("//").next().unwrap_or_default();
            code.contains("unsafe ") || code.contains("allow(unsafe_code)")
        });
        assert!(
            !has || file.starts_with("engine/cuda/"),
            "{file} has unsafe code"
        );
    }
}

#[test]
fn files_stay_short() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(file, _, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > 400)
        .collect();
    assert!(
        long.is_empty(),
        "over 400 lines; is there a room hidden in them? {long:?}"
    );
}
