//! From what is written to what it means. Goes on after a mistake, so that all are found at once;
//! there is a plan only when there was none.

mod batch;
mod built;
mod density;
mod encode;
mod fields;
mod finish;
mod formula;
mod golden;
mod group;
mod hosts;
mod known;
mod limits;
mod list;
mod models;
mod names;
mod order;
mod route;
mod script;
mod select;
mod server;
mod shape;
mod state;
mod steps;
mod tensor;
mod unfed;
mod units;
mod vocabulary;
mod when;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use self::script::{densities, model_plans, script};
use super::{
    plan::{Offline, Plan, Selection},
    raw::{At, FilePath, Pipeline},
    report::Report,
};
use crate::{
    engine::{ModelCatalog, ModelSource},
    graph::proto,
    message::InFlight,
};

/// Resolves one pipeline; `offline` where rows of files are to go through it.
pub(super) fn resolve(
    raw: &Pipeline,
    (file, text): (&Path, &str),
    offline: Option<&Offline>,
    catalog: &mut dyn ModelCatalog,
    reports: &mut Vec<Report>,
) -> Option<(Plan, Selection)> {
    let base = file.parent().unwrap_or(Path::new("")).to_owned();
    let mut resolver = Resolver {
        raw,
        text,
        base,
        catalog,
        read: HashMap::new(),
        offline,
        selection: Selection::default(),
        reports: Vec::new(),
    };
    let plan = resolver.plan(file);
    let (found, selection) = (resolver.reports, resolver.selection);
    let plan = plan.filter(|_| found.is_empty());
    assert!(
        plan.is_some() || !found.is_empty(),
        "no plan and no mistake: this is a bug"
    );
    reports.extend(found);
    Some((plan?, selection))
}

struct Resolver<'a> {
    raw: &'a Pipeline,
    /// The file as it is written.
    text: &'a str,
    /// The folder that paths are relative to.
    base: PathBuf,
    catalog: &'a mut dyn ModelCatalog,
    /// Models that were read to be put into a graph.
    read: HashMap<ModelSource, proto::Model>,
    /// What is wanted of an offline run, where this is one.
    offline: Option<&'a Offline>,
    /// What an offline run writes.
    selection: Selection,
    reports: Vec<Report>,
}

impl Resolver<'_> {
    fn plan(&mut self, file: &Path) -> Option<Plan> {
        let raw = self.raw;
        let routes = match self.offline {
            Some(_) => Some(route::Routes::nowhere()),
            None => self.routes(),
        };
        let (deadline, priority, cache) = (self.deadline(), self.priority(), self.cache());
        let models = self.models();
        let mut step_list = self.step_list(&models);
        let mut fields = self.fields(&step_list);
        let batch = self.batch(&fields);
        self.leave_out(&mut step_list, &fields);
        let mut steps = self.steps(&step_list, &fields);
        let order_by = self.order_by(&fields, &mut steps);
        let sources = self.state_sources(&fields, &mut steps);
        let encode = match self.offline {
            Some(offline) => self.select(offline, &steps, &fields),
            None => self.encode(&steps),
        };
        let written = encode.as_ref().map(|encode| encode.series.len());
        let wanted = encode.as_ref().map(|encode| encode.series.as_slice());
        // Without what is written, a graph would have no outputs.
        let whole = self.is_whole();
        steps.sound &= !whole || self.check_unused(&fields, &steps, wanted);
        steps.sound &= encode.is_some();
        let workers = self.workers(&step_list);
        let golden = self.offline.is_none().then(|| self.golden()).flatten();

        let wanted = wanted.unwrap_or_default().iter();
        let outputs: Vec<_> = wanted.chain(&sources).copied().collect();
        let finished = self.finish(steps, &outputs, batch.max_rows);
        let routes = routes?;
        let encode = encode?;
        self.keep_fields(&mut fields, encode.series.len());
        let (mut engine, step_plans) = finished?;
        let sources = engine.outputs.get(written?..).unwrap_or_default();
        let rows = fields.list.len() + encode.passed.len();
        engine.state = self.state(&fields, order_by.as_ref(), rows, sources);
        Some(Plan {
            name: raw.name.0.clone(),
            file: file.to_owned(),
            source: routes.source,
            decode: fields.decode?,
            fields: fields.list,
            hosts: fields.hosts,
            densities: densities(raw),
            passed: encode.passed,
            order_by,
            batch,
            deadline,
            priority,
            cache,
            planned: raw.capacity.as_ref().map(|capacity| capacity.planned.0),
            weight: raw.weight.0,
            in_flight: InFlight {
                messages: raw.max_in_flight.value.0,
                bytes: raw.max_in_flight_bytes.0,
            },
            engine,
            script: script(&step_list),
            models: model_plans(&step_list),
            steps: step_plans,
            outputs: encode.infos,
            workers,
            encode: encode.plan,
            sink: routes.sink,
            dead_letter: routes.dead_letter,
            golden,
            http: raw.http.as_ref().map(|http| http.listen.0),
            shutdown_grace: raw.shutdown_grace.0,
        })
    }

    fn report(&mut self, report: Report) {
        self.reports.push(report);
    }

    /// The path of a file that must be there.
    fn existing(&mut self, path: &At<FilePath>, what: &str) -> Option<PathBuf> {
        let full = self.base.join(&path.value.0);
        let fault = match full.metadata() {
            Ok(meta) if meta.is_dir() => "is a folder".to_owned(),
            Ok(_) => return Some(full),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                "does not exist".to_owned()
            }
            Err(error) => format!("cannot be read: {error}"),
        };
        self.report(
            Report::new(format!("the {what} `{}` {fault}", path.value.0))
                .at(&path.span(), "")
                .help("paths are relative to the folder of this file"),
        );
        None
    }
}
