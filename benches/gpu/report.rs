//! All results of `run.sh` as one JSON file and one table, with the aims.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::{Map, Value, json};

/// Bytes of a row of the MLP up the bus: 64 numbers of single precision.
const MLP_ROW: f64 = 256.0;

/// Reads what the stages left in a folder, and writes `report.json` and `report.md` there.
pub(crate) fn write(folder: &Path) {
    let read = |name: &str| -> Value {
        let bytes = fs::read(folder.join(format!("{name}.json")));
        bytes.map_or(Value::Null, |bytes| {
            serde_json::from_slice(&bytes).unwrap_or(Value::Null)
        })
    };
    let stages = [
        "doctor",
        "verify",
        "engine",
        "engine-general",
        "engine-cpu",
        "torch",
        "traffic-cuda",
        "traffic-cpu",
    ];
    let kernels = multipliers().map(|(precision, by)| stage(precision, by));
    let mut all: Map<String, Value> = (stages.iter())
        .map(|name| (*name).to_owned())
        .chain(kernels)
        .map(|name| (name.clone(), read(&name)))
        .collect();
    let sanitize = fs::read_to_string(folder.join("sanitize.txt")).unwrap_or_default();
    let sanitize: Vec<&str> = sanitize.lines().collect();
    all.insert("sanitize".to_owned(), json!(sanitize));
    // When, and which stages.
    let when = fs::read_to_string(folder.join("when.txt")).unwrap_or_default();
    all.insert("when".to_owned(), json!(when.trim()));
    // Each case of `verify` has a line there; the report wants those that are not equal.
    let verified = all["verify"].clone();
    if let Some(sets) = all["verify"]["data_sets"].as_array_mut() {
        sets.retain(|set| set["result"] != "passed");
    }
    let all = Value::Object(all);
    let text = markdown(&all, &verified, &sanitize);
    fs::write(
        folder.join("report.json"),
        serde_json::to_vec_pretty(&all).unwrap(),
    )
    .unwrap();
    fs::write(folder.join("report.md"), &text).unwrap();
    println!("{text}");
}

fn markdown(all: &Value, verified: &Value, sanitize: &[&str]) -> String {
    let mut text = String::from("# forebay on a GPU\n\n");
    let said = all["engine"]["machine"]["said"].as_str();
    writeln!(text, "{}\n", said.unwrap_or("Nothing was measured.")).unwrap();
    writeln!(text, "{}\n", all["when"].as_str().unwrap_or("")).unwrap();
    writeln!(
        text,
        "`forebay verify` on the device: {}\n",
        counts(verified)
    )
    .unwrap();
    for line in sanitize {
        writeln!(
            text,
            "- {}",
            line.trim_start_matches("-- ").trim_matches('=').trim()
        )
        .unwrap();
    }
    text += "\n## Aims\n\n| what | aim | measured |\n|---|--:|--:|\n";
    for (what, aim, measured) in aims(all) {
        let measured = measured.map_or_else(|| "not measured".to_owned(), number);
        writeln!(text, "| {what} | {} | {measured} |", number(aim)).unwrap();
    }
    text += &engine(all);
    text += &kernels(all);
    if !all["torch"].is_null() {
        text += "\n## PyTorch\n\n| model | precision | rows in a batch | variant | clock | rows/s | p50 µs |\n|---|---|--:|---|---|--:|--:|\n";
        for one in list(&all["torch"]["results"]) {
            let word = |key: &str| one[key].as_str().unwrap_or("").to_owned();
            let figure = |key: &str| number(one[key].as_f64().unwrap_or(f64::NAN));
            let (model, precision, variant) = (word("model"), word("precision"), word("variant"));
            let (rows, clock) = (figure("rows"), word("where"));
            let (rate, p50) = (figure("rows_per_second"), figure("p50_us"));
            writeln!(
                text,
                "| {model} | {precision} | {rows} | {variant} | {clock} | {rate} | {p50} |"
            )
            .unwrap();
        }
        writeln!(text, "\nCeilings: `{}`", all["torch"]["ceilings"]).unwrap();
    }
    text
}

/// What multiplies how fast, where that was measured.
fn kernels(all: &Value) -> String {
    let mut lines = String::new();
    for (precision, by) in multipliers() {
        for one in list(&all[stage(precision, by)]["results"]) {
            let figure = |key: &str| number(one[key].as_f64().unwrap_or(f64::NAN));
            let model = one["model"].as_str().unwrap_or("");
            let cells = ["rows", "workers", "rows_per_second", "p50_us"].map(figure);
            writeln!(
                lines,
                "| {model} | {precision} | {by} | {} |",
                cells.join(" | ")
            )
            .unwrap();
        }
    }
    if lines.is_empty() {
        return lines;
    }
    "\n## Own kernels, and with cuBLASLt and cuDNN\n\n| model | precision | by | rows in a batch | workers | rows/s | batch p50 µs |\n|---|---|---|--:|--:|--:|--:|\n"
        .to_owned()
        + &lines
}

fn multipliers() -> impl Iterator<Item = (&'static str, &'static str)> {
    ["fp32", "tf32", "fp16", "bf16"]
        .into_iter()
        .flat_map(|precision| [(precision, "own"), (precision, "library")])
}

fn stage(precision: &str, by: &str) -> String {
    format!("kernels-{precision}-{by}")
}

/// What was measured, and how it is with general kernels alone.
fn engine(all: &Value) -> String {
    let mut text = String::from(
        "\n## The engine\n\n| model | rows in a batch | workers | rows/s | batch p50 µs | p99 µs | p50 µs without NVRTC |\n\
         |---|--:|--:|--:|--:|--:|--:|\n",
    );
    let general = list(&all["engine-general"]["results"]);
    for one in list(&all["engine"]["results"]) {
        let figure = |key: &str| number(one[key].as_f64().unwrap_or(f64::NAN));
        let model = one["model"].as_str().unwrap_or("");
        let cells = ["rows", "workers", "rows_per_second", "p50_us", "p99_us"].map(figure);
        let same = |other: &&Value| {
            ["model", "rows", "workers"]
                .iter()
                .all(|key| other[key] == one[key])
        };
        let without = general.iter().find(same);
        let without = without.and_then(|other| other["p50_us"].as_f64());
        let without = without.map_or_else(|| "not measured".to_owned(), number);
        writeln!(text, "| {model} | {} | {without} |", cells.join(" | ")).unwrap();
    }
    text
}

fn counts(verified: &Value) -> String {
    let sets = list(&verified["data_sets"]);
    let of = |kind: &str| sets.iter().filter(|set| set["result"] == kind).count();
    format!(
        "{} cases equal ONNX Runtime on the CPU, {} differ, {} are not covered",
        of("passed"),
        of("failed"),
        of("not_supported") + of("cannot_be_fed")
    )
}

/// What was aimed at, and what came of it.
fn aims(all: &Value) -> Vec<(&'static str, f64, Option<f64>)> {
    let engine = list(&all["engine"]["results"]);
    let best = |model: &str| {
        let of = engine.iter().filter(|one| one["model"] == model);
        most(of.filter_map(|one| one["rows_per_second"].as_f64()))
    };
    let torch = most(
        (list(&all["torch"]["results"]).iter())
            .filter(|one| one["model"] == "encoder" && one["precision"] == "fp16")
            .filter(|one| one["where"] == "host")
            .filter_map(|one| one["rows_per_second"].as_f64()),
    );
    let up = all["engine"]["copies"]["up_gb_s"].as_f64();
    let bound = up.map(|up| up * 1e9 / MLP_ROW);
    let alone = (engine.iter())
        .find(|one| one["model"] == "mlp" && one["rows"] == 1 && one["workers"] == 1)
        .and_then(|one| one["p50_us"].as_f64());
    let share = |a: Option<f64>, b: Option<f64>| Some(a? / b?);
    let traffic = |device: &str| all[format!("traffic-{device}")]["maximum_per_second"].as_f64();
    vec![
        (
            "encoder (MiniLM-L6, 128 tokens): sequences/s",
            140_000.0,
            best("encoder"),
        ),
        (
            "the same / the best of PyTorch in half precision",
            1.3,
            share(best("encoder"), torch),
        ),
        (
            "MLP: part of what the bus carries",
            0.6,
            share(best("mlp"), bound),
        ),
        ("500 trees of depth 8: rows/s", 50e6, best("trees")),
        ("MLP, one row: p50 µs (at most)", 40.0, alone),
        (
            "encoder from NATS to NATS: GPU / all cores of the CPU",
            5.0,
            share(traffic("cuda"), traffic("cpu")),
        ),
    ]
}

fn most(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// With three digits or more; whole numbers as they are.
fn number(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}
