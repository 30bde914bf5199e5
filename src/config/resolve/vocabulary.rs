//! Whether a tokenizer is that of the model that its ids feed.

use super::{
    Resolver,
    fields::Fields,
    finish::read,
    known::Column,
    list::{HostItem, ModelItem},
};
use crate::{
    config::{node::Span, report::Report},
    engine::{ColumnRef, InputInfo},
    graph,
};

/// A field of token ids.
pub(super) struct Ids {
    /// Its place among the fields.
    pub(super) field: usize,
    /// The highest id that a row can have.
    pub(super) highest: u32,
    /// Where the step that makes it is written.
    pub(super) span: Span,
}

impl Resolver<'_> {
    /// Ids must be places in the model's table of embeddings, where it can be found.
    pub(super) fn check_vocabulary(
        &mut self,
        step: &ModelItem<'_>,
        input: &InputInfo,
        columns: &[Column],
        span: &Span,
        fields: &Fields,
    ) -> Option<()> {
        let [
            Column {
                place: ColumnRef::Field(place),
                ..
            },
        ] = columns
        else {
            return Some(());
        };
        let Some(ids) = fields.ids.iter().find(|ids| ids.field == *place) else {
            return Some(());
        };
        let source = &step.opened?.source;
        // What cannot be read is reported by whoever needs it.
        let rows = match self.joinable(source) {
            Ok(model) => graph::hints::embeddings(model, &input.name),
            Err(_) => read(source)
                .ok()
                .and_then(|model| graph::hints::embeddings(&model, &input.name)),
        };
        let highest = usize::try_from(ids.highest).unwrap_or(usize::MAX);
        let Some(rows) = rows.filter(|rows| *rows <= highest) else {
            return Some(());
        };
        self.report(
            Report::new(format!(
                "the tokenizer gives ids up to {highest}, and the model `{}` has embeddings for 0 to {} only",
                step.name,
                rows.saturating_sub(1)
            ))
            .at(span, "")
            .also(&ids.span, "this tokenizer is another model's")
            .help("take the tokenizer.json that lies beside the model"),
        );
        None
    }

    /// Notes the ids that a step makes.
    pub(super) fn note_ids(
        highest: Option<u32>,
        host: &HostItem<'_>,
        field: usize,
        fields: &mut Fields,
    ) {
        if let Some(highest) = highest {
            let span = host.output_span.clone();
            fields.ids.push(Ids {
                field,
                highest,
                span,
            });
        }
    }
}
