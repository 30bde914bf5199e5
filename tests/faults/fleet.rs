//! Worker processes: started, killed, stopped, and started again when they end by themselves.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use crate::support::{program::forebay, server::spawn_tied};

/// A worker that is asked to stop has this long.
const STOPS_WITHIN: Duration = Duration::from_secs(15);
/// Whoever watches over real workers also waits a moment before it starts one again.
const START_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The worker processes of a campaign. Each place has its own pipeline file.
pub(crate) struct Fleet {
    folder: PathBuf,
    places: Vec<Place>,
    started: usize,
    /// How workers ended that nobody had asked to.
    pub(crate) ended: Vec<String>,
    /// How workers ended that were asked to, and did not finish what they had.
    unfinished: Vec<String>,
}

struct Place {
    file: PathBuf,
    worker: Option<Worker>,
    /// A worker that ended by itself is started again then.
    again: Option<Instant>,
}

struct Worker {
    child: Child,
    log: PathBuf,
    started: Instant,
}

impl Fleet {
    /// Workers with these pipeline files; none runs yet. Their logs go into `folder`.
    pub(crate) fn new(folder: &Path, pipelines: &[String]) -> Self {
        let place = |(index, text): (usize, &String)| {
            let file = folder.join(format!("pipeline-{index}.yaml"));
            fs::write(&file, text).expect("the pipeline file is written");
            Place {
                file,
                worker: None,
                again: None,
            }
        };
        Self {
            folder: folder.to_path_buf(),
            places: pipelines.iter().enumerate().map(place).collect(),
            started: 0,
            ended: Vec::new(),
            unfinished: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The places where a worker runs.
    pub(crate) fn running(&self) -> Vec<usize> {
        let all = 0..self.places.len();
        all.filter(|&index| self.places[index].worker.is_some())
            .collect()
    }

    pub(crate) fn start(&mut self, index: usize) {
        let place = &mut self.places[index];
        assert!(place.worker.is_none(), "place {index} is taken");
        let log = self.folder.join(format!("worker-{}.log", self.started));
        self.started += 1;
        let file = File::create(&log).expect("a log file");
        let mut command = forebay(&["run", place.file.to_str().expect("a path in UTF-8")]);
        command.env("FOREBAY_LOG", "info,forebay::sink=debug");
        let child = spawn_tied(&command, |command| {
            let copy = file.try_clone().expect("a second handle");
            command.stdout(copy).stderr(file)
        });
        place.worker = Some(Worker {
            child,
            log,
            started: Instant::now(),
        });
        place.again = None;
    }

    pub(crate) fn start_all(&mut self) {
        for index in 0..self.places.len() {
            if self.places[index].worker.is_none() {
                self.start(index);
            }
        }
    }

    /// As the kernel does it when memory runs out.
    pub(crate) fn kill(&mut self, index: usize) {
        drop(self.places[index].worker.take());
    }

    /// Asks a worker to stop, and waits until it has; fails unless it does.
    pub(crate) async fn stop(&mut self, index: usize) {
        self.places[index].again = None;
        let Some(mut worker) = self.places[index].worker.take() else {
            return;
        };
        worker.signal("TERM");
        let asked = Instant::now();
        let status = loop {
            if let Some(status) = worker.child.try_wait().expect("it can be asked") {
                break status;
            }
            assert!(
                asked.elapsed() < STOPS_WITHIN,
                "a worker does not stop: {}",
                worker.said()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        // Before it has got as far as to listen for it, the signal just ends it.
        if status.code() != Some(0) && status.signal() != Some(15) {
            let words = worker.ended(status);
            self.unfinished
                .push(format!("a worker that was asked to stop: {words}"));
        }
    }

    pub(crate) async fn stop_all(&mut self) {
        for index in 0..self.places.len() {
            self.stop(index).await;
        }
    }

    /// Looks for workers that have ended by themselves, and starts those again.
    pub(crate) fn tend(&mut self) {
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            if let Some(worker) = &mut place.worker
                && let Some(status) = worker.child.try_wait().expect("it can be asked")
            {
                self.ended.push(worker.ended(status));
                place.worker = None;
                place.again = Some(Instant::now() + START_AGAIN_AFTER);
            }
            if place.again.is_some_and(|again| again <= Instant::now()) {
                self.start(index);
            }
        }
    }

    /// Stops that did not finish, and lines of the workers' logs that say that the program itself is
    /// broken.
    pub(crate) fn bugs(&self) -> Vec<String> {
        let bug = |line: &str| line.contains("panicked") || line.contains("is a bug");
        let lines = self.lines_with(bug);
        [self.unfinished.clone(), lines].concat()
    }

    /// How often the broker told a worker that it had stored a result before. The log of a worker
    /// that was killed says so too, its metrics do not.
    pub(crate) fn duplicates(&self) -> usize {
        self.lines_with(|line| line.contains("was stored before"))
            .len()
    }

    fn lines_with(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let log = |index| format!("worker-{index}.log");
        let mut found = Vec::new();
        for name in (0..self.started).map(log) {
            let text = fs::read(self.folder.join(&name)).expect("a log of ours");
            let text = String::from_utf8_lossy(&text);
            let lines = text.lines().filter(|line| wanted(line));
            found.extend(lines.map(|line| format!("{name}: {line}")));
        }
        found
    }
}

impl Worker {
    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How it ended, after what time, and what it said last.
    fn ended(&self, status: ExitStatus) -> String {
        let (said, lived) = (self.said(), self.started.elapsed());
        let last = said.lines().last().unwrap_or("nothing was said");
        format!("{status} after {lived:.1?}: {last}")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
