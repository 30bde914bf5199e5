//! The machine: cores, memory, open files.

use std::{env, fs, thread};

use super::{Finding, Status};

const PART: &str = "machine";
/// Fewer open files than this can run out: connections, models, state, and what the system takes.
const FEW_FILES: u64 = 256;

pub(super) fn findings() -> Vec<Finding> {
    let mut found = vec![cores()];
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    found.extend(
        fs::read_to_string("/proc/meminfo")
            .ok()
            .map(|text| memory(&text, &limit)),
    );
    found.extend(
        fs::read_to_string("/proc/self/limits")
            .ok()
            .and_then(|text| open_files(&text)),
    );
    found
}

fn cores() -> Finding {
    let count = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Finding {
        details: Some(format!("{count} for this process, {}", env::consts::ARCH)),
        ..Finding::found(PART, "cores")
    }
}

/// From `/proc/meminfo`, and the limit of the control group, if it has one.
fn memory(text: &str, limit: &str) -> Finding {
    let kilobytes = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim_start_matches(':')
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    };
    let bytes = |key| kilobytes(key).map_or_else(|| "?".to_owned(), |n| gibibytes(n * 1024));
    let (total, free) = (bytes("MemTotal"), bytes("MemAvailable"));
    let mut details = format!("{free} of {total} available");
    if let Ok(limit) = limit.trim().parse() {
        details += &format!("; this process may have {}", gibibytes(limit));
    }
    Finding {
        details: Some(details),
        ..Finding::found(PART, "memory")
    }
}

/// From `/proc/self/limits`.
fn open_files(text: &str) -> Option<Finding> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut numbers = line.split_whitespace();
    let (soft, hard) = (numbers.next()?, numbers.next()?);
    let low = soft.parse().is_ok_and(|soft: u64| soft < FEW_FILES);
    Some(Finding {
        status: if low { Status::Low } else { Status::Found },
        details: Some(format!("{soft} at once, can be raised to {hard}")),
        mend: low.then(|| "ulimit -n 1024, or LimitNOFILE=1024 in the unit of systemd".to_owned()),
        ..Finding::found(PART, "open files")
    })
}

/// `7.8 GiB`.
pub(super) fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_with_the_limit_of_the_container() {
        let text = "MemTotal:       16384000 kB\nMemFree: 1 kB\nMemAvailable:    8192000 kB\n";
        let details = |limit| memory(text, limit).details.unwrap();
        assert_eq!(details("max\n"), "7.8 GiB of 15.6 GiB available");
        assert_eq!(
            details("2147483648\n"),
            "7.8 GiB of 15.6 GiB available; this process may have 2.0 GiB"
        );
    }

    #[test]
    fn few_open_files_are_said_to_be_few() {
        let text = |soft| {
            format!("Limit  Soft Limit  Hard Limit  Units\nMax open files   {soft}  4096  files\n")
        };
        let found = open_files(&text("1024")).unwrap();
        assert_eq!(found.status, Status::Found);
        assert_eq!(
            found.details.unwrap(),
            "1024 at once, can be raised to 4096"
        );
        assert_eq!(open_files(&text("64")).unwrap().status, Status::Low);
        assert_eq!(
            open_files(&text("unlimited")).unwrap().status,
            Status::Found
        );
        assert!(open_files("nothing of it").is_none());
    }
}
