//! Two small charts side by side, as SVG.

use std::fmt::Write;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #24292f } .head { font-weight: 600 } \
line { stroke: #d0d7de } polyline { fill: none; stroke: #0969da; stroke-width: 2 } circle { fill: #0969da } \
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } line { stroke: #3d444d } \
polyline { stroke: #4493f8 } circle { fill: #4493f8 } }";

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 24.0;
const RIGHT: f64 = 48.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 32.0;

/// A curve over powers of ten.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    /// What was changed, and what was found; microseconds.
    pub(crate) points: Vec<(usize, f64)>,
    /// Upwards too; else from 0 on.
    pub(crate) logarithmic: bool,
}

pub(crate) fn svg(panels: &[Panel]) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {HEIGHT}\" role=\"img\">\n<title>processor time of a row</title>\n<style>{STYLE}</style>\n",
        WIDTH * panels.len() as f64
    );
    for (number, panel) in panels.iter().enumerate() {
        panel.draw(WIDTH * number as f64, &mut svg);
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    fn draw(&self, left: f64, svg: &mut String) {
        let values = || self.points.iter().map(|(_, value)| *value);
        let (low, high) = if self.logarithmic {
            let low = values().fold(f64::INFINITY, f64::min).log10().floor();
            (low, values().fold(0.0, f64::max).log10().ceil())
        } else {
            (0.0, values().fold(0.0, f64::max) * 1.25)
        };
        let y = |value: f64| {
            let value = if self.logarithmic {
                value.log10()
            } else {
                value
            };
            HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        };
        let logarithms = self.points.iter().map(|(at, _)| (*at as f64).log10());
        let (first, last) = (
            logarithms.clone().fold(f64::INFINITY, f64::min),
            logarithms.fold(0.0, f64::max),
        );
        let x = |at: usize| {
            let part = ((at as f64).log10() - first) / (last - first);
            left + LEFT + part * (WIDTH - LEFT - RIGHT)
        };
        let base = HEIGHT - BOTTOM;
        let drawn = [
            format!(
                "<text class=\"head\" x=\"{}\" y=\"20\">{}</text>\n",
                left + LEFT,
                self.title
            ),
            format!(
                "<line x1=\"{}\" x2=\"{}\" y1=\"{base}\" y2=\"{base}\"/>\n",
                left + LEFT,
                left + WIDTH - RIGHT
            ),
        ];
        svg.push_str(&drawn.concat());
        let mut line = String::new();
        for (at, value) in &self.points {
            let (x, y) = (x(*at), y(*value));
            let drawn = format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.2}</text><text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                y - 10.0,
                base + 20.0,
                grouped(*at)
            );
            svg.push_str(&drawn);
            write!(line, "{x:.1},{y:.1} ").unwrap();
        }
        let drawn = format!("<polyline points=\"{}\"/>\n", line.trim_end());
        svg.push_str(&drawn);
    }
}

/// 1000000 as `1,000,000`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = (digits.as_bytes().rchunks(3).rev())
        .map(|group| std::str::from_utf8(group).unwrap())
        .collect();
    groups.join(",")
}
