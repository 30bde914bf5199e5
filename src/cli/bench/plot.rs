//! Latency against load, in the terminal. Pure.

use super::report::{Step, three_digits};

/// Lines of the plot.
const HEIGHT: usize = 8;
/// Columns for each step, a space among them.
const WIDTH: usize = 6;
/// Parts of a block, from one eighth.
const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bars of p99 on a logarithmic scale, with the p50 inside each as a line.
pub(super) fn plot(steps: &[Step]) -> String {
    let Some(scale) = Scale::of(steps) else {
        return String::new();
    };
    let mut lines = vec!["  ms, logarithmic: p99 █ and in it p50 ╌".to_owned()];
    for line in (0..HEIGHT).rev() {
        let label = scale.label(line);
        let mut text = format!("{label:>8} ┤");
        for step in steps {
            text.push(' ');
            text.push_str(&cell(&scale, step, line));
        }
        lines.push(text.trim_end().to_owned());
    }
    let mut axis = format!("{:>8} └", "");
    let mut names = " ".repeat(10);
    for step in steps {
        axis.push_str(&"─".repeat(WIDTH));
        let name = format!("{:.0} %", step.load * 100.0);
        names.push_str(&format!("{name:>WIDTH$}"));
    }
    lines.push(axis);
    lines.push(names);
    lines.join("\n")
}

/// What is in one line of a bar.
fn cell(scale: &Scale, step: &Step, line: usize) -> String {
    let (top, middle) = (scale.height(step.p99_ms), scale.height(step.p50_ms));
    let at = line as f64;
    if top < at {
        return " ".repeat(WIDTH - 1);
    }
    let symbol = if top >= at + 1.0 {
        if middle >= at && middle < at + 1.0 {
            '╌'
        } else {
            '█'
        }
    } else {
        eighth(top - at)
    };
    symbol.to_string().repeat(WIDTH - 1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a line"
)]
fn eighth(part: f64) -> char {
    EIGHTHS[((part * 8.0) as usize).min(7)]
}

/// From the lowest line to the highest, equal factors.
struct Scale {
    lowest: f64,
    highest: f64,
}

impl Scale {
    /// From a little below the shortest p50 to the longest p99; none without steps.
    fn of(steps: &[Step]) -> Option<Self> {
        let least = steps
            .iter()
            .map(|step| step.p50_ms)
            .min_by(f64::total_cmp)?;
        let most = steps
            .iter()
            .map(|step| step.p99_ms)
            .max_by(f64::total_cmp)?;
        let lowest = (least / 2.0).max(1e-3);
        Some(Self {
            lowest,
            highest: most.max(lowest * 4.0),
        })
    }

    /// In lines.
    fn height(&self, ms: f64) -> f64 {
        let part = (ms / self.lowest).max(1.0).ln() / (self.highest / self.lowest).ln();
        part * HEIGHT as f64
    }

    /// The value at the top of a line.
    fn label(&self, line: usize) -> String {
        let part = (line + 1) as f64 / HEIGHT as f64;
        three_digits(self.lowest * (self.highest / self.lowest).powf(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_grows_with_load() {
        let p99 = [0.2, 0.21, 0.25, 0.4, 0.8, 1.5, 3.0, 9.0, 40.0];
        let steps = p99.iter().enumerate();
        let steps: Vec<Step> = steps
            .map(|(place, p99)| Step::for_tests((place + 1) as f64 / 10.0, *p99))
            .collect();
        insta::assert_snapshot!(plot(&steps));
    }

    #[test]
    fn equal_steps_have_a_plot() {
        let steps = [Step::for_tests(0.5, 0.0), Step::for_tests(1.0, 0.0)];
        assert_eq!(plot(&steps).lines().count(), HEIGHT + 3);
        assert_eq!(plot(&[]), "");
    }
}
