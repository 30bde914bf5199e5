//! One nats-server for one test, on a free port, gone when the test is.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A running nats-server with JetStream.
#[derive(Debug)]
pub(crate) struct NatsServer {
    child: Child,
    port: u16,
    monitor: u16,
    dir: TempDir,
    args: Vec<String>,
}

const READY_WITHIN: Duration = Duration::from_secs(10);

impl NatsServer {
    /// Starts a server with JetStream in a temporary folder, and waits until it answers.
    pub(crate) fn start(args: &[&str]) -> Self {
        let args = ["-js"].iter().chain(args);
        Self::start_with(args.map(|&arg| arg.to_owned()).collect())
    }

    /// Starts a server that only knows core NATS.
    pub(crate) fn without_jetstream() -> Self {
        Self::start_with(Vec::new())
    }

    fn start_with(args: Vec<String>) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let child = spawn(dir.path(), -1, &args);
        let mut server = Self {
            child,
            port: 0,
            monitor: 0,
            dir,
            args,
        };
        server.wait_ready();
        server
    }

    /// Starts a server with `text` as its configuration file.
    pub(crate) fn with_config(text: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let path = dir.path().join("server.conf");
        std::fs::write(&path, text).expect("the configuration is written");
        let args = vec![
            "-js".to_owned(),
            "-c".to_owned(),
            path.to_string_lossy().into_owned(),
        ];
        let child = spawn(dir.path(), -1, &args);
        let mut server = Self {
            child,
            port: 0,
            monitor: 0,
            dir,
            args,
        };
        server.wait_ready();
        server
    }

    /// Starts a server with JetStream on a port of one's choice.
    ///
    /// # Errors
    /// With its log, when it does not get ready: the port may have been taken meanwhile.
    pub(crate) fn on_port(port: u16, args: &[String]) -> Result<Self, String> {
        let args: Vec<_> = [vec!["-js".to_owned()], args.to_vec()].concat();
        let dir = TempDir::new().expect("a temporary folder");
        let child = spawn(dir.path(), i32::from(port), &args);
        let mut server = Self {
            child,
            port,
            monitor: 0,
            dir,
            args,
        };
        server.get_ready()?;
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it dead; it stays unreaped and unreachable until [`NatsServer::resume`].
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Announces that it will stop, and refuses new work.
    pub(crate) fn lame_duck(&self) {
        self.signal("USR2");
    }

    /// As a power cut does it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Where it keeps its streams.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts it again, on the same port and with the same data.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.dir.path(), i32::from(self.port), &self.args);
        self.wait_ready();
    }

    /// Waits until the server knows a subscription to `subject`.
    pub(crate) async fn subscribed(&self, subject: &str) {
        let wanted = format!("\"{subject}\"");
        super::eventually(&format!("a subscription to {subject}"), async || {
            self.connections().contains(&wanted)
        })
        .await;
    }

    /// How many clients are connected.
    pub(crate) fn clients(&self) -> usize {
        self.connections().matches("\"cid\"").count()
    }

    /// Whether a connection that subscribes to `subject` has been sent this many messages.
    pub(crate) fn has_sent(&self, subject: &str, count: usize) -> bool {
        let answer = self.connections();
        let body = answer.split_once("\r\n\r\n").unwrap_or_default().1;
        let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let connections = json["connections"].as_array().cloned().unwrap_or_default();
        let subscribed = serde_json::json!(subject);
        connections.iter().any(|one| {
            let subjects = one["subscriptions_list"].as_array();
            let sent = one["out_msgs"].as_u64().unwrap_or_default();
            subjects.is_some_and(|subjects| subjects.contains(&subscribed)) && sent >= count as u64
        })
    }

    /// All connections with their subscriptions, as the server's monitor tells it.
    fn connections(&self) -> String {
        // The monitor writes `>` as an escape.
        self.monitor("/connz?subs=1").replace("\\u003e", ">")
    }

    /// What the server's monitor answers, with the status line; nothing where it does not.
    pub(crate) fn monitor(&self, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.monitor)) {
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            let wait = stream.set_read_timeout(Some(Duration::from_secs(2)));
            if wait.is_ok() && stream.write_all(request.as_bytes()).is_ok() {
                stream.read_to_string(&mut answer).ok();
            }
        }
        answer
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "kill -{name} failed"
        );
    }

    fn wait_ready(&mut self) {
        if let Err(sentence) = self.get_ready() {
            panic!("{sentence}");
        }
    }

    fn get_ready(&mut self) -> Result<(), String> {
        let started = Instant::now();
        loop {
            if let Some((port, monitor)) = self.ports()
                && greets(port)
            {
                (self.port, self.monitor) = (port, monitor);
                return Ok(());
            }
            let ended = self.child.try_wait().expect("the server can be asked");
            if ended.is_some() || started.elapsed() > READY_WITHIN {
                return Err(format!(
                    "nats-server did not get ready ({ended:?}):\n{}",
                    self.log()
                ));
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    /// What the server has written into its log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn ports(&self) -> Option<(u16, u16)> {
        let file = format!("nats-server_{}.ports", self.child.id());
        let text = std::fs::read_to_string(self.dir.path().join(file)).ok()?;
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        let port = |key: &str| json[key][0].as_str()?.rsplit(':').next()?.parse().ok();
        Some((port("nats")?, port("monitoring")?))
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a NATS server says hello on `port`.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut hello = [0; 5];
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .is_ok()
        && stream.read_exact(&mut hello).is_ok()
        && &hello == b"INFO "
}

fn spawn(dir: &Path, port: i32, args: &[String]) -> Child {
    let mut command = Command::new(binary());
    command
        .args([
            "-a",
            "127.0.0.1",
            "-m",
            "-1",
            "-p",
            &port.to_string(),
            "-sd",
        ])
        .arg(dir.join("data"))
        .arg("--ports_file_dir")
        .arg(dir)
        .arg("-l")
        .arg(dir.join("log"))
        .args(args);
    spawn_tied(&command, |command| {
        command.stdout(Stdio::null()).stderr(Stdio::null())
    })
}

/// Starts a program that ends with the thread that starts it, whatever ends that. Where its output
/// goes is for `outputs` to say.
pub(crate) fn spawn_tied(
    plain: &Command,
    outputs: impl FnOnce(&mut Command) -> &mut Command,
) -> Child {
    // `setpriv` has the kernel end the program with us; elsewhere a watcher does.
    static WITH_KERNEL: LazyLock<bool> = LazyLock::new(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    let mut command = if *WITH_KERNEL {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(plain.get_program());
        command
    } else {
        Command::new(plain.get_program())
    };
    command.args(plain.get_args()).stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let child = outputs(&mut command).spawn().expect("the program starts");
    if !*WITH_KERNEL {
        watch(child.id());
    }
    child
}

/// Ends a program when this process has ended, however it did.
fn watch(program: u32) {
    let script = format!(
        "(while kill -0 {} 2>/dev/null && kill -0 {program} 2>/dev/null; do sleep 1; done; kill -9 {program}) &",
        std::process::id()
    );
    Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("a shell starts");
}

fn binary() -> PathBuf {
    let path = std::env::var_os("FOREBAY_NATS_SERVER").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime/nats-server/nats-server"),
        PathBuf::from,
    );
    assert!(
        path.is_file(),
        "nats-server is not at {}: run `make setup`, or name it in FOREBAY_NATS_SERVER",
        path.display()
    );
    path
}
