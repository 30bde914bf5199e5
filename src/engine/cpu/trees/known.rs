//! Trees that some session has, so that the next worker need not make and try them again, and all share their memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use prost::Message as _;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::{meaning::Meaning, tried::tried};
use crate::{
    engine::cpu::library,
    graph::proto::{Model, Node},
};

type Key = [u8; SHA256_OUTPUT_LEN];

/// What became of a node; `None` where ONNX Runtime keeps it.
static KNOWN: Mutex<Option<HashMap<Key, Option<Weak<Meaning>>>>> = Mutex::new(None);

/// The trees of a node of `model`, where forebay walks them: it reads them, and gives what ONNX Runtime gives.
pub(super) fn known(node: &Node, model: &Model) -> Option<Arc<Meaning>> {
    let key: Key = (digest(&SHA256, &node.encode_to_vec()).as_ref())
        .try_into()
        .ok()?;
    // Without it there is nothing to compare with, and no session either.
    library::loaded().ok()?;
    // Whoever comes second waits for the first.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    known.retain(|_, held| (held.as_ref()).is_none_or(|held| held.strong_count() > 0));
    match known.get(&key).map(|held| held.as_ref().map(Weak::upgrade)) {
        Some(None) => return None,
        Some(Some(Some(meaning))) => return Some(meaning),
        Some(Some(None)) | None => {}
    }
    let found = Meaning::of(node).and_then(|meaning| {
        let meaning = Arc::new(meaning);
        tried(node, model, &meaning).map(|()| meaning)
    });
    match found {
        Ok(meaning) => {
            tracing::debug!(
                node = %node.name,
                trees = meaning.finish.trees,
                "forebay walks its trees"
            );
            known.insert(key, Some(Arc::downgrade(&meaning)));
            Some(meaning)
        }
        Err(why) => {
            tracing::debug!(node = %node.name, "ONNX Runtime walks its trees: {why}");
            known.insert(key, None);
            None
        }
    }
}
