//! What the benchmarks that need a broker share: the broker, child processes, the machine's name.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Kills its process when it goes.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A nats-server of its own, on a free port; its folder goes with it.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) dir: PathBuf,
    port: u16,
}

impl Server {
    pub(crate) fn start(args: &[&str]) -> Self {
        let binary = binary();
        assert!(
            binary.exists(),
            "{} is missing: run `make setup`",
            binary.display()
        );
        let dir = std::env::temp_dir().join(format!("forebay-bench-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let child = Command::new(&binary)
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(&dir)
            .arg("-sd")
            .arg(dir.join("data"))
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ports = dir.join(format!("nats-server_{}.ports", child.id()));
        let process = Process(child);
        let start = Instant::now();
        let port = loop {
            let text = fs::read_to_string(&ports).unwrap_or_default();
            let found = text.split("nats://127.0.0.1:").nth(1).and_then(|rest| {
                rest.split(|c: char| !c.is_ascii_digit())
                    .next()?
                    .parse::<u16>()
                    .ok()
            });
            if let Some(port) = found {
                break port;
            }
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "nats-server does not start"
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        Self { process, dir, port }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It would write there while its folder is being removed.
        drop(self.process.0.kill());
        drop(self.process.0.wait());
        drop(fs::remove_dir_all(&self.dir));
    }
}

fn binary() -> PathBuf {
    std::env::var_os("FOREBAY_NATS_SERVER").map_or_else(
        || root().join(".runtime/nats-server/nats-server"),
        PathBuf::from,
    )
}

/// The machine and our version, for the record.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{cores} cores, {}; forebay {}",
        model.unwrap_or("unknown processor"),
        env!("CARGO_PKG_VERSION")
    )
}

/// What the broker calls itself.
pub(crate) fn broker() -> String {
    let said = Command::new(binary()).arg("--version").output().unwrap();
    String::from_utf8_lossy(&said.stdout)
        .trim()
        .replace(": v", " ")
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The median, and the lowest and highest, with so many digits.
pub(crate) fn spread(mut values: Vec<f64>, digits: usize) -> String {
    let middle = median(&mut values);
    let (low, high) = (values[0], values[values.len() - 1]);
    format!("{middle:.digits$} ({low:.digits$} to {high:.digits$})")
}

/// User and system time of a process.
pub(crate) fn processor_seconds(process: u32) -> f64 {
    /// Linux counts in hundredths of a second there, whatever the kernel's own tick is.
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name before the bracket may have spaces.
    let numbers = text.rsplit(')').next().unwrap().split_whitespace();
    let ticks = numbers.skip(11).take(2).map(|n| n.parse::<f64>().unwrap());
    ticks.sum::<f64>() / TICKS
}

/// A line of a process's memory, as `/proc` names it.
pub(crate) fn status_mib(process: u32, line: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|found| found.starts_with(line));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap();
    kib / 1024.0
}

/// A port that nobody listens on just now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
