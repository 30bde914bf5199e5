//! Where to send, from the command line or from the pipeline that will read it.

use super::{Args, TensorField, row::RowForm};
use crate::{
    cli::{Exit, Failure, Globals, plans},
    config::{
        Plan,
        plan::{DecodePlan, SourcePlan},
    },
    contract::Dtype,
    nats::ServerOptions,
};

/// A server, and the form of what it gets.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) server: ServerOptions,
    pub(super) form: RowForm,
    /// Each file is one message.
    pub(super) whole: bool,
}

impl Target {
    /// What the command line says; what it leaves out, the pipeline.
    ///
    /// # Errors
    /// The pipeline file is wrong, or has no answer.
    pub(super) fn of(args: &Args, globals: &Globals) -> Result<Self, Failure> {
        if let Some(file) = &args.pipeline {
            let plans = plans::load(std::slice::from_ref(file), globals)?;
            let plan = plans
                .first()
                .ok_or_else(|| Failure::new(Exit::Bug, "one file has no plan: this is a bug"))?;
            return Self::from_plan(plan, args);
        }
        let subject = args.subject.clone().ok_or_else(|| {
            Failure::new(Exit::Usage, "say where to publish: --subject or --pipeline")
        })?;
        Ok(Self {
            server: args.server.options()?,
            form: RowForm {
                subject,
                tensor: args.tensor.clone(),
            },
            whole: args.whole,
        })
    }

    fn from_plan(plan: &Plan, args: &Args) -> Result<Self, Failure> {
        let file = plan.file.display();
        let (server, listens) = match &plan.source {
            SourcePlan::Nats(server, options) => (server, Some(&options.subject)),
            SourcePlan::JetStream(server, options) => (server, options.filter_subject.as_ref()),
            SourcePlan::File(_) => {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("{file} reads a file: nothing can be sent to it"),
                ));
            }
        };
        let subject = match (args.subject.clone(), listens) {
            (Some(subject), _) => subject,
            (None, Some(listens)) => listens.parse().map_err(|_| {
                Failure::new(
                    Exit::Usage,
                    format!("{file} listens to `{listens}`; say with --subject which of these subjects to publish on"),
                )
            })?,
            (None, None) => {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("{file} reads a whole stream; say with --subject where to publish"),
                ));
            }
        };
        // The lines of a picture are none; those of a text may each be a message.
        let file = (plan.fields.iter())
            .find(|field| !field.derived)
            .is_some_and(|field| field.dtype == Dtype::Bytes);
        let whole =
            args.whole || (plan.decode == DecodePlan::Bytes && file && args.tensor.is_none());
        let tensor = match (&plan.decode, args.tensor.clone()) {
            _ if whole => None,
            (DecodePlan::Tensor { dtype, .. }, tensor) => {
                let field = plan.fields.first().map(|field| field.name.clone());
                let (field, said) = match tensor {
                    Some(tensor) => (Some(tensor.field), tensor.dtype),
                    None => (field, None),
                };
                field.map(|field| TensorField {
                    field,
                    dtype: said.or(Some(*dtype)),
                })
            }
            (_, tensor) => tensor,
        };
        Ok(Self {
            server: server.clone(),
            form: RowForm { subject, tensor },
            whole,
        })
    }
}
