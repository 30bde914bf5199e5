//! The table of what a row costs: read, written and compared.

use std::{fmt, fs, path::PathBuf, process::Command};

/// How much more than in the table a row may cost, as a part of it.
const MORE: f64 = 0.05;

/// Instructions a row, case by case.
pub(crate) struct Table {
    /// What counted.
    by: String,
    costs: Vec<(String, f64)>,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/table.md")
}

impl Table {
    /// Of what was counted now.
    pub(crate) fn new(costs: Vec<(String, f64)>) -> Self {
        Self { by: by(), costs }
    }

    /// The one in the repository.
    ///
    /// # Errors
    /// Says what is wrong with it, and what to do.
    pub(crate) fn read() -> Result<Self, String> {
        let path = path();
        let again = "write it anew: make bench-check-update";
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{} cannot be read ({error}); {again}", path.display()))?;
        let by = text.lines().next().unwrap_or_default().to_owned();
        // Behind the lines of the head.
        let rows = text
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| a row"));
        let costs = rows.map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let name = cells.next()?.to_owned();
            let cost = cells.next()?.replace(',', "").parse().ok()?;
            Some((name, cost))
        });
        let costs = costs.collect::<Option<Vec<_>>>();
        let costs = costs.ok_or_else(|| {
            format!(
                "{} has a line that is no row of the table; {again}",
                path.display()
            )
        })?;
        Ok(Self { by, costs })
    }

    pub(crate) fn write(&self) {
        fs::write(path(), self.to_string()).unwrap();
    }

    fn cost(&self, name: &str) -> Option<f64> {
        let mut costs = self.costs.iter();
        costs
            .find(|(known, _)| known == name)
            .map(|(_, cost)| *cost)
    }

    /// Prints both side by side, and gives a sentence for each row that costs too much, and for each difference in the cases.
    pub(crate) fn compare(&self, kept: &Self) -> Vec<String> {
        println!("{}\nthe table: {}\n", self.by, kept.by);
        println!("| a row of | instructions | in the table | |\n|---|--:|--:|--:|");
        let mut worse = Vec::new();
        for (name, cost) in &self.costs {
            let Some(before) = kept.cost(name) else {
                println!("| {name} | {} | | |", thousands(*cost));
                worse.push(format!("`{name}` is not in the table"));
                continue;
            };
            let change = cost / before - 1.0;
            println!(
                "| {name} | {} | {} | {:+.1} % |",
                thousands(*cost),
                thousands(before),
                change * 100.0
            );
            if change > MORE {
                worse.push(format!(
                    "`{name}` costs {:.1} % more than in the table; {:.0} % are let through",
                    change * 100.0,
                    MORE * 100.0
                ));
            }
        }
        let gone = kept
            .costs
            .iter()
            .filter(|(name, _)| self.cost(name).is_none());
        worse.extend(gone.map(|(name, _)| format!("`{name}` is in the table and was not counted")));
        worse
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.by)?;
        writeln!(f, "| a row of | instructions |\n|---|--:|")?;
        for (name, cost) in &self.costs {
            writeln!(f, "| {name} | {} |", thousands(*cost))?;
        }
        Ok(())
    }
}

/// A whole number with commas.
fn thousands(cost: f64) -> String {
    let digits = format!("{cost:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What counted, in words.
fn by() -> String {
    let said = |program: &str| {
        let output = Command::new(program).arg("--version").output();
        output.map_or_else(
            |_| program.to_owned(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    let rustc = said("rustc");
    let rustc = rustc.split(" (").next().unwrap_or_default().to_owned();
    format!(
        "Counted by {} in a build of {rustc}, {}.",
        said("valgrind"),
        std::env::consts::ARCH
    )
}
