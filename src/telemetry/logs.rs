//! Logs: for people on a terminal, JSON lines otherwise. Always to standard error, because
//! standard output is for data.

use std::{
    fmt,
    io::{self, IsTerminal as _},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{SystemTime, UNIX_EPOCH},
};

use tracing_subscriber::{
    Layer as _,
    filter::Targets,
    fmt::{format::Writer, time::FormatTime},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// A short line for people, coloured on a terminal unless `NO_COLOR` is set.
    Human,
    /// One JSON object a line.
    Json,
}

/// Why the logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level makes no sense.
    #[error(
        "`{level}` is no log level ({reason}); write off, error, warn, info, debug or trace, or directives such as `warn,forebay::source=debug`"
    )]
    Level {
        /// What was asked for.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Someone was faster.
    #[error("logs were set up before: this is a bug")]
    Twice,
}

static FOR_PEOPLE: AtomicBool = AtomicBool::new(false);

/// Whether people read the logs: then what a command says last need not be in them too.
pub fn are_for_people() -> bool {
    FOR_PEOPLE.load(Relaxed)
}

/// Sends what the program and its libraries say to standard error.
///
/// # Errors
/// `level` makes no sense, or logs were set up before.
pub fn init(level: &str, format: Format) -> Result<(), LogError> {
    let terminal = io::stderr().is_terminal();
    // `Targets`, not `EnvFilter`: levels by module are all that is wanted.
    let filter = filter(level)?;
    let json = match format {
        Format::Auto => !terminal,
        Format::Human => false,
        Format::Json => true,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = if json {
        layer
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    } else {
        layer
            .with_timer(TimeOfDay)
            .with_target(false)
            .with_ansi(terminal && colour_wanted(std::env::var_os("NO_COLOR").as_deref()))
            .boxed()
    };
    let started = tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init();
    started.map_err(|_| LogError::Twice)?;
    FOR_PEOPLE.store(!json, Relaxed);
    Ok(())
}

/// Whether `level` can be understood; for the command line, which says so before anything starts.
///
/// # Errors
/// What is wrong with it.
pub fn check_level(level: &str) -> Result<String, LogError> {
    filter(level).map(|_| level.to_owned())
}

/// The NO_COLOR convention: set and not empty means no.
fn colour_wanted(no_color: Option<&std::ffi::OsStr>) -> bool {
    no_color.is_none_or(std::ffi::OsStr::is_empty)
}

/// A bare level is for forebay; libraries stay a step quieter, because what they say at `info`
/// is news to their own authors only.
fn filter(level: &str) -> Result<Targets, LogError> {
    let wrong = |reason: String| LogError::Level {
        level: level.to_owned(),
        reason,
    };
    let directives = match level.trim().to_ascii_lowercase().as_str() {
        "" => return Err(wrong("it is empty".to_owned())),
        bare @ ("off" | "error" | "warn") => bare.to_owned(),
        bare @ ("info" | "debug") => format!("warn,forebay={bare}"),
        "trace" => "debug,forebay=trace".to_owned(),
        directives if directives.contains(['=', ',']) => level.trim().to_owned(),
        // `Targets` would take any other word for the name of a module.
        _ => return Err(wrong("it is none of the known words".to_owned())),
    };
    directives
        .parse()
        .map_err(|error: tracing_subscriber::filter::ParseError| wrong(error.to_string()))
}

/// `12:03:59.123Z`: the day is known to whoever watches a terminal.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = now.as_secs() % 86_400;
        write!(
            w,
            "{:02}:{:02}:{:02}.{:03}Z",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            now.subsec_millis()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_levels_and_directives_are_understood() {
        for good in [
            "off",
            "error",
            "warn",
            "info",
            "DEBUG",
            " trace ",
            "warn,forebay::source=debug",
            "forebay=trace",
        ] {
            assert!(filter(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_wrong_level_is_named() {
        for bad in ["", "loud", "forebay=loud"] {
            let error = filter(bad).expect_err(bad).to_string();
            assert!(error.contains(&format!("`{bad}`")), "{error}");
        }
    }

    #[test]
    fn no_color_counts_when_it_is_not_empty() {
        assert!(colour_wanted(None));
        assert!(colour_wanted(Some("".as_ref())));
        assert!(!colour_wanted(Some("1".as_ref())));
    }
}
