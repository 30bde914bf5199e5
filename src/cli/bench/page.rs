//! The report as one HTML file: a chart of latency against load as SVG, and the table. Pure.

use super::report::{Report, Step, grouped, three_digits};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 48.0;
const RIGHT: f64 = 80.0;

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #24292f; --dim: #57606a; --line: #d0d7de; --back: #fff;
  --a: #0969da; --b: #1a7f37; --c: #cf222e; --d: #8250df }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --dim: #9198a1; --line: #3d444d; --back: #0d1117;
  --a: #4493f8; --b: #3fb950; --c: #f85149; --d: #ab7df8 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 800px;
  margin: 2em auto; padding: 0 1em }
pre { font-size: 13px; overflow-x: auto } svg { width: 100% }
svg text { font-size: 12px; fill: var(--dim) } svg line { stroke: var(--line) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .2em .8em; text-align: right; border-bottom: 1px solid var(--line) }";

/// A percentile as it is drawn: its name, its colour, and its value in a step.
type Curve = (&'static str, &'static str, fn(&Step) -> f64);

const CURVES: [Curve; 4] = [
    ("p50", "var(--a)", |step| step.p50_ms),
    ("p90", "var(--b)", |step| step.p90_ms),
    ("p99", "var(--c)", |step| step.p99_ms),
    ("p99.9", "var(--d)", |step| step.p999_ms),
];

/// The whole file.
pub(super) fn page(report: &Report) -> String {
    let title = escaped(&format!("forebay bench: {}", report.pipeline));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{title}</title>\n<style>\n{STYLE}\n</style>\n<h1>{title}</h1>\n"
    );
    // What stands above the table and the plot of the terminal.
    let words = report.render();
    let head = words.split("\n\n").take(2).collect::<Vec<_>>().join("\n\n");
    html += &format!("<pre>{}</pre>\n", escaped(&head));
    if let Some(replicas) = &report.replicas {
        html += &format!("<p>{}</p>\n", escaped(&replicas.words()));
    }
    html.push_str(&chart(&report.steps));
    html.push_str(&table(&report.steps));
    html.push_str("</html>\n");
    html
}

fn table(steps: &[Step]) -> String {
    let mut html = String::from(
        "<table>\n<tr><th>load<th>rows/s<th>p50 ms<th>p90 ms<th>p99 ms<th>p99.9 ms<th>longest\n",
    );
    for step in steps {
        html += &format!(
            "<tr><td>{:.0} %<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}\n",
            step.load * 100.0,
            grouped(step.offered_per_second),
            three_digits(step.p50_ms),
            three_digits(step.p90_ms),
            three_digits(step.p99_ms),
            three_digits(step.p999_ms),
            three_digits(step.longest_ms),
        );
    }
    html.push_str("</table>\n");
    html
}

/// Where a load and a latency are drawn.
struct Axes {
    highest_load: f64,
    /// Powers of ten, in milliseconds.
    from: f64,
    to: f64,
}

impl Axes {
    fn of(steps: &[Step]) -> Option<Self> {
        let values = || {
            let each = steps
                .iter()
                .flat_map(|step| CURVES.map(|(_, _, of)| of(step)));
            each.map(|value| value.max(1e-3))
        };
        let from = values().min_by(f64::total_cmp)?.log10().floor();
        let to = values().max_by(f64::total_cmp)?.log10().ceil();
        let highest = steps.iter().map(|step| step.offered_per_second);
        Some(Self {
            highest_load: highest.max_by(f64::total_cmp)?.max(1e-9),
            from,
            to: to.max(from + 1.0),
        })
    }

    fn x(&self, load: f64) -> f64 {
        LEFT + load / self.highest_load * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, ms: f64) -> f64 {
        let part = (ms.max(1e-3).log10() - self.from) / (self.to - self.from);
        TOP + (1.0 - part) * (HEIGHT - TOP - BOTTOM)
    }
}

fn chart(steps: &[Step]) -> String {
    let Some(axes) = Axes::of(steps) else {
        return String::new();
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"latency against load\">\n"
    );
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let mut power = axes.from;
    while power <= axes.to {
        let (ms, y) = (10_f64.powf(power), axes.y(10_f64.powf(power)));
        svg += &format!(
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{ms} ms</text>\n",
            LEFT - 8.0,
            y + 4.0
        );
        power += 1.0;
    }
    for step in steps {
        let x = axes.x(step.offered_per_second);
        svg += &format!(
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            bottom + 18.0,
            thousands(step.offered_per_second)
        );
    }
    svg += &format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">rows/s</text>\n",
        f64::midpoint(LEFT, right),
        bottom + 38.0
    );
    for (name, colour, of) in CURVES {
        let points = steps.iter().map(|step| {
            let (x, y) = (axes.x(step.offered_per_second), axes.y(of(step)));
            format!("{x:.1},{y:.1}")
        });
        let points: Vec<String> = points.collect();
        let last = steps.last().map_or(TOP, |step| axes.y(of(step)));
        svg += &format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/><text x=\"{:.1}\" y=\"{:.1}\" style=\"fill:{colour}\">{name}</text>\n",
            points.join(" "),
            right + 8.0,
            last + 4.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// 123456 as `123k`.
fn thousands(number: f64) -> String {
    if number >= 1e4 {
        format!("{:.0}k", number / 1e3)
    } else {
        grouped(number)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::report, *};

    #[test]
    fn a_page_with_a_chart() {
        let html = page(&report());
        assert_eq!(html.matches("<polyline").count(), 4);
        assert_eq!(html.matches("<tr>").count(), 10);
        assert!(html.contains("income &lt;1&gt;") && !html.contains("income <1>"));
        insta::assert_snapshot!(chart(&report().steps[6..]));
    }

    #[test]
    fn no_steps_no_chart() {
        assert_eq!(chart(&[]), "");
    }

    #[test]
    fn points_are_inside() {
        let steps = [Step::for_tests(0.1, 0.0), Step::for_tests(0.9, 1e5)];
        let axes = Axes::of(&steps).expect("two steps");
        for step in &steps {
            for (_, _, of) in CURVES {
                let (x, y) = (axes.x(step.offered_per_second), axes.y(of(step)));
                assert!((LEFT..=WIDTH - RIGHT + 0.1).contains(&x), "{x}");
                assert!((TOP - 0.1..=HEIGHT - BOTTOM + 0.1).contains(&y), "{y}");
            }
        }
    }
}
