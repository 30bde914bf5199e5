//! A TCP proxy that passes, delays, swallows or cuts, as it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

const PASS: u8 = 0;
const SWALLOW: u8 = 1;
const CUT: u8 = 2;
const UNLIMITED: u64 = u64::MAX;

/// A proxy in front of one port.
#[derive(Debug, Clone)]
pub(crate) struct Proxy {
    port: u16,
    orders: Arc<Orders>,
}

#[derive(Debug)]
struct Orders {
    mode: AtomicU8,
    delay_us: AtomicU64,
    /// Bytes that still pass before a connection is cut.
    budget: AtomicU64,
    cuts: AtomicU64,
}

impl Orders {
    /// How many of these bytes pass; fewer than all means that the connection is cut behind them.
    fn allow(&self, length: usize) -> usize {
        let wanted = length as u64;
        let left = |budget| match budget {
            UNLIMITED => None,
            budget if budget < wanted => Some(UNLIMITED),
            budget => Some(budget - wanted),
        };
        let (relaxed, budget) = (Ordering::Relaxed, &self.budget);
        match budget.fetch_update(relaxed, relaxed, left) {
            Ok(budget) if budget < wanted => {
                self.cuts.fetch_add(1, relaxed);
                usize::try_from(budget).unwrap_or(length)
            }
            Ok(_) | Err(_) => length,
        }
    }
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let orders = Arc::new(Orders {
            mode: AtomicU8::new(PASS),
            delay_us: AtomicU64::new(0),
            budget: AtomicU64::new(UNLIMITED),
            cuts: AtomicU64::new(0),
        });
        let served = Arc::clone(&orders);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if served.mode.load(Ordering::Relaxed) == CUT {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await {
                    tokio::spawn(connect(client, server, Arc::clone(&served)));
                }
            }
        });
        Self { port, orders }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Passes everything on.
    pub(crate) fn pass(&self) {
        self.order(PASS);
    }

    /// Takes everything and passes nothing on: a half-open link.
    pub(crate) fn swallow(&self) {
        self.order(SWALLOW);
    }

    /// Cuts all connections and takes no new ones.
    pub(crate) fn cut(&self) {
        self.order(CUT);
    }

    /// Cuts one connection after so many more bytes, wherever in a message that is; later ones pass.
    #[allow(dead_code, reason = "one of the binaries that share it needs it")]
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.orders.budget.store(bytes, Ordering::Relaxed);
    }

    /// How many connections [`Proxy::cut_after`] has cut.
    #[allow(dead_code, reason = "one of the binaries that share it needs it")]
    pub(crate) fn cuts(&self) -> u64 {
        self.orders.cuts.load(Ordering::Relaxed)
    }

    /// Holds back each chunk for this long.
    pub(crate) fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).expect("a short delay");
        self.orders.delay_us.store(micros, Ordering::Relaxed);
    }

    fn order(&self, mode: u8) {
        self.orders.mode.store(mode, Ordering::Relaxed);
    }
}

async fn connect(client: TcpStream, server: TcpStream, orders: Arc<Orders>) {
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    tokio::select! {
        () = pump(client_reads, server_writes, &orders) => {}
        () = pump(server_reads, client_writes, &orders) => {}
        () = until_cut(&orders) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, orders: &Orders) {
    let mut chunk = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        if orders.mode.load(Ordering::Relaxed) == SWALLOW {
            continue;
        }
        let delay = orders.delay_us.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_micros(delay)).await;
        }
        let passes = orders.allow(length);
        if to.write_all(&chunk[..passes]).await.is_err() || passes < length {
            return;
        }
    }
}

async fn until_cut(orders: &Orders) {
    while orders.mode.load(Ordering::Relaxed) != CUT {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
