//! A nats-server of one's own: JetStream, a free port, a temporary folder, and nothing left of it
//! afterwards, however the program ends.
//!
//! A shell stands between: it waits on a pipe from us, and when that closes (because we closed it,
//! or because we were killed) it kills the server and removes the folder.

use std::{
    env, fs,
    io::{self, Read as _},
    os::unix::{fs::DirBuilderExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use crate::cli::{Exit, Failure};

/// What the shell does. `$1` is the folder, the rest is the server's command line.
const WATCH: &str = r#"
folder=$1; shift
"$@" </dev/null >"$folder/log" 2>&1 &
server=$!
read -r _
kill -KILL "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$folder"
"#;

/// How long a server may take to start; it takes a tenth of a second.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that ends with this value, or with this process.
#[derive(Debug)]
pub struct OwnServer {
    url: String,
    folder: PathBuf,
    watcher: Child,
}

impl OwnServer {
    /// Starts a server and waits until it listens.
    ///
    /// # Errors
    /// It cannot be found, or does not start.
    pub fn start() -> Result<Self, Failure> {
        let program = find()?;
        let folder = fresh_folder().map_err(|error| {
            Failure::failed(format!(
                "no folder can be made in {}: {error}; TMPDIR says where else",
                env::temp_dir().display()
            ))
        })?;
        let cannot =
            |error: io::Error| Failure::failed(format!("nats-server cannot be started: {error}"));
        let watcher = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .arg(&folder)
            .arg(&program)
            .args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"])
            .arg(folder.join("jetstream"))
            .arg("--ports_file_dir")
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to every process of the terminal's group. Ours has to be able to drain,
            // and for that it needs a server.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                // There is no shell yet that would remove it.
                drop(fs::remove_dir_all(&folder));
                cannot(error)
            })?;
        let mut server = Self {
            url: String::new(),
            folder,
            watcher,
        };
        server.url = server.wait_for_url()?;
        Ok(server)
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn wait_for_url(&mut self) -> Result<String, Failure> {
        let start = Instant::now();
        while start.elapsed() < START_TIMEOUT {
            if let Some(url) = self.url_in_ports_file() {
                return Ok(url);
            }
            // It says why and leaves; the shell goes on waiting for us.
            if self.log().contains("[FTL]") {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let log = self.log();
        let last = log.lines().rev().take(5).collect::<Vec<_>>();
        let last: Vec<&str> = last.into_iter().rev().collect();
        Err(Failure::new(
            Exit::Unavailable,
            format!("nats-server does not start; it says:\n{}", last.join("\n")),
        ))
    }

    /// The server writes `nats-server_PID.ports` once it listens.
    fn url_in_ports_file(&self) -> Option<String> {
        let path = fs::read_dir(&self.folder)
            .ok()?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ext| ext == "ports"))?;
        // Half a file is no JSON; the next look finds the whole.
        let ports: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
        Some(ports.get("nats")?.get(0)?.as_str()?.to_owned())
    }

    fn log(&self) -> String {
        let mut log = String::new();
        if let Ok(file) = fs::File::open(self.folder.join("log")) {
            drop(file.take(64 << 10).read_to_string(&mut log));
        }
        log
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // It takes milliseconds. When it does not, the shell goes on without us.
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5)
            && self.watcher.try_wait().is_ok_and(|status| status.is_none())
        {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// `FOREBAY_NATS_SERVER`, what `make setup` fetched, or the one on the PATH.
pub(in crate::cli) fn find() -> Result<PathBuf, Failure> {
    if let Some(path) = env::var_os("FOREBAY_NATS_SERVER").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Failure::new(
                Exit::Unavailable,
                format!(
                    "FOREBAY_NATS_SERVER is {}, and there is no such file",
                    path.display()
                ),
            ))
        };
    }
    let fetched = project_file(Path::new(".runtime/nats-server/nats-server"));
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).map(|folder| folder.join("nats-server"));
    fetched
        .into_iter()
        .chain(on_path)
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::new(
                Exit::Unavailable,
                "no nats-server: not in FOREBAY_NATS_SERVER, .runtime/nats-server or the PATH; run `make setup` in the project's folder, or install nats-server",
            )
        })
}

/// A file of the project: in the folder where we are, or above the program (which `cargo build`
/// puts into the project's `target/`).
pub(super) fn project_file(relative: &Path) -> Option<PathBuf> {
    if relative.exists() {
        return Some(relative.to_owned());
    }
    let program = env::current_exe().ok()?;
    program
        .ancestors()
        .skip(1)
        .map(|folder| folder.join(relative))
        .find(|path| path.exists())
}

/// A folder that nobody else has and nobody else can look into.
fn fresh_folder() -> io::Result<PathBuf> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let name = format!("forebay-{}-{}", std::process::id(), now.as_nanos());
    let folder = env::temp_dir().join(name);
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn address(server: &OwnServer) -> String {
        server
            .url()
            .strip_prefix("nats://")
            .expect("a NATS address")
            .to_owned()
    }

    #[test]
    fn it_listens_and_leaves_nothing_behind() {
        let server = OwnServer::start().expect("starts");
        let (address, folder) = (address(&server), server.folder().to_owned());
        assert!(TcpStream::connect(&address).is_ok());
        assert!(folder.exists());
        drop(server);
        assert!(TcpStream::connect(&address).is_err());
        assert!(!folder.exists());
    }

    #[test]
    fn it_ends_when_a_panic_unwinds() {
        let mut seen = None;
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let server = OwnServer::start().expect("starts");
            seen = Some((address(&server), server.folder().to_owned()));
            panic!("on purpose");
        }));
        assert!(caught.is_err());
        let (address, folder) = seen.expect("it started");
        assert!(TcpStream::connect(address).is_err());
        assert!(!folder.exists());
    }
}
