//! The worker that somebody who knows Rust would write in an afternoon: async-nats, serde and ort on one thread. It takes
//! what is there, runs the model once over it, and publishes. Nothing is checked, nothing is measured, and the first
//! error ends it.

use async_nats::Subject;
use forebay::engine::cpu::library;
use futures_util::{FutureExt, StreamExt};
use ort::{session::Session, value::TensorRef};

use crate::{rows::FEATURES, targets::model};

/// Rows in a batch at most; 64 to 1024 were tried, and made no difference.
const MOST: usize = 256;

macro_rules! row {
    ($($name:ident)*) => {
        #[derive(serde::Deserialize)]
        struct Row { $($name: f32),* }

        impl Row {
            fn values(&self) -> [f32; FEATURES] {
                [$(self.$name),*]
            }
        }
    };
}
row!(f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16 f17 f18 f19 f20 f21 f22 f23 f24 f25 f26 f27 f28 f29);

#[derive(serde::Serialize)]
struct Answer {
    score: f32,
}

pub(crate) fn main(url: &str, input: &str, output: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work(url, input.to_owned(), Subject::from(output)));
}

async fn work(url: &str, input: String, output: Subject) {
    let environment = library::loaded().unwrap();
    let mut session = Session::builder(&environment)
        .unwrap()
        .with_intra_threads(1)
        .unwrap()
        .with_inter_threads(1)
        .unwrap()
        .commit_from_file(model())
        .unwrap();
    let client = async_nats::ConnectOptions::new()
        .subscription_capacity(1 << 20)
        .connect(url)
        .await
        .unwrap();
    let mut messages = client.subscribe(input).await.unwrap();
    let mut rows: Vec<f32> = Vec::with_capacity(MOST * FEATURES);
    while let Some(first) = messages.next().await {
        rows.clear();
        let mut next = Some(first);
        while let Some(message) = next {
            let row: Row = serde_json::from_slice(&message.payload).unwrap();
            rows.extend(row.values());
            let full = rows.len() == MOST * FEATURES;
            next = if full {
                None
            } else {
                messages.next().now_or_never().flatten()
            };
        }
        let shape = [rows.len() / FEATURES, FEATURES];
        let tensor = TensorRef::from_array_view((shape, rows.as_slice())).unwrap();
        let outputs = session.run(ort::inputs![tensor]).unwrap();
        let (_, scores) = outputs[0].try_extract_tensor::<f32>().unwrap();
        for score in scores {
            let answer = serde_json::to_vec(&Answer { score: *score }).unwrap();
            client.publish(output.clone(), answer.into()).await.unwrap();
        }
    }
}
