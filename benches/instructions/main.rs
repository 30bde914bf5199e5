//! How many instructions a row costs in decode, batch and encode: the same in each run, however busy the machine is.
//!
//! `cargo bench --bench instructions` runs this program under callgrind (`valgrind`), prints a table, and compares it
//! with `table.md` beside this file; `-- --check` fails where a row costs more than 5 % above it, `-- --update` writes
//! it anew. Other versions of the compiler and of the C library count a little differently: the table says which wrote it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a benchmark prints, and stops at the first thing that goes wrong"
)]

mod cases;
mod table;

use std::{
    fs, hint,
    io::ErrorKind,
    path::Path,
    process::{Command, ExitCode},
};

use table::Table;

/// Rounds before anything is counted: keys are learned, memory has grown.
const WARM: usize = 3;
/// Rounds that are counted.
const COUNTED: usize = 4;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    match args.first().map(String::as_str) {
        Some("work") => work(args.get(1).map_or("", String::as_str)),
        None => compare(false),
        Some("--check") => compare(true),
        Some("--update") => update(),
        Some(other) => {
            println!("`{other}` is not known here: --check, --update, or nothing");
            ExitCode::FAILURE
        }
    }
}

/// Callgrind writes what was counted since the last time whenever this function begins.
#[inline(never)]
fn between_the_cases() {
    hint::black_box(());
}

/// In the process that is counted. With a part of a name it runs those cases only, to be looked at with
/// `callgrind_annotate`.
fn work(part: &str) -> ExitCode {
    for make in cases::all() {
        let mut case = make();
        if !case.name.contains(part) {
            continue;
        }
        (0..WARM).for_each(|_| (case.round)());
        between_the_cases();
        (0..COUNTED).for_each(|_| (case.round)());
        between_the_cases();
        println!("{}\t{}", case.rows * COUNTED, case.name);
    }
    ExitCode::SUCCESS
}

/// The table of this build; says what to do where valgrind is missing.
fn count() -> Result<Table, String> {
    let dir = std::env::temp_dir().join(format!("forebay-instructions-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let counted = count_in(&dir);
    drop(fs::remove_dir_all(&dir));
    counted
}

fn count_in(dir: &Path) -> Result<Table, String> {
    let ran = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--dump-before=*between_the_cases*")
        .arg(format!(
            "--callgrind-out-file={}",
            dir.join("out").display()
        ))
        .arg(std::env::current_exe().unwrap())
        .arg("work")
        .output();
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err("valgrind is missing, and instructions are counted by it: `apt-get install valgrind`".into());
        }
        Err(error) => return Err(format!("valgrind cannot be started: {error}")),
    };
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        return Err(format!("valgrind failed ({}):\n{said}", ran.status));
    }
    let mut costs = Vec::new();
    for (case, line) in String::from_utf8_lossy(&ran.stdout).lines().enumerate() {
        let (rows, name) = line.split_once('\t').unwrap();
        // Numbered from 1: up to a case's first call, and from there up to its second.
        let dump = dir.join(format!("out.{}", 2 * case + 2));
        let text = fs::read_to_string(&dump).map_err(|error| {
            format!("callgrind did not write what it counted for `{name}`: {error}")
        })?;
        let counted: f64 = (text.lines())
            .find_map(|line| {
                line.strip_prefix("summary: ")
                    .or(line.strip_prefix("totals: "))
            })
            .and_then(|number| number.trim().parse().ok())
            .ok_or_else(|| format!("no sum in callgrind's file of `{name}`"))?;
        costs.push((name.to_owned(), counted / rows.parse::<f64>().unwrap()));
    }
    Ok(Table::new(costs))
}

fn compare(fail: bool) -> ExitCode {
    let counted = match count() {
        Ok(counted) => counted,
        Err(why) => {
            println!("{why}");
            return if fail {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let kept = match Table::read() {
        Ok(kept) => kept,
        Err(why) => {
            println!("{counted}\n{why}");
            return if fail {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let worse = counted.compare(&kept);
    if worse.is_empty() || !fail {
        return ExitCode::SUCCESS;
    }
    println!("\n{}", worse.join("\n"));
    println!(
        "where that is the price of something worth it, write the table anew: make bench-check-update"
    );
    ExitCode::FAILURE
}

fn update() -> ExitCode {
    match count() {
        Ok(counted) => {
            counted.write();
            println!("{counted}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
