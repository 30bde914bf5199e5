"""The table and the chart of what was measured."""

import math
import time
from pathlib import Path
from statistics import median
from typing import Callable, Dict, List, NamedTuple, Tuple

from targets import Target

LABELS = {
    "echo": "bare echo",
    "forebay": "forebay",
    "rust-loop": "Rust loop by hand",
    "nats-py": "nats-py by hand",
    "nats-py-2": "nats-py, 2 of them",
    "triton": "Triton",
    "fastapi": "FastAPI",
    "mlserver": "MLServer",
    "litserve": "LitServe",
}


class About(NamedTuple):
    machine: str
    versions: List[str]
    rounds: int
    seconds: float
    minutes: float
    load: float
    best: Dict[str, Tuple[str, int]]


Results = Dict[str, List[dict]]


def write(folder: Path, targets: List[Target], results: Results, about: About) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.svg").write_text(chart(targets, results))
    page = markdown(targets, results, about)
    (folder / "peers.md").write_text(page)
    print(page)


def values(results: Results, name: str, key: str) -> List[float]:
    return [turn[key] for turn in results[name]]


def spread(numbers: List[float], show: Callable[[float], str]) -> str:
    """The median, and the range where there is more than one round."""
    if len(numbers) == 1:
        return show(numbers[0])
    return "{} ({} to {})".format(show(median(numbers)), show(min(numbers)), show(max(numbers)))


def whole(number: float) -> str:
    return "{:,.0f}".format(number)


def short(number: float) -> str:
    """Three digits are enough."""
    if number >= 100:
        return whole(number)
    return "{:.1f}".format(number) if number >= 10 else "{:.2f}".format(number)


def milliseconds(microseconds: float) -> str:
    return short(microseconds / 1e3)


def times(results: Results, name: str) -> List[float]:
    """How many times as many messages forebay takes, round by round."""
    pairs = zip(values(results, "forebay", "per_second"), values(results, name, "per_second"))
    return [ours / theirs for ours, theirs in pairs]


def markdown(targets: List[Target], results: Results, about: About) -> str:
    lines = [
        "# Beside other programs",
        "",
        "`make bench-peers`, {} ({:.0f} minutes, load average before it {:.1f}); {}, which also ran the broker and the load "
        "generator; {}.".format(
            time.strftime("%Y-%m-%d"), about.minutes, about.load, about.machine, ", ".join(about.versions)
        ),
        "",
        "The same work for all: JSON rows of 30 features through a small MLP (`tests/data/models/mlp30`), one row a",
        "message or request. Each program is set up as its own documentation says, batching on; what is in",
        "`benches/peers/` is all of it. {}, in which all took turns; median (lowest to highest).".format(
            "One round" if about.rounds == 1 else "{} rounds".format(about.rounds)
        ),
        "",
        "![messages per second, and latency at 70 % of them](peers.svg)",
        "",
        "| | messages/s | forebay takes | its CPU, µs a message | the broker's |",
        "|---|--:|--:|--:|--:|",
    ]
    for target in targets:
        name = target.name
        ratio = "–"
        if name != "forebay" and "forebay" in results:
            ratio = spread(times(results, name), lambda number: short(number) + " ×")
        broker = "–"
        if target.over_nats:
            broker = spread(values(results, name, "broker_us"), short)
        lines.append(
            "| {} | {} | {} | {} | {} |".format(
                LABELS[name],
                spread(values(results, name, "per_second"), whole),
                ratio,
                spread(values(results, name, "cpu_us"), short),
                broker,
            )
        )
    lines += [
        "",
        "*Forebay takes* is the median of the rounds' own ratios, not the ratio of the medians beside it. CPU is that of",
        "all processes of the program, user and system, from `/proc`.",
        "",
        "| latency, ms | alone, p50 | alone, p99 | at 70 %, p50 | at 70 %, p99 |",
        "|---|--:|--:|--:|--:|",
    ]
    keys = ("alone_p50_us", "alone_p99_us", "steady_p50_us", "steady_p99_us")
    for target in targets:
        cells = [spread(values(results, target.name, key), milliseconds) for key in keys]
        lines.append("| {} | {} |".format(LABELS[target.name], " | ".join(cells)))
    lines += [
        "",
        "*Alone* is one message in flight. *At 70 %* of the messages/s that the program showed in the same round, messages",
        "are sent by a timetable, and latency counts from the time in it.",
        "",
        "| | set up | in flight |",
        "|---|---|--:|",
    ]
    for target in targets:
        setting, count = about.best[target.name]
        lines.append("| {} | {} | {} |".format(LABELS[target.name], target.how.format(setting), count))
    lines += [
        "",
        "*In flight* is the number of messages, or of connections with a request on each. It is the one of three with which",
        "the program was fastest; so is the number of processes, where its documentation leaves that to the user. Before",
        "it is measured, each program's answers to 64 rows are compared with ONNX Runtime's in Python. The wheel that",
        "carries Triton has no backend for ONNX Runtime, so a model in Python runs it; what Triton does with its own",
        "backend is not measured here.",
        "",
    ]
    return "\n".join(lines)


STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .head { font-weight: 600; }
  .small { font-size: 11px; fill: #57606a; }
  .bar { fill: #8c959f; }
  .ours { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; } .bar { fill: #6e7681; } .ours { fill: #4493f8; }
  }
"""
WIDTH, LEFT, BAR, ROW, GAP = 860, 130, 560, 26, 44


def chart(targets: List[Target], results: Results) -> str:
    """Bars of messages/s, and of p99 at 70 % of them on a logarithmic scale."""
    rates = [(target.name, median(values(results, target.name, "per_second"))) for target in targets]
    tails = [(target.name, median(values(results, target.name, "steady_p99_us")) / 1e3) for target in targets]
    most = max(rate for _, rate in rates)
    least, longest = 0.1, max(10.0, max(tail for _, tail in tails))

    def on_logarithm(tail: float) -> float:
        return max(0.0, math.log(tail / least) / math.log(longest / least))

    height = 2 * (GAP + ROW * len(targets)) + 16
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img">'.format(WIDTH, height),
        "<title>messages per second of forebay and other programs, and their p99 at 70 % of that</title>",
        "<style>{}</style>".format(STYLE),
    ]
    top = panel(parts, 0, "messages/s", "more is better", rates, lambda rate: rate / most, whole)
    title = "p99 at 70 % of its own messages/s, ms"
    panel(parts, top, title, "less is better; logarithmic", tails, on_logarithm, short)
    parts.append("</svg>\n")
    return "\n".join(parts)


def panel(parts: List[str], top: int, title: str, hint: str, bars: list, part: Callable, show: Callable) -> int:
    """Adds a panel; gives where the next one begins."""
    parts.append('<text class="head" x="0" y="{}">{}</text>'.format(top + 20, title))
    parts.append('<text class="small" x="{}" y="{}">{}</text>'.format(len(title) * 8 + 16, top + 20, hint))
    y = top + GAP - 10
    for name, value in bars:
        kind = "bar ours" if name == "forebay" else "bar"
        width = max(2.0, part(value) * BAR)
        parts.append('<text x="0" y="{}">{}</text>'.format(y + 15, LABELS[name]))
        parts.append(
            '<rect class="{}" x="{}" y="{}" width="{:.1f}" height="{}" rx="2"/>'.format(kind, LEFT, y, width, ROW - 6)
        )
        parts.append('<text x="{:.1f}" y="{}">{}</text>'.format(LEFT + width + 8, y + 15, show(value)))
        y += ROW
    return y + 10
