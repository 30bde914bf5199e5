//! After a few batches nothing on a worker's way allocates for a message: what is allocated is allocated for a block or a
//! batch, however many messages it has. A test of its own, since it counts the allocations of its whole process.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that goes wrong"
)]

#[path = "../benches/jetstream/allocations.rs"]
mod allocations;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use forebay::{
    batch::{BatchPolicy, Queued, batcher::Batcher},
    block::{Block, Table},
    contract::{Dtype, Field},
    decode::{self, Decode, json::JsonDecoder, msgpack::MsgpackDecoder},
    encode::{Encode, OutputField, json::JsonEncoder},
    engine::{ColumnRef, Engine, EngineSpec, InputSpec, ModelSource, OutputRef, StepSpec, cpu},
    message::{Lane, Message},
};

const FIELDS: usize = 30;

/// The message with the row of this number.
type Payload = fn(usize) -> Bytes;

/// What was allocated, stage by stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    decode: u64,
    batch: u64,
    engine: u64,
    encode: u64,
}

struct Path30 {
    decoder: Box<dyn Decode>,
    empty: Table,
    batcher: Batcher,
    engine: cpu::CpuEngine,
    output: Table,
    encoder: JsonEncoder,
    bytes_last: usize,
}

impl Path30 {
    fn new(decoder: impl FnOnce(&[Field]) -> Box<dyn Decode>) -> Self {
        cpu::library::init(None).unwrap();
        let fields: Vec<Field> = (0..FIELDS)
            .map(|n| Field::new(format!("f{n}"), Dtype::F32, vec![]))
            .collect();
        let model =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models/mlp30/model.onnx");
        let spec = EngineSpec {
            steps: vec![StepSpec {
                source: ModelSource::file(model),
                when: None,
                device: forebay::engine::Device::Cpu,
                accuracy: forebay::engine::Accuracy::default(),
                inputs: vec![InputSpec {
                    columns: (0..FIELDS).map(ColumnRef::Field).collect(),
                    shape: vec![FIELDS],
                }],
            }],
            outputs: vec![OutputRef { step: 0, output: 0 }],
            max_rows: 1024,
            state: None,
        };
        let score = OutputField {
            key: "score".into(),
            series: 0,
            element: None,
            labels: None,
        };
        Self {
            decoder: decoder(&fields),
            empty: Table::for_fields(&fields),
            batcher: Batcher::new(BatchPolicy::new(1024, Duration::ZERO)),
            engine: cpu::CpuEngine::load(&spec, &fields).unwrap(),
            output: Table::default(),
            encoder: JsonEncoder::new(&[], vec![score]),
            bytes_last: 0,
        }
    }

    /// Two blocks become a batch, as in a worker.
    fn round(&mut self, payloads: &[Bytes]) -> Counts {
        let messages = || -> Vec<Message> { payloads.iter().cloned().map(message).collect() };
        let (first, second) = (messages(), messages());
        let (blocks, decode) = allocations::during(|| [first, second].map(|raw| self.decode(raw)));
        let (block, batch) = allocations::during(|| {
            for block in blocks {
                self.batcher.push(Queued {
                    block,
                    since: Instant::now(),
                });
            }
            self.batcher
                .take(Lane::First, Instant::now())
                .unwrap()
                .block
        });
        assert_eq!(block.rows(), 2 * payloads.len());
        let (ran, engine) = allocations::during(|| self.engine.run(&block.table, &mut self.output));
        ran.unwrap();
        let (results, encode) = allocations::during(|| self.encode(block));
        assert!(results.starts_with(b"{\"score\":"), "{results:?}");
        Counts {
            decode,
            batch,
            engine,
            encode,
        }
    }

    fn decode(&mut self, raw: Vec<Message>) -> Block {
        let table = self.empty.spare_like();
        decode::block(
            &mut *self.decoder,
            raw,
            table,
            |_, _, _| Ok(()),
            |_, why| panic!("{why}"),
        )
    }

    fn encode(&mut self, Block { records, table }: Block) -> Bytes {
        let mut buffer = BytesMut::with_capacity(self.bytes_last * 2);
        let (mut first, mut bytes) = (None, 0);
        for (row, record) in records.into_iter().enumerate() {
            let encoder = &mut self.encoder;
            encoder
                .encode(&record, row..row + 1, &table, &self.output, &mut buffer)
                .unwrap();
            let payload = buffer.split().freeze();
            bytes += payload.len();
            first.get_or_insert(payload);
        }
        table.keep_memory();
        self.bytes_last = bytes;
        first.unwrap()
    }
}

fn message(payload: Bytes) -> Message {
    Message {
        subject: Bytes::from_static(b"rows.in"),
        ..Message::of(payload)
    }
}

fn json(row: usize) -> Bytes {
    let pairs: Vec<String> = (0..FIELDS)
        .map(|n| format!("\"f{n}\":{:.6}", (row * 31 + n) as f64 / 97.0 - 1.0))
        .collect();
    format!("{{{}}}", pairs.join(",")).into()
}

fn msgpack(row: usize) -> Bytes {
    let pairs: std::collections::BTreeMap<String, f64> = (0..FIELDS)
        .map(|n| (format!("f{n}"), (row * 31 + n) as f64 / 97.0 - 1.0))
        .collect();
    rmp_serde::to_vec(&pairs).unwrap().into()
}

/// One test, or their allocations would be counted together.
#[test]
fn nothing_is_allocated_for_a_message() {
    let both: [(_, Payload); 2] = [
        (
            Path30::new(|fields| Box::new(JsonDecoder::new(fields, &[]))),
            json,
        ),
        (
            Path30::new(|fields| Box::new(MsgpackDecoder::new(fields, &[]))),
            msgpack,
        ),
    ];
    for (mut path, payload) in both {
        let counts = [16, 256].map(|messages| {
            let payloads: Vec<Bytes> = (0..messages).map(payload).collect();
            for _ in 0..4 {
                path.round(&payloads);
            }
            path.round(&payloads)
        });
        assert_eq!(counts[0], counts[1], "16 messages in a block, and 256");
        let Counts {
            decode,
            batch,
            engine,
            encode,
        } = counts[1];
        // For each of two blocks the list of its records; for the batch, the pieces of each block and the list of both
        // blocks' records; the run's lists of inputs and outputs; the results' buffer and what counts its users.
        assert!(
            decode <= 2 && batch <= 6 && engine <= 24 && encode <= 2,
            "{counts:?}"
        );
    }
}
