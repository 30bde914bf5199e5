//! What `docs/failures.md` promises is held by tests that exist.

use std::{fs, path::Path};

/// Rows that the table has at least.
const ROWS_MIN: usize = 24;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The file that a test named `it::file::name`, `faults::name` or `room::file::name` is in.
fn text_of(test: &str) -> Option<String> {
    let parts: Vec<_> = test.split("::").collect();
    let file = match parts.as_slice() {
        ["it", file, _] => format!("tests/it/{file}.rs"),
        ["faults", _] => "tests/faults/short.rs".to_owned(),
        [room, file, _] => format!("src/{room}/{file}.rs"),
        _ => return None,
    };
    fs::read_to_string(root().join(file)).ok()
}

#[test]
fn every_row_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/failures.md")).expect("the table");
    let rows: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .filter(|line| !line.starts_with("| what happens"))
        .collect();
    assert!(rows.len() >= ROWS_MIN, "{} rows", rows.len());
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 4, "four cells: {row}");
        assert!(cells.iter().all(|cell| !cell.trim().is_empty()), "{row}");
        let tests: Vec<_> = cells[3]
            .split('`')
            .filter(|part| part.contains("::"))
            .collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            let name = test.rsplit("::").next().expect("a name");
            let text = text_of(test).unwrap_or_else(|| panic!("no file for `{test}`"));
            assert!(
                text.contains(&format!("fn {name}(")),
                "`{test}` is not there"
            );
        }
    }
}
