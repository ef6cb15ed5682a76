//! The command line: one binary, every node the same.
//!
//! It is part of the library because whoever polls a future compiles it, and all that it leads to: in the binary it was
//! compiled once more.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::app::{self, App};
use crate::config::Config;
use crate::{dev, migrate, telemetry};

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

/// Does what the arguments of the process ask for, and says on standard error why if it cannot.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let carried_out = || -> anyhow::Result<()> {
        // One TLS stack, chosen once: libraries that each chose their own would panic at the first connection.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(carry_out(arguments.command))
    };
    match carried_out() {
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
