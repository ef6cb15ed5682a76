//! `concierge accounts`: staff accounts from the command line. Passwords come from standard input, never from arguments.

use aggregates::people::Role;
use anyhow::{Context, anyhow};
use clap::{Subcommand, ValueEnum};

use super::say;
use crate::accounts::{Accounts, NewUser, User, terms};
use crate::config::Config;
use crate::database::{self, Purpose};

/// What to do with accounts.
#[derive(Subcommand)]
pub enum Command {
    /// Lists every account.
    List,
    /// Makes an account; its password is the first line of standard input.
    Create {
        /// What the person logs in with.
        username: String,
        /// What others see.
        #[arg(long)]
        name: Option<String>,
        /// Where mail goes.
        #[arg(long)]
        email: Option<String>,
        /// What the person may do.
        #[arg(long, value_enum, default_value = "admin")]
        role: RoleName,
    },
    /// Sets a new password, the first line of standard input, and ends every session.
    SetPassword {
        /// Whose.
        username: String,
    },
    /// Lets a person log in again.
    Activate {
        /// Whom.
        username: String,
    },
    /// Locks a person out at once.
    Deactivate {
        /// Whom.
        username: String,
    },
}

/// A role as it is typed.
#[derive(Clone, Copy, ValueEnum)]
pub enum RoleName {
    /// Works on queries.
    Admin,
    /// Also manages accounts.
    SuperAdmin,
}

/// Carries out a command.
pub async fn carry_out(command: Command, config: &Config) -> anyhow::Result<()> {
    let pool = database::pool(&config.database_url, Purpose::Read, 2)?;
    let accounts = Accounts::open(pool, &config.jwt_secret).await.context("cannot read the accounts")?;
    let user = match command {
        Command::List => {
            for user in accounts.list().values() {
                say(&line(user))?;
            }
            return Ok(());
        }
        Command::Create { username, name, email, role } => {
            let role = match role {
                RoleName::Admin => Role::Admin,
                RoleName::SuperAdmin => Role::SuperAdmin,
            };
            // Before anybody types a password for nothing.
            terms::username(&username).map_err(|why| anyhow!("the user name {why}"))?;
            let name = name.unwrap_or_else(|| username.clone());
            accounts.create(NewUser { username, name, email, role, password: read_password()? }).await?
        }
        Command::SetPassword { username } => {
            accounts.set_password(named(&accounts, &username)?, &read_password()?).await?
        }
        Command::Activate { username } => accounts.set_active(named(&accounts, &username)?, true).await?,
        Command::Deactivate { username } => accounts.set_active(named(&accounts, &username)?, false).await?,
    };
    say(&line(&user))
}

fn named(accounts: &Accounts, username: &str) -> anyhow::Result<aggregates::ids::UserId> {
    Ok(accounts.named(username).with_context(|| format!("there is no account {username}"))?.id)
}

fn line(user: &User) -> String {
    let state = if user.is_active { "active" } else { "inactive" };
    format!("{:>5}  {:<20} {:?}  {state}  {}", user.id, user.username, user.role, user.name)
}

fn read_password() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot read the password")?;
    let password = line.trim_end_matches(['\r', '\n']);
    terms::password(password).map_err(|why| anyhow!("the password {why}; it is read from standard input"))?;
    Ok(password.to_owned())
}
