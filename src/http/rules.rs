//! The rules that request bodies are checked against, for `garde`'s `custom`. A broken rule reads `name: text`, which
//! [`super::body`] takes apart into the contract's constraints.
#![allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the signature that garde calls")]

use aggregates::people::Role;
use aggregates::staff_chat::ChatMembers;
use aggregates::vocabulary::{CallMode, CallStatus, MessageType, QueryStatus};
use garde::{Error, Result};
use projections::messages::SenderType;

use crate::accounts::terms::{self, Unfit};
use crate::accounts::{Change, devices, parse_role, role_word};

/// The longest name, test, stage, device, or identity.
pub(super) const LINE: usize = 200;

/// The longest text of a message or note.
pub(super) const TEXT: usize = 10_000;

/// The oldest clients' word for a call request that is answered with a call.
pub(super) const ACCEPTED: &str = "ACCEPTED";

const DECLINED: &str = "DECLINED";

/// Text that has to be there.
pub(super) fn line(value: &str, _: &()) -> Result {
    not_empty(value)?;
    at_most(value, LINE)
}

/// The identity of a donor: never one under which the key of something else is kept.
pub(super) fn donor_id(value: &str, _: &()) -> Result {
    line(value, &())?;
    if value.starts_with(ChatMembers::SUBJECT) {
        return Err(Error::new(format!("isDonorId: must not begin with {}", ChatMembers::SUBJECT)));
    }
    Ok(())
}

/// Text of a message that has to be there.
pub(super) fn text(value: &str, _: &()) -> Result {
    not_empty(value)?;
    at_most(value, TEXT)
}

/// Text that may be absent but, if there, says something.
pub(super) fn optional_line(value: &Option<String>, _: &()) -> Result {
    value.as_deref().map_or(Ok(()), |value| line(value, &()))
}

/// Text that may be absent or empty.
pub(super) fn short_or_empty(value: &Option<String>, _: &()) -> Result {
    at_most(value.as_deref().unwrap_or_default(), LINE)
}

/// Text of a message that may be absent or empty.
pub(super) fn text_or_empty(value: &Option<String>, _: &()) -> Result {
    at_most(value.as_deref().unwrap_or_default(), TEXT)
}

/// Something that has to be there and is of no interest otherwise: a password.
pub(super) fn credential(value: &str, _: &()) -> Result {
    not_empty(value)?;
    at_most(value, 1_024)
}

/// What a person logs in with.
pub(super) fn username(value: &str, _: &()) -> Result {
    on_terms(terms::username(value))
}

/// What a person logs in with, if there.
pub(super) fn optional_username(value: &Option<String>, _: &()) -> Result {
    value.as_deref().map_or(Ok(()), |value| username(value, &()))
}

/// A person's name.
pub(super) fn name(value: &str, _: &()) -> Result {
    on_terms(terms::name(value))
}

/// A person's name, if there.
pub(super) fn optional_name(value: &Option<String>, _: &()) -> Result {
    value.as_deref().map_or(Ok(()), |value| name(value, &()))
}

/// A new mail address, if there.
pub(super) fn email(value: &Change<String>, _: &()) -> Result {
    value.new_value().map_or(Ok(()), |value| on_terms(terms::email(value)))
}

/// A password that somebody chose.
pub(super) fn password(value: &str, _: &()) -> Result {
    on_terms(terms::password(value))
}

/// A password that somebody chose; absent or empty if it stays as it is.
pub(super) fn password_or_empty(value: &Option<String>, _: &()) -> Result {
    value.as_deref().filter(|value| !value.is_empty()).map_or(Ok(()), |value| password(value, &()))
}

/// A push token, if there.
pub(super) fn optional_push_token(value: &Option<String>, _: &()) -> Result {
    let checked = value.as_deref().map_or(Ok(()), devices::plausible);
    checked.map_err(|_| Error::new("isPushToken: must be a push token"))
}

/// How many rows at once, if there.
pub(super) fn optional_page_size(value: &Option<i64>, _: &()) -> Result {
    within(*value, 1_000)
}

/// The number of a page, if there.
pub(super) fn optional_page_number(value: &Option<i64>, _: &()) -> Result {
    within(*value, 10_000)
}

fn within(value: Option<i64>, most: i64) -> Result {
    if value.is_none_or(|value| (1..=most).contains(&value)) {
        return Ok(());
    }
    Err(Error::new(format!("isIn: must be a whole number from 1 to {most}")))
}

/// The name of a role, if there.
pub(super) fn role(value: &Option<String>, _: &()) -> Result {
    one_of(value.as_deref(), parse_role, &[Role::SuperAdmin, Role::Admin], role_word)
}

fn on_terms(checked: std::result::Result<(), Unfit>) -> Result {
    checked.map_err(|unfit| Error::new(format!("{}: {unfit}", unfit.rule())))
}

/// The name of a message type, if there.
pub(super) fn message_type(value: &Option<String>, _: &()) -> Result {
    one_of(value.as_deref(), MessageType::parse, MessageType::ALL, MessageType::as_str)
}

/// The name of a kind of sender, if there.
pub(super) fn sender_type(value: &Option<String>, _: &()) -> Result {
    one_of(value.as_deref(), SenderType::parse, SenderType::ALL, SenderType::as_str)
}

/// The way a call is held, if there.
pub(super) fn call_type(value: &Option<String>, _: &()) -> Result {
    one_of(value.as_deref(), CallMode::parse, CallMode::ALL, CallMode::as_str)
}

/// The name of a call's status, if there.
pub(super) fn call_status(value: &Option<String>, _: &()) -> Result {
    one_of(value.as_deref(), CallStatus::parse, CallStatus::ALL, CallStatus::as_str)
}

/// What the oldest clients answer to a call request, if there.
pub(super) fn verdict(value: &Option<String>, _: &()) -> Result {
    let known = value.as_deref().is_none_or(|word| [ACCEPTED, DECLINED].iter().any(|w| w.eq_ignore_ascii_case(word)));
    if known { Ok(()) } else { Err(Error::new("isEnum: must be one of the following values: ACCEPTED, DECLINED")) }
}

/// The name of a status, if there.
pub(super) fn status(value: &Option<String>, _: &()) -> Result {
    one_of(value.as_deref(), QueryStatus::parse, QueryStatus::ALL, QueryStatus::as_str)
}

/// Names of statuses, if there.
pub(super) fn statuses(values: &[String], _: &()) -> Result {
    values
        .iter()
        .try_for_each(|value| one_of(Some(value.as_str()), QueryStatus::parse, QueryStatus::ALL, QueryStatus::as_str))
}

fn one_of<T: Copy>(
    value: Option<&str>,
    parse: fn(&str) -> Option<T>,
    all: &[T],
    word: fn(T) -> &'static str,
) -> Result {
    if value.is_none_or(|value| parse(value).is_some()) {
        return Ok(());
    }
    let words: Vec<_> = all.iter().map(|value| word(*value)).collect();
    Err(Error::new(format!("isEnum: must be one of the following values: {}", words.join(", "))))
}

fn not_empty(value: &str) -> Result {
    if value.trim().is_empty() { Err(Error::new("isNotEmpty: should not be empty")) } else { Ok(()) }
}

fn at_most(value: &str, limit: usize) -> Result {
    if value.chars().count() > limit {
        return Err(Error::new(format!("maxLength: must be shorter than or equal to {limit} characters")));
    }
    Ok(())
}
