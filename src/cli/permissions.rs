//! `forebay check --permissions FILE…`: what to allow, ready for a server's configuration.

use crate::pipeline::permissions::{Allow, Permissions};

/// The blocks for all users, each with its heading.
pub(super) fn render(users: &[Permissions]) -> String {
    if users.is_empty() {
        return "# No pipeline here uses a NATS server.\n".to_owned();
    }
    let blocks: Vec<String> = users.iter().map(block).collect();
    blocks.join("\n")
}

fn block(user: &Permissions) -> String {
    let mut text = format!(
        "# What {} must be allowed at {}\n# for the pipeline {}; goes into the user's entry in the server's configuration.\npermissions: {{\n",
        user.user,
        user.server,
        user.pipelines.join(", ")
    );
    for (verb, subjects) in [("publish", &user.publish), ("subscribe", &user.subscribe)] {
        text += &format!("  {verb}: {{\n");
        if subjects.iter().all(|allow| allow.optional) {
            text += "    deny: \">\"\n";
        } else {
            text += "    allow: [\n";
            for allow in subjects.iter().filter(|allow| !allow.optional) {
                text += &entry(allow);
            }
            for allow in subjects.iter().filter(|allow| allow.optional) {
                text += &entry(allow);
            }
            text += "    ]\n";
        }
        text += "  }\n";
    }
    text + "}\n"
}

fn entry(allow: &Allow) -> String {
    let Allow {
        subject,
        purpose,
        optional,
    } = allow;
    if *optional {
        format!("      # optional: {purpose}\n      # \"{subject}\"\n")
    } else {
        format!("      # {purpose}\n      \"{subject}\"\n")
    }
}
