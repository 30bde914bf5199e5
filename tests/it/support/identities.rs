//! Certificates, nkeys and JWTs, made by `tests/data/identities/make_identities.py`.

use std::path::{Path, PathBuf};

use super::server::NatsServer;

/// The path of an identity's file.
pub(crate) fn identity(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/identities")
        .join(file)
}

pub(crate) fn identity_text(file: &str) -> String {
    std::fs::read_to_string(identity(file)).expect("an identity")
}

/// A server that talks TLS only, and perhaps only with who has a certificate; `more` is more of its
/// configuration.
pub(crate) fn secure_server(client_certificates: bool, more: &str) -> NatsServer {
    NatsServer::with_config(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: {client_certificates} }}\n{more}",
        identity("server.pem").display(),
        identity("server-key.pem").display(),
        identity("ca.pem").display(),
    ))
}
