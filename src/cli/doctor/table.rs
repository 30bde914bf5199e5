//! The table for people.

use super::{Finding, Status};

const INDENT: usize = 34;

/// The findings, part by part: what, found or not, version and where; below it what is wrong, what that costs, and
/// what to do.
pub(super) fn render(findings: &[Finding]) -> String {
    let mut text = String::new();
    let mut part = "";
    for finding in findings {
        if finding.part != part {
            part = finding.part;
            text += &format!("{part}\n");
        }
        let status = match finding.status {
            Status::Found => "yes",
            Status::Missing => "no",
            Status::Unusable => "unusable",
            Status::Low => "low",
        };
        let version = finding.version.as_deref().unwrap_or_default();
        let place = finding.path.as_ref().map(|path| path.display().to_string());
        let mut lines = vec![];
        // Of what is not there it says nothing.
        let details = (finding.details.clone()).filter(|_| finding.status != Status::Missing);
        lines.extend(place.or(details));
        lines.extend(finding.why.as_ref().map(|why| why.replace('\n', "\n    ")));
        lines.extend(
            finding
                .without
                .as_ref()
                .map(|without| format!("so {without}")),
        );
        lines.extend(finding.mend.as_ref().map(|mend| format!("mend it: {mend}")));
        let head = format!("  {:<14} {status:<9} {version:<7} ", finding.name);
        let margin = format!("\n{:INDENT$} ", "");
        let body = lines.join("\n").replace('\n', &margin);
        text += (head + &body).trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_stands_below_with_what_it_costs() {
        let findings = [
            Finding {
                details: Some("2 for this process, x86_64".to_owned()),
                ..Finding::found("machine", "cores")
            },
            Finding {
                version: Some("1.31.1".to_owned()),
                path: Some("/opt/lib/libonnxruntime.so".into()),
                ..Finding::found("models", "ONNX Runtime")
            },
            Finding {
                status: Status::Unusable,
                why: Some("the driver is too old".to_owned()),
                without: Some("models run on the CPU".to_owned()),
                mend: Some("install another".to_owned()),
                path: Some("/usr/lib/libcuda.so.1".into()),
                ..Finding::found("gpu", "CUDA driver")
            },
        ];
        insta::assert_snapshot!(render(&findings), @r"
        machine
          cores          yes               2 for this process, x86_64
        models
          ONNX Runtime   yes       1.31.1  /opt/lib/libonnxruntime.so
        gpu
          CUDA driver    unusable          /usr/lib/libcuda.so.1
                                           the driver is too old
                                           so models run on the CPU
                                           mend it: install another
        ");
    }
}
