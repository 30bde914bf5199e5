//! What a row costs, by how many rows wait and by how many columns it has: processor time of this thread, from payloads to
//! results, as a worker works on them. A batch comes in and a batch goes out while the others wait.

use std::{fs, time::Duration};

use bytes::{Bytes, BytesMut};
use forebay::{
    batch::{BatchPolicy, Queued, batcher::Batcher},
    block::Table,
    contract::{Dtype, Field},
    decode::{self, json::JsonDecoder},
    encode::{Encode, OutputField, json::JsonEncoder},
    engine::{ColumnRef, Engine, EngineSpec, InputSpec, ModelSource, OutputRef, StepSpec, cpu},
    graph,
    message::{Ack, Lane, Message},
};

use crate::{
    Finding, Plan,
    plot::{self, Panel},
    shapes::{self, Random},
    support::{Server, median, root},
};

/// Rows in a block and in a batch.
const ROWS: usize = 256;
const PENDING: [usize; 3] = [1, 1_000, 1_000_000];
const COLUMNS: [usize; 3] = [10, 100, 1_000];
/// Columns while the number of waiting rows changes, and rows that wait while the number of columns does.
const USUAL: (usize, usize) = (30, 1_000);
/// The dearest may cost so many times as much as the cheapest to be flat. A million rows are in no cache: taking them out
/// reads memory.
const FLAT: f64 = 1.5;
/// A column may cost so many times as much in wide rows as in narrow ones, or as little, to be linear.
const LINEAR: f64 = 1.5;

pub(crate) fn run(server: &Server, plan: Plan) -> Vec<Finding> {
    cpu::library::init(None).unwrap();
    let rounds = plan.rounds.min(3);
    let (narrow, few) = USUAL;
    let by_pending = PENDING.map(|pending| measure(server, narrow, pending, rounds));
    let by_columns = COLUMNS.map(|columns| measure(server, columns, few, rounds));
    println!(
        "Processor time of a row, from JSON to JSON through a small MLP, in batches of {ROWS} rows:\n"
    );
    println!("| rows that wait, {narrow} columns | µs a row |\n|--:|--:|");
    for (pending, cost) in PENDING.iter().zip(by_pending) {
        println!("| {pending} | {cost:.2} |");
    }
    println!("\n| columns, {few} rows wait | µs a row | ns a column more |\n|--:|--:|--:|");
    let slopes = slopes(by_columns);
    for (at, cost) in by_columns.into_iter().enumerate() {
        let slope = at
            .checked_sub(1)
            .map(|at| format!("{:.0}", slopes[at] * 1e3));
        println!(
            "| {} | {cost:.2} | {} |",
            COLUMNS[at],
            slope.unwrap_or_default()
        );
    }
    println!();
    let panels = [
        Panel {
            title: "µs a row, by rows that wait",
            points: PENDING.iter().copied().zip(by_pending).collect(),
            logarithmic: false,
        },
        Panel {
            title: "µs a row, by columns",
            points: COLUMNS.iter().copied().zip(by_columns).collect(),
            logarithmic: true,
        },
    ];
    let file = root().join("docs/limits.svg");
    fs::write(&file, plot::svg(&panels)).unwrap();
    let spread = by_pending.iter().copied().fold(0.0, f64::max)
        / by_pending.iter().copied().fold(f64::INFINITY, f64::min);
    let bend = slopes[1] / slopes[0];
    vec![
        Finding {
            what: "a row while 1 to 1,000,000 wait: dearest of cheapest".to_owned(),
            found: format!("{spread:.2}"),
            wanted: "≤ 1.5",
            holds: spread <= FLAT,
            must: true,
        },
        Finding {
            what: "a column more in rows of 100 to 1,000: of one in rows of 10 to 100".to_owned(),
            found: format!("{bend:.2}"),
            wanted: "0.67 to 1.5",
            holds: (1.0 / LINEAR..=LINEAR).contains(&bend),
            must: true,
        },
    ]
}

/// What a column more costs, from one number of columns to the next.
fn slopes(costs: [f64; 3]) -> [f64; 2] {
    [0, 1].map(|at| {
        let more = (COLUMNS[at + 1] - COLUMNS[at]) as f64;
        (costs[at + 1] - costs[at]) / more
    })
}

/// Microseconds a row: the median of the rounds.
fn measure(server: &Server, columns: usize, pending: usize, rounds: usize) -> f64 {
    let mut line = Line::new(server, columns);
    line.fill(pending);
    // About half a second for each round.
    let batches = 50_000 / (columns + 10);
    line.turn(batches / 4 + 1);
    let mut costs: Vec<f64> = (0..rounds)
        .map(|_| {
            let before = processor();
            line.turn(batches);
            processor().saturating_sub(before).as_secs_f64() * 1e6 / (batches * ROWS) as f64
        })
        .collect();
    median(&mut costs)
}

/// What this thread has used, as the scheduler counts it.
fn processor() -> Duration {
    // Let it be counted up to now.
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let first = text.split_whitespace().next().unwrap();
    Duration::from_nanos(first.parse().unwrap())
}

/// A worker's work without threads and channels.
struct Line {
    payloads: Vec<Bytes>,
    decoder: JsonDecoder,
    empty: Table,
    batcher: Batcher,
    engine: cpu::CpuEngine,
    output: Table,
    encoder: JsonEncoder,
    into: BytesMut,
}

impl Line {
    fn new(server: &Server, columns: usize) -> Self {
        let file = server.dir.join(format!("mlp{columns}.onnx"));
        graph::write(&shapes::mlp(&[columns, 16, 1]), &file).unwrap();
        let names = (0..columns).map(|field| format!("f{field}"));
        let fields: Vec<Field> = names
            .map(|name| Field::new(name, Dtype::F32, vec![]))
            .collect();
        let mut random = Random::new(9);
        let payloads = (0..ROWS).map(|_| {
            let row: Vec<String> = (0..columns)
                .map(|field| format!("\"f{field}\":{:.6}", random.number()))
                .collect();
            Bytes::from(format!("{{{}}}", row.join(",")))
        });
        let spec = EngineSpec {
            steps: vec![StepSpec {
                source: ModelSource::file(file),
                when: None,
                device: forebay::engine::Device::Cpu,
                accuracy: forebay::engine::Accuracy::default(),
                inputs: vec![InputSpec {
                    columns: (0..columns).map(ColumnRef::Field).collect(),
                    shape: vec![columns],
                }],
            }],
            outputs: vec![OutputRef { step: 0, output: 0 }],
            max_rows: ROWS,
            state: None,
        };
        let score = OutputField {
            key: "score".to_owned(),
            series: 0,
            element: Some(0),
            labels: None,
        };
        Self {
            payloads: payloads.collect(),
            decoder: JsonDecoder::new(&fields, &[]),
            empty: Table::for_fields(&fields),
            batcher: Batcher::new(BatchPolicy::new(ROWS, Duration::ZERO)),
            engine: cpu::CpuEngine::load(&spec, &fields).unwrap(),
            output: Table::default(),
            encoder: JsonEncoder::new(&[], vec![score]),
            into: BytesMut::new(),
        }
    }

    /// Lets rows in, which stay.
    fn fill(&mut self, rows: usize) {
        let mut left = rows;
        while left > 0 {
            let now = left.min(ROWS);
            self.come(now);
            left -= now;
        }
    }

    fn come(&mut self, rows: usize) {
        let messages = self.payloads.iter().take(rows).map(|payload| Message {
            subject: Bytes::from_static(b"rows.in"),
            reply: None,
            // Each message has memory of its own, as what was read has.
            payload: Bytes::copy_from_slice(payload),
            headers: None,
            position: None,
            received: std::time::Instant::now(),
            ack: Ack::none(),
        });
        let table = self.empty.spare_like();
        let rejected = |_: Message, reject| panic!("a good row was rejected: {reject:?}");
        let block = decode::block(
            &mut self.decoder,
            messages,
            table,
            |_, _, _| Ok(()),
            rejected,
        );
        self.batcher.push(Queued {
            block,
            since: std::time::Instant::now(),
        });
    }

    /// So many batches come in and go out.
    fn turn(&mut self, batches: usize) {
        for _ in 0..batches {
            self.come(ROWS);
            let mut rows = 0;
            while rows < ROWS {
                rows += self.go();
            }
        }
    }

    /// Runs the next batch and writes its results; gives its rows.
    fn go(&mut self) -> usize {
        let now = std::time::Instant::now();
        let block = self.batcher.take(Lane::First, now).unwrap().block;
        self.engine.run(&block.table, &mut self.output).unwrap();
        self.into.clear();
        for (row, record) in block.records.iter().enumerate() {
            let rows = row..row + 1;
            let written =
                self.encoder
                    .encode(record, rows, &block.table, &self.output, &mut self.into);
            assert!(written.is_ok(), "{written:?}");
        }
        let rows = block.table.rows;
        block.table.keep_memory();
        rows
    }
}
