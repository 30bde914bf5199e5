//! Why a connection failed, in words that say what to do.

use std::{error::Error, io};

use async_nats::{
    ConnectErrorKind,
    rustls::{AlertDescription, CertificateError, Error as TlsError},
};

use super::options::plain;

fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        // An I/O error hides the error that it wraps from `source`.
        error
            .downcast_ref::<io::Error>()
            .and_then(|error| error.get_ref().map(|inner| inner as &(dyn Error + 'static)))
            .or_else(|| error.source())
    })
}

/// What is wrong with TLS, and what to do; `None` where it is something else.
pub(super) fn tls_cause(error: &async_nats::ConnectError) -> Option<String> {
    let tls = sources(error).find_map(|error| error.downcast_ref::<TlsError>());
    match (tls, error.kind()) {
        (Some(tls), _) => Some(tls_sentence(tls)),
        (None, ConnectErrorKind::Tls) => Some(format!(
            "{}; are the files of `tls` whole, and does the certificate fit its key?",
            cause(error)
        )),
        (None, _) => None,
    }
}

fn tls_sentence(error: &TlsError) -> String {
    match error {
        TlsError::InvalidMessage(_) => {
            format!("{error}; the server does not use TLS, or nothing there speaks NATS")
        }
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "nobody who is trusted has signed the server's certificate; name the file with the certificate of who did in `ca_file`".to_owned()
        }
        TlsError::InvalidCertificate(_) => {
            format!("{error}; the server needs another certificate, or `url` another name")
        }
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server wants a client certificate; name ours in `cert_file` and its key in `key_file`".to_owned()
        }
        TlsError::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::AccessDenied,
        ) => format!("{error}: the server does not accept our client certificate; check `cert_file`"),
        _ => format!(
            "{error}; does the server use TLS, and do `ca_file` and the client certificate fit it?"
        ),
    }
}

/// The innermost cause that says anything.
pub(super) fn cause(error: &async_nats::ConnectError) -> String {
    if error.kind() == ConnectErrorKind::Dns {
        return "the host's name is not known".to_owned();
    }
    sources(error)
        .find_map(|error| error.downcast_ref::<io::Error>())
        .map_or_else(|| error.to_string(), plain)
}
