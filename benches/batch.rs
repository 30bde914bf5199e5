//! What it costs to form batches: blocks pushed, merged and cut.
//!
//! `cargo bench --bench batch`. On a 2-core x86-64 VM a batch of 256 one-row messages with 30
//! columns, formed of blocks of 16, takes about as long as copying its columns.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use forebay::{
    batch::{BatchPolicy, Queued, batcher::Batcher},
    block::{Block, Column, Layout, Record, Series, Table},
    message::{Ack, Lane, Message},
};

const COLUMNS: usize = 30;
/// Of a block of messages with many rows each.
const ROWS: usize = 64 * 256;

fn block(messages: usize) -> Queued {
    let now = Instant::now();
    let record = || Record {
        message: Message {
            subject: Bytes::from_static(b"rows.in"),
            reply: None,
            payload: Bytes::from_static(b"{}"),
            headers: None,
            position: None,
            received: now,
            ack: Ack::none(),
        },
        rows: 1,
        layout: Layout::One,
    };
    let series = || Series {
        values: Column::F32(vec![1.0; messages]),
        shape: vec![],
        present: None,
    };
    Queued {
        block: Block {
            records: std::iter::repeat_with(record).take(messages).collect(),
            table: Table {
                rows: messages,
                series: std::iter::repeat_with(series).take(COLUMNS).collect(),
            },
        },
        since: now,
    }
}

fn batches(criterion: &mut Criterion) {
    let policy = BatchPolicy::new(256, Duration::ZERO);
    let mut group = criterion.benchmark_group("batch of 256 rows, 30 columns");
    group.throughput(Throughput::Elements(256));
    for size in [1, 16, 100, 256] {
        group.bench_function(format!("blocks of {size}"), |bencher| {
            bencher.iter_batched(
                || (0..256_usize.div_ceil(size)).map(|_| block(size)).collect(),
                |blocks: Vec<Queued>| {
                    let mut batcher = Batcher::new(policy);
                    for block in blocks {
                        batcher.push(block);
                    }
                    black_box(batcher.take(Lane::First, std::time::Instant::now()))
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("batches of 256 rows, 30 columns");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("out of one block of 64 batches", |bencher| {
        bencher.iter_batched(
            || block(ROWS),
            |block| {
                let mut batcher = Batcher::new(policy);
                batcher.push(block);
                while let Some(batch) = batcher.take(Lane::First, std::time::Instant::now()) {
                    black_box(batch);
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(all, batches);
criterion_main!(all);
