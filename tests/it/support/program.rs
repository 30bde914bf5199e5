//! The real program as a process: started, asked, signalled, and ended with the test.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::eventually;

/// The longest that any program of these tests may run on after it should have ended.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// The program with these arguments, and nothing of what our own environment says to it.
pub(crate) fn forebay(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forebay"));
    command
        .args(args)
        .env_remove("NATS_URL")
        .env_remove("FOREBAY_LOG")
        .env_remove("FOREBAY_ONNXRUNTIME")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running `forebay`.
pub(crate) struct Program {
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What a shell would show: 128 and the number for a signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What a thread reads from a pipe.
struct Captured {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Captured {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&text);
        let read = move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut chunk) {
                let mut text = into.lock().unwrap_or_else(PoisonError::into_inner);
                text.extend_from_slice(&chunk[..length]);
            }
        };
        let reader = std::thread::Builder::new().name("captured".into());
        let reader = reader.spawn(read).expect("a thread starts");
        Self {
            text,
            reader: Some(reader),
        }
    }

    fn so_far(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the pipe is read to its end");
        }
        self.so_far()
    }
}

impl Program {
    /// `forebay run FILE` with this server, serving `/metrics` on a free port.
    pub(crate) fn run(file: &Path, nats_url: &str) -> Self {
        let mut command = forebay(&["run", file.to_str().expect("a path in UTF-8")]);
        command
            .env("NATS_URL", nats_url)
            .env("HTTP_LISTEN", "127.0.0.1:0");
        Self::start(&mut command)
    }

    /// Starts a command whose outputs are piped.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program starts");
        Self {
            stdout: Captured::new(child.stdout.take().expect("piped")),
            stderr: Captured::new(child.stderr.take().expect("piped")),
            child,
        }
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&mut self) {
        self.wait_for("ready", |program| program.status("/readyz") == 200)
            .await;
    }

    /// Waits until `done`; fails when the program ends meanwhile.
    pub(crate) async fn wait_for(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        eventually(what, async || {
            let ended = self.child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "{ended:?}: {}", self.said());
            done(self)
        })
        .await;
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_some()
    }

    /// What it has said on standard error.
    pub(crate) fn said(&self) -> String {
        self.stderr.so_far()
    }

    /// Where it serves HTTP, once it has said so.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        let said = self.said();
        let line = said
            .lines()
            .find(|line| line.contains("serving /metrics"))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["address"].as_str()?.parse().ok()
    }

    /// The status and the body of an answer; 0 while nobody answers.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path)
    }

    pub(crate) fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let Some(address) = self.address() else {
            return (0, String::new());
        };
        let answer = TcpStream::connect(address).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(
                stream,
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        });
        let answer = answer.unwrap_or_default();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }

    pub(crate) fn status(&self, path: &str) -> u16 {
        self.get(path).0
    }

    /// The sum of all series of a metric that carry these labels, as whole numbers.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let (_, text) = self.get("/metrics");
        let series = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        series
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                break status;
            }
            assert!(
                started.elapsed() < ENDS_WITHIN,
                "the program does not end: {}",
                self.said()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        Ended {
            code: status.code().unwrap_or(128 + signal.unwrap_or_default()),
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
        }
    }

    /// Asks it to stop; fails unless everything settles and it ends well within 5 seconds.
    pub(crate) async fn stop(self) {
        self.signal("TERM");
        let asked = Instant::now();
        let ended = self.ended().await;
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(asked.elapsed() < Duration::from_secs(5), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
