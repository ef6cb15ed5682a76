//! Log lines and metrics: structured, filtered, without anybody's data.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

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
    /// Somebody else collects metrics.
    #[error("metrics cannot be collected")]
    Metrics(#[from] BuildError),
}

/// Upper bounds of the buckets of what is measured in seconds.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of the buckets of what is counted.
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0];

/// What `/metrics` tells. The nodes of one process share it.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    static COLLECTED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut collected = COLLECTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*collected {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("batch_size".to_owned()), COUNTS)?
        .install_recorder()?;
    *collected = Some(handle.clone());
    Ok(handle)
}

/// Writes log lines to standard error as the configuration says. Once per process.
pub fn start(config: &Config) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&config.log_filter)?;
    let lines = match config.log_format {
        LogFormat::Text => fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
        LogFormat::Json => fmt::layer().json().with_writer(std::io::stderr).boxed(),
    };
    Ok(tracing_subscriber::registry().with(filter).with(lines).try_init()?)
}
