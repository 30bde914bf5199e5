//! Parts alone, in this process and on one thread: ONNX Runtime, and decoding.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;
use forebay::{
    block::{Column, Series, Table},
    contract::{Dtype, Field},
    decode::{Decode, json::JsonDecoder, tensor::TensorDecoder},
    engine::{ColumnRef, Engine, EngineSpec, InputSpec, ModelSource, OutputRef, StepSpec, cpu},
    message::Message,
};

use crate::{load::Payload, rows::FEATURES, targets::model};

const FOR: Duration = Duration::from_millis(300);

/// Seconds that decoding takes for each row of such messages.
pub(crate) fn decoding(payload: Payload) -> f64 {
    let vector = Field::new("X", Dtype::F32, vec![FEATURES]);
    let scalar = |n: usize| Field::new(format!("f{n}"), Dtype::F32, vec![]);
    let (mut decoder, fields): (Box<dyn Decode>, Vec<Field>) = match payload {
        Payload::Tensor => (
            Box::new(TensorDecoder::new(&vector, Dtype::F32)),
            vec![vector],
        ),
        Payload::Row | Payload::List => {
            let fields: Vec<Field> = (0..FEATURES).map(scalar).collect();
            (Box::new(JsonDecoder::new(&fields, &[])), fields)
        }
    };
    let messages: Vec<Message> = payload.all().into_iter().map(message).collect();
    let mut table = Table::for_fields(&fields);
    let (start, mut rows) = (Instant::now(), 0);
    while start.elapsed() < FOR {
        for message in &messages {
            table.truncate(0);
            let decoded = decoder.decode(message, &mut table).unwrap();
            rows += black_box(decoded).rows;
        }
    }
    start.elapsed().as_secs_f64() / rows as f64
}

fn message(payload: Bytes) -> Message {
    Message {
        subject: Bytes::from_static(b"bench.in"),
        ..Message::of(payload)
    }
}

/// ONNX Runtime at its best batch.
pub(crate) struct Best {
    pub(crate) rows_per_second: f64,
    pub(crate) batch: usize,
    pub(crate) one_row_us: f64,
}

/// The model alone, through the engine, at every batch size.
pub(crate) fn runtime() -> Best {
    cpu::library::init(None).unwrap();
    let field = Field::new("X", Dtype::F32, vec![FEATURES]);
    let spec = EngineSpec {
        steps: vec![StepSpec {
            source: ModelSource::file(model()),
            when: None,
            device: forebay::engine::Device::Cpu,
            accuracy: forebay::engine::Accuracy::default(),
            inputs: vec![InputSpec {
                columns: vec![ColumnRef::Field(0)],
                shape: vec![FEATURES],
            }],
        }],
        outputs: vec![OutputRef { step: 0, output: 0 }],
        max_rows: 4096,
        state: None,
    };
    let mut engine = cpu::CpuEngine::load(&spec, &[field]).unwrap();
    let mut best = Best {
        rows_per_second: 0.0,
        batch: 0,
        one_row_us: 0.0,
    };
    for batch in [1, 4, 16, 64, 128, 256, 512, 1024, 2048] {
        let values = (0..batch * FEATURES)
            .map(|n| (n % 17) as f32 / 9.0 - 1.0)
            .collect();
        let input = Table {
            rows: batch,
            series: vec![Series {
                values: Column::F32(values),
                shape: vec![FEATURES],
                present: None,
            }],
        };
        let mut output = Table::default();
        let (start, mut runs) = (Instant::now(), 0);
        while start.elapsed() < FOR {
            engine.run(&input, &mut output).unwrap();
            runs += 1;
        }
        let seconds = start.elapsed().as_secs_f64() / f64::from(runs);
        if batch == 1 {
            best.one_row_us = seconds * 1e6;
        }
        let rows_per_second = batch as f64 / seconds;
        if rows_per_second > best.rows_per_second {
            best = Best {
                rows_per_second,
                batch,
                ..best
            };
        }
    }
    best
}
