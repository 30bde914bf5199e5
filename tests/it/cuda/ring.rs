//! A small model of the engine's hot path, for the tests of the device layer: slots in a ring, three streams, events
//! between them, and a graph of two kernels for each slot.

use forebay::engine::cuda::device::{
    Argument, Caching, CudaError, Device, Event, Function, Graph, Launch, Memory, Module, Pinned,
    Priority, Stream,
};

/// Any fat binary: the fake has its kernels compiled in. Magic, version, the header's size, and no body.
pub(super) const IMAGE: [u8; 16] = [0x50, 0xED, 0x55, 0xBA, 1, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0];

const ROWS: usize = 37;
const COLUMNS: usize = 11;
const BYTES: usize = ROWS * COLUMNS * 4;

/// The arguments of the kernel `move` (`kernels/args.cuh`): from and to, then how to walk.
pub(super) fn move_args(size: [i32; 2], from: [i64; 2], to: [i64; 2]) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes.extend(i64::from(size[0] * size[1]).to_le_bytes());
    bytes.extend(2_i32.to_le_bytes());
    bytes.extend(4_i32.to_le_bytes());
    for size in [size[0], size[1], 0, 0, 0, 0] {
        bytes.extend(size.to_le_bytes());
    }
    for strides in [from, to] {
        for stride in [strides[0], strides[1], 0, 0, 0, 0] {
            bytes.extend(stride.to_le_bytes());
        }
    }
    bytes
}

/// Queues `move` over `rows` by `columns` elements of four bytes.
pub(super) fn transpose(
    stream: &Stream,
    function: &Function,
    [rows, columns]: [usize; 2],
    from: &Memory,
    to: &Memory,
) -> Result<(), CudaError> {
    let (rows, columns) = (
        i32::try_from(rows).unwrap(),
        i32::try_from(columns).unwrap(),
    );
    let params = move_args([rows, columns], [columns.into(), 1], [1, rows.into()]);
    let argument = |at, memory| Argument {
        at,
        memory,
        offset: 0,
    };
    stream.launch(&Launch {
        function,
        grid: [2, 1, 1],
        block: [64, 1, 1],
        shared: 0,
        params: &params,
        arguments: &[argument(0, from), argument(8, to)],
    })
}

struct Slot {
    graph: Graph,
    input: Pinned,
    output: Pinned,
    x: Memory,
    y: Memory,
    up: Event,
    done: Event,
    down: Event,
    job: Option<u32>,
}

pub(super) struct Ring {
    slots: Vec<Slot>,
    up: Stream,
    compute: Stream,
    down: Stream,
    _module: Module,
}

fn value(job: u32, at: usize) -> u32 {
    (job * 7919 + u32::try_from(at).unwrap()).wrapping_mul(2_654_435_761)
}

impl Ring {
    pub(super) fn new(device: &Device, slots: usize) -> Result<Self, CudaError> {
        let module = device.module(&IMAGE)?;
        let function = module.function("move")?;
        let (up, compute, down) = (
            device.stream(Priority::Normal)?,
            device.stream(Priority::High)?,
            device.stream(Priority::Normal)?,
        );
        let slots = (0..slots).map(|_| {
            let (x, between, y) = (
                device.memory(BYTES)?,
                device.memory(BYTES)?,
                device.memory(BYTES)?,
            );
            // There and back again gives the input, in between it is turned; so reverse it by a third view.
            let graph = compute.capture(|stream| {
                transpose(stream, &function, [ROWS, COLUMNS], &x, &between)?;
                transpose(stream, &function, [ROWS, COLUMNS], &between, &y)
            })?;
            graph.prepare(&compute)?;
            Ok(Slot {
                graph,
                input: device.pinned(BYTES, Caching::WriteCombined)?,
                output: device.pinned(BYTES, Caching::Cached)?,
                x,
                y,
                up: device.event()?,
                done: device.event()?,
                down: device.event()?,
                job: None,
            })
        });
        Ok(Self {
            slots: slots.collect::<Result<_, CudaError>>()?,
            up,
            compute,
            down,
            _module: module,
        })
    }

    /// Runs `jobs` batches through the ring. Gives how many came out wrong.
    pub(super) fn run(&mut self, jobs: u32) -> Result<u32, CudaError> {
        let (mut next, mut finished, mut wrong) = (0, 0, 0);
        while finished < jobs {
            for slot in &mut self.slots {
                if let Some(job) = slot.job.take() {
                    wrong += u32::from(!slot.finish(job)?);
                    finished += 1;
                }
                if next < jobs {
                    slot.begin(next, &self.up, &self.compute, &self.down)?;
                    next += 1;
                }
            }
        }
        Ok(wrong)
    }
}

impl Slot {
    fn begin(
        &mut self,
        job: u32,
        up: &Stream,
        compute: &Stream,
        down: &Stream,
    ) -> Result<(), CudaError> {
        for (at, place) in self.input.write()?.chunks_exact_mut(4).enumerate() {
            place.copy_from_slice(&value(job, at).to_le_bytes());
        }
        up.copy_up(&self.input, 0..BYTES, &self.x, 0)?;
        self.up.record(up)?;
        compute.wait(&self.up)?;
        self.graph.launch(compute)?;
        self.done.record(compute)?;
        down.wait(&self.done)?;
        down.copy_down(&self.y, 0..BYTES, &self.output, 0)?;
        self.down.record(down)?;
        self.job = Some(job);
        Ok(())
    }

    /// Whether the batch came out right.
    fn finish(&mut self, job: u32) -> Result<bool, CudaError> {
        self.down.synchronize()?;
        let output = self.output.read()?;
        let right = output.chunks_exact(4).enumerate().all(|(at, found)| {
            // Two turns of a grid that is no square: where an element ends up.
            let turned = |at: usize| at % COLUMNS * ROWS + at / COLUMNS;
            let from = (0..ROWS * COLUMNS).find(|&from| turned(turned(from)) == at);
            found == value(job, from.unwrap()).to_le_bytes()
        });
        Ok(right)
    }
}
