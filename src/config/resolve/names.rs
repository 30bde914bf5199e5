//! Names of results: those that are taken already, and those that are asked for too early.

use super::{Resolver, fields::Fields, known::Steps};
use crate::{
    config::{
        node::Span,
        raw::{At, Step},
        report::Report,
    },
    graph::formula::Formula,
};

impl Resolver<'_> {
    /// Whether a step's result can be called so.
    pub(super) fn check_name(
        &mut self,
        name: &str,
        span: &Span,
        fields: &Fields,
        steps: &Steps,
    ) -> Option<()> {
        self.check_letters(name, span)?;
        let field = fields.find(name).map(|_| "a field");
        let field = field.or_else(|| fields.holds(name).then_some("a state value"));
        let known = || {
            steps
                .is_known(name)
                .then_some("an output of an earlier step")
        };
        let Some(other) = field.or_else(known) else {
            return Some(());
        };
        self.report(
            Report::new(format!("there is {other} called `{name}` already"))
                .at(span, "this step's result would have the same name")
                .help("give it a name of its own: `output: NAME`"),
        );
        None
    }

    /// Elements are named in brackets, so a result is not.
    pub(super) fn check_letters(&mut self, name: &str, span: &Span) -> Option<()> {
        let fault = if name.trim().is_empty() {
            "the name of a result is empty".to_owned()
        } else if name.contains(['[', ']']) {
            format!("`{name}` cannot be the name of a result: brackets name its elements")
        } else {
            return Some(());
        };
        self.report(Report::new(fault).at(span, "").help("write `output: NAME`"));
        None
    }

    /// What is wrong with reading `name` at this place, where a step makes it, but not above.
    pub(super) fn too_early(&self, name: &str, span: &Span) -> Option<Report> {
        let steps = self.raw.steps.as_ref()?.value.as_slice();
        let reader = steps
            .iter()
            .rposition(|step| step.span().start <= span.start)?;
        let maker = makers(steps, name).find(|maker| *maker >= reader)?;
        if makers(steps, name).any(|maker| maker < reader) {
            return None;
        }
        if maker == reader {
            return Some(
                Report::new(format!("a step cannot read its own result `{name}`"))
                    .at(span, "")
                    .help("name a field, or an output of a step above"),
            );
        }
        let made = steps.get(maker).map(|step| {
            let output = step.value.output.as_ref();
            output.map_or_else(|| step.span(), At::span)
        });
        let own = steps.get(reader).map(made_by).unwrap_or_default();
        Some(match way(steps, maker, reader) {
            Some(between) => {
                let mut needs = vec![format!("`{own}` needs `{name}`")];
                let mut last = name.to_owned();
                for next in between {
                    needs.push(format!("`{last}` needs `{next}`"));
                    last = next;
                }
                Report::new(format!("the steps go in a circle: {}", needs.join(", ")))
                    .at(span, format!("`{name}` is not there yet"))
                    .also(&made.unwrap_or_default(), "it is made here")
                    .help("a step reads fields and what steps above it make: one of these must do without the other")
            }
            None => Report::new(format!("`{name}` is made by a step further down"))
                .at(span, "it is not there yet")
                .also(&made.unwrap_or_default(), "it is made here")
                .help("move that step above this one"),
        })
    }
}

/// An output of an earlier step.
pub(super) enum Earlier<'a> {
    /// By a model: `output` or `model.output`.
    Model { model: &'a str, output: &'a str },
    /// By another step: `output`, or `output.part` of several.
    Tensor(&'a str),
}

impl Earlier<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        let (whole, rest) = match self {
            Self::Model { model, output } => {
                let rest = name.strip_prefix(model);
                let rest = rest.and_then(|rest| rest.strip_prefix('.'));
                return name == *output || rest == Some(output);
            }
            Self::Tensor(output) => (name == *output, name.strip_prefix(output)),
        };
        whole || rest.is_some_and(|rest| rest.starts_with('.'))
    }
}

/// What the result of a step is called; where it runs a model, the run.
pub(super) fn made_by(step: &At<Step>) -> &str {
    let raw = &step.value;
    if let Some(model) = &raw.model {
        return raw.name.as_ref().map_or(&model.value, |name| &name.value);
    }
    if let Some(output) = &raw.output {
        return &output.value;
    }
    let formula = raw.formula.as_ref().map(|_| "formula");
    let host = || raw.host_steps().first().map(|(key, _)| *key);
    let tensor = || raw.tensor_steps().first().map(|(key, _)| *key);
    formula.or_else(host).or_else(tensor).unwrap_or_default()
}

/// Whether this step makes something of this name.
pub(super) fn makes(step: &At<Step>, name: &str) -> bool {
    let made = made_by(step);
    let rest = name.strip_prefix(made).filter(|_| !made.is_empty());
    rest.is_some_and(|rest| rest.starts_with('.') || rest.is_empty() && step.value.model.is_none())
}

fn makers(steps: &[At<Step>], name: &str) -> impl Iterator<Item = usize> {
    let makes = move |(at, step)| makes(step, name).then_some(at);
    steps.iter().enumerate().filter_map(makes)
}

/// Everything that a step reads.
pub(super) fn reads(raw: &Step) -> Vec<String> {
    let inputs = raw.inputs.iter().flat_map(|inputs| &inputs.value.0);
    let feeds = inputs.map(|(_, feed)| feed).chain(&raw.input);
    let mut names: Vec<String> = feeds
        .flat_map(|feed| &feed.value.0)
        .map(|name| name.value.clone())
        .collect();
    for text in raw.formula.iter().chain(&raw.when) {
        if let Ok(formula) = Formula::parse(&text.value) {
            names.extend(formula.names().into_iter().map(str::to_owned));
        }
    }
    names
}

/// The names by which a step comes to need another, directly or by steps between; the last is the
/// other's.
fn way(steps: &[At<Step>], from: usize, to: usize) -> Option<Vec<String>> {
    let mut seen = vec![from];
    let mut ways = std::collections::VecDeque::from([(from, Vec::new())]);
    while let Some((at, way)) = ways.pop_front() {
        for name in steps
            .get(at)
            .map(|step| reads(&step.value))
            .unwrap_or_default()
        {
            for maker in makers(steps, &name) {
                let mut way: Vec<String> = way.clone();
                way.push(name.clone());
                if maker == to {
                    return Some(way);
                }
                if !seen.contains(&maker) {
                    seen.push(maker);
                    ways.push_back((maker, way));
                }
            }
        }
    }
    None
}
