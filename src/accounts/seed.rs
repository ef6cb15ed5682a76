//! Accounts for a desk that has none, as `concierge dev` and the tests need them.

use aggregates::people::Role;

use super::user::NewUser;
use super::{AccountError, Accounts};

/// Makes the accounts that do not exist yet: user name, display name, role, password. An account that exists keeps
/// everything but its password, which is set so that the credentials shown are the ones that work.
pub async fn seed(accounts: &Accounts, people: &[(&str, &str, Role, &str)]) -> Result<(), AccountError> {
    for (username, name, role, password) in people {
        let new = NewUser {
            username: (*username).to_owned(),
            password: (*password).to_owned(),
            name: (*name).to_owned(),
            email: None,
            role: *role,
        };
        let made = accounts.create(new).await;
        if let Err(AccountError::UsernameTaken(user)) = made {
            if accounts.log_in(username, password).await.is_err() {
                accounts.set_password(user, password).await?;
            }
        } else {
            made?;
        }
    }
    Ok(())
}
