//! Log lines: structured, filtered, without anybody's data.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use crate::config::{Config, LogFormat};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not in `tracing-subscriber`'s syntax.
    #[error("the log filter is unreadable")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody else set it up before.
    #[error("logging is set up already")]
    Taken(#[from] TryInitError),
}

/// Writes log lines to standard error as the configuration says. Once per process.
pub fn start(config: &Config) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.log_filter)?;
    let lines = match config.log_format {
        LogFormat::Text => fmt::layer().with_writer(std::io::stderr).with_target(false).boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    Ok(tracing_subscriber::registry().with(filter).with(lines).try_init()?)
}
