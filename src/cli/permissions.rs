//! `forebay check --permissions FILE…`: what to allow, ready for a server's configuration.

use crate::pipeline::permissions::{Allow, Need, Permissions};

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
        "# What {} must be allowed at {}\n# for {}; goes into the user's entry in the server's configuration.\npermissions: {{\n",
        user.user,
        user.server,
        user.pipelines.join(", ")
    );
    for (verb, subjects) in [("publish", &user.publish), ("subscribe", &user.subscribe)] {
        text += &format!("  {verb}: {{\n");
        if subjects.iter().all(|allow| allow.need == Need::OfUse) {
            text += "    deny: \">\"\n";
        } else {
            text += "    allow: [\n";
            let (of_use, needed): (Vec<_>, Vec<_>) =
                subjects.iter().partition(|allow| allow.need == Need::OfUse);
            for allow in needed.into_iter().chain(of_use) {
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
        need,
    } = allow;
    if *need == Need::OfUse {
        format!("      # optional: {purpose}\n      # \"{subject}\"\n")
    } else {
        format!("      # {purpose}\n      \"{subject}\"\n")
    }
}
