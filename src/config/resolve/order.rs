//! `order_by`: by what results are kept in order.

use super::{Resolver, fields::Fields, known::Steps};
use crate::{
    config::{
        node::Span,
        raw::{OrderKey, Sink},
        report::{Report, nearest},
    },
    contract::Dtype,
    decode::key::OrderBy,
};

impl Resolver<'_> {
    /// A field that is a key need not be fed to a model.
    pub(super) fn order_by(&mut self, fields: &Fields, steps: &mut Steps) -> Option<OrderBy> {
        let written = self.raw.order_by.as_ref()?;
        let span = written.span();
        // What is held for a key is seen in order, whoever gets the answers.
        if self.raw.state.is_none()
            && let Sink::Reply(_) = self.raw.sink.value
        {
            let report = Report::new("`order_by` has no meaning with `sink: reply`")
                .at(&span, "keeps results in order")
                .also(
                    &self.raw.sink.span(),
                    "each answer goes to a reply subject of its own",
                );
            self.report(report.help("leave `order_by` out, or use a sink with a subject"));
        }
        match &written.value {
            OrderKey::Token(number) if self.offline.is_some() && self.raw.state.is_some() => {
                self.report(
                    Report::new("the rows of a file have no subject by which something is held for them (`state`)")
                        .at(&span, format!("asks for token {number}"))
                        .help("name a field in `order_by` to run such a pipeline over files"),
                );
                None
            }
            OrderKey::Token(number) => {
                self.check_token(
                    *number,
                    &span,
                    "name a field, or leave `order_by` out where order does not matter",
                );
                Some(OrderBy::Token(number - 1))
            }
            OrderKey::Field(name) => {
                let used = fields.find(name);
                if let Some(used) = used.and_then(|series| steps.used.get_mut(series)) {
                    *used = true;
                }
                let series = self.order_field(name, &span, fields)?;
                Some(OrderBy::Field {
                    series,
                    name: name.clone(),
                })
            }
        }
    }

    fn order_field(&mut self, name: &str, span: &Span, fields: &Fields) -> Option<usize> {
        let Some(series) = fields.find(name) else {
            if fields.complete {
                let names = || fields.list.iter().map(|field| field.name.as_str());
                let report = Report::new(format!("there is no field `{name}` to order by"))
                    .at(span, "")
                    .maybe_help(nearest(name, names()))
                    .help(format!(
                        "add it to `fields`, for instance `{name}: {{ dtype: string }}`, or name a token of the subject: `\"{{2}}\"`"
                    ));
                self.report(report);
            }
            return None;
        };
        let field = &fields.list[series];
        let fault = match field.dtype {
            Dtype::F32 | Dtype::F64 => (
                "floats are rounded and may be NaN, so equal keys need not be equal values",
                "use a string or an integer",
            ),
            Dtype::Bytes => ("raw data is no key", "use a string or an integer"),
            _ if !field.shape.is_empty() => ("an array is no key", "use a field with one value"),
            _ => return Some(series),
        };
        let mut report = Report::new(format!(
            "results cannot be ordered by `{name}`: it is {}",
            match field.dtype {
                Dtype::F32 | Dtype::F64 => format!("a float ({})", field.dtype),
                Dtype::Bytes => "bytes".to_owned(),
                _ => "an array".to_owned(),
            }
        ))
        .at(span, fault.0);
        if let Some(Some(written)) = fields.spans.get(series) {
            report = report.also(written, "the field");
        }
        self.report(report.help(fault.1));
        None
    }
}
