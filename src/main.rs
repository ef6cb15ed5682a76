//! The command line: one binary, every node the same.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use proof_concierge::app::{self, App};
use proof_concierge::config::Config;
use proof_concierge::{dev, migrate, telemetry};

/// A command makes a few hundred small allocations and large futures; with the C library's allocator they were a fifth of
/// the service's work. Huge pages are left alone (`no_thp`): an idle node would hold a third more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A support desk where every step is a fact that can be proven later.
#[derive(Parser)]
#[command(name = "concierge", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the whole desk on this machine, with servers of its own where none are configured.
    Dev {
        /// Where to serve; 127.0.0.1:5005 if neither this nor PORT is given.
        #[arg(long)]
        listen: Option<SocketAddr>,
        /// Where the private servers keep their data.
        #[arg(long, default_value = ".concierge")]
        data_dir: PathBuf,
        /// Forgets everything in the data directory first.
        #[arg(long)]
        fresh: bool,
    },
    /// Runs a node: brings the schema up to date, then serves.
    Serve,
    /// Brings the database's schema up to date.
    Migrate,
    /// Staff accounts.
    #[command(subcommand)]
    Accounts(app::accounts::Command),
    /// Read models.
    #[command(subcommand)]
    Projections(app::projections::Command),
    /// Moves a desk of the system that this one replaces.
    Import(app::import::Options),
    /// Proof of what happened.
    #[command(subcommand)]
    Audit(app::audit::Command),
    /// Checks the configuration and everything it points to.
    Doctor,
    /// Asks the node on this machine whether it can be used; for supervisors of containers.
    Healthcheck,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = || -> anyhow::Result<()> {
        // One TLS stack, chosen once: libraries that each chose their own would panic at the first connection.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(carry_out(arguments.command))
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is closed.
            drop(writeln!(std::io::stderr(), "concierge: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(command: Command) -> anyhow::Result<()> {
    if let Command::Dev { listen, data_dir, fresh } = command {
        return dev::run(dev::DevOptions { listen, data_dir, fresh }).await;
    }
    let config = Config::read()?;
    if matches!(command, Command::Healthcheck) {
        return app::healthcheck::ask(&config).await;
    }
    telemetry::start(&config)?;
    if matches!(command, Command::Doctor) {
        return app::doctor::examine(&config).await;
    }
    config.check()?;
    match command {
        Command::Serve => App::run_until_signal(config).await,
        Command::Migrate => migrate::run(config.database_url.expose()).await,
        Command::Accounts(command) => app::accounts::carry_out(command, &config).await,
        Command::Projections(command) => app::projections::carry_out(command, &config).await,
        Command::Import(options) => app::import::carry_out(&options, &config).await,
        Command::Audit(command) => app::audit::carry_out(command, &config).await,
        Command::Dev { .. } | Command::Doctor | Command::Healthcheck => Ok(()),
    }
}
