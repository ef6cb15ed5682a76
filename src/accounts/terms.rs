//! What people may be called, and what a password takes: the same terms for the API and the command line.

/// The shortest password that can be chosen, in characters.
pub const SHORTEST_PASSWORD: usize = 8;

const LONGEST_PASSWORD: usize = 1_024;
const LONGEST_USERNAME: usize = 64;
const LONGEST_NAME: usize = 200;
const LONGEST_EMAIL: usize = 320;

/// Why a value is not taken. Reads on after the name of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nothing in it.
    #[error("should not be empty")]
    Empty,
    /// Has fewer characters than this.
    #[error("must be longer than or equal to {0} characters")]
    TooShort(usize),
    /// Has more characters than this.
    #[error("must be shorter than or equal to {0} characters")]
    TooLong(usize),
    /// Line breaks and the like, which would forge lines in lists and logs.
    #[error("must not contain control characters")]
    Control,
    /// Blanks that nobody sees.
    #[error("must not begin or end with a blank")]
    Padded,
    /// Not `somebody@somewhere`.
    #[error("must be an email")]
    NotAnEmail,
}

impl Unfit {
    /// The name of the broken rule on the wire.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Empty => "isNotEmpty",
            Self::TooShort(_) => "minLength",
            Self::TooLong(_) => "maxLength",
            Self::Control | Self::Padded => "isText",
            Self::NotAnEmail => "isEmail",
        }
    }
}

/// Checks what a person logs in with.
pub fn username(value: &str) -> Result<(), Unfit> {
    words(value, LONGEST_USERNAME)?;
    if value.trim() == value { Ok(()) } else { Err(Unfit::Padded) }
}

/// Checks a display name.
pub fn name(value: &str) -> Result<(), Unfit> {
    words(value, LONGEST_NAME)
}

/// Checks a mail address: one `@`, with something on either side and no blank.
pub fn email(value: &str) -> Result<(), Unfit> {
    words(value, LONGEST_EMAIL)?;
    let is_address = value.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !value.contains(char::is_whitespace)
    });
    if is_address { Ok(()) } else { Err(Unfit::NotAnEmail) }
}

/// Checks a password that somebody chose.
pub fn password(value: &str) -> Result<(), Unfit> {
    match value.chars().count() {
        0 => Err(Unfit::Empty),
        length if length < SHORTEST_PASSWORD => Err(Unfit::TooShort(SHORTEST_PASSWORD)),
        length if length > LONGEST_PASSWORD => Err(Unfit::TooLong(LONGEST_PASSWORD)),
        _ => Ok(()),
    }
}

fn words(value: &str, longest: usize) -> Result<(), Unfit> {
    if value.trim().is_empty() {
        Err(Unfit::Empty)
    } else if value.chars().any(char::is_control) {
        Err(Unfit::Control)
    } else if value.chars().count() > longest {
        Err(Unfit::TooLong(longest))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Unfit, email, name, password, username};

    #[test]
    fn a_user_name_is_one_line_that_somebody_can_see() {
        assert_eq!(username("ada"), Ok(()));
        assert_eq!(username("ada lovelace"), Ok(()));
        assert_eq!(username(""), Err(Unfit::Empty));
        assert_eq!(username("  "), Err(Unfit::Empty));
        assert_eq!(username("ada\n"), Err(Unfit::Control));
        assert_eq!(username("a\u{1b}[31mda"), Err(Unfit::Control));
        assert_eq!(username(" ada"), Err(Unfit::Padded));
        assert_eq!(username(&"a".repeat(65)), Err(Unfit::TooLong(64)));
        assert_eq!(name("Ada Lovelace\0"), Err(Unfit::Control));
    }

    #[test]
    fn a_password_has_eight_characters_of_any_kind() {
        assert_eq!(password("pässwörd"), Ok(()));
        assert_eq!(password("pässwör"), Err(Unfit::TooShort(8)));
        assert_eq!(password(""), Err(Unfit::Empty));
        assert_eq!(password(&"x".repeat(1_025)), Err(Unfit::TooLong(1_024)));
    }

    #[test]
    fn a_mail_address_has_two_sides() {
        assert_eq!(email("ada@example.org"), Ok(()));
        for odd in ["ada", "@example.org", "ada@", "a@b@c", "ada @example.org"] {
            assert_eq!(email(odd), Err(Unfit::NotAnEmail), "{odd}");
        }
    }
}
