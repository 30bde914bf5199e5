//! Pipeline files that are right alone and wrong together.

use crate::config_files::{SERVERS, load, two_columns};
use forebay::config::{self, Plan, plan::SourcePlan};

fn plan(yaml: &str) -> Plan {
    load(yaml).unwrap_or_else(|errors| panic!("{errors}"))
}

const AB: &str = "{ a: {}, b: {} }";

#[test]
fn pipelines_in_one_process_have_different_names() {
    let (a, mut b) = (plan(&two_columns(AB, "")), plan(&two_columns(AB, "")));
    let errors = config::check_together(&[a.clone(), b.clone()]).expect_err("the same name");
    insta::assert_snapshot!(errors);
    b.name = "other".to_owned();
    assert_eq!(config::check_together(&[a, b]), Ok(()));
}

#[test]
fn pipelines_in_one_process_have_consumers_of_their_own() {
    let (a, mut b) = (plan(SERVERS), plan(SERVERS));
    b.name = "other".to_owned();
    b.file = "pipelines/other.yaml".into();
    let errors = config::check_together(&[a.clone(), b.clone()]).expect_err("the same consumer");
    insta::assert_snapshot!(errors);
    if let SourcePlan::JetStream(_, options) = &mut b.source {
        options.consumer = "d".to_owned();
    }
    assert_eq!(config::check_together(&[a, b]), Ok(()));
}
