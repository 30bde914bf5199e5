//! The rows that are sent: 30 numbers as a JSON object, the same in each run.

use crate::wire::FIRST_NUMBER;

const ROWS: usize = 997;
/// Numbers in a row.
pub(crate) const FEATURES: usize = 30;

/// 30 features in each row, with six digits behind the point, as a sender might print them.
pub(crate) fn values() -> Vec<Vec<String>> {
    let mut state = 42_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let value = (state >> 40) as f64 / f64::from(1 << 22) - 2.0;
        format!("{value:.6}")
    };
    (0..ROWS)
        .map(|_| (0..FEATURES).map(|_| next()).collect())
        .collect()
}

/// Rows as JSON objects with an id, to be sent over NATS again and again under other ids.
pub(crate) fn numbered() -> Vec<Vec<u8>> {
    let rows = values().into_iter();
    rows.map(|row| object(&row, Some(FIRST_NUMBER))).collect()
}

pub(crate) fn object(row: &[String], id: Option<u64>) -> Vec<u8> {
    let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
    let fields = row.iter().enumerate();
    let fields: Vec<String> = fields.map(|(n, v)| format!("\"f{n}\":{v}")).collect();
    format!("{{{id}{}}}", fields.join(",")).into_bytes()
}

/// The rows as JSON objects.
pub(crate) fn objects() -> Vec<Vec<u8>> {
    values().iter().map(|row| object(row, None)).collect()
}
