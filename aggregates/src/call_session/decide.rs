//! Every rule of a call session.

use super::CallSession::{Absent, Created, Ended, Started};
use super::CallSessionCommand::{CreateCall, EndCall, StartCall};
use super::{CallSession, CallSessionCommand, CallSessionError, CallSessionEvent};
use crate::donor_query::command::NewCall;

/// Turns a command into facts, or says which rule it would break.
///
/// No facts at all means that the command took effect before: both sides join, and both sides hang up.
pub fn decide(call: &CallSession, command: CallSessionCommand) -> Result<Vec<CallSessionEvent>, CallSessionError> {
    match (call, command) {
        (Absent, CreateCall { query, donor_id, request, call, by, at }) => {
            let NewCall { id: _, room, room_url, provider, mode, expires_at } = call;
            Ok(vec![CallSessionEvent::CallCreated {
                query,
                donor_id,
                request,
                room,
                room_url,
                provider,
                mode,
                by,
                expires_at,
                at,
            }])
        }
        (Created(_) | Started(_) | Ended { .. }, CreateCall { .. }) => Err(CallSessionError::AlreadyCreated),

        (Created(_), StartCall { by, at }) => Ok(vec![CallSessionEvent::CallStarted { by, at }]),
        (Ended { .. }, StartCall { .. }) => Err(CallSessionError::Ended),
        (Created(_) | Started(_), EndCall { reason, by, at }) => {
            Ok(vec![CallSessionEvent::CallEnded { reason, by, at }])
        }
        (Started(_), StartCall { .. }) | (Ended { .. }, EndCall { .. }) => Ok(vec![]),
        (Absent, StartCall { .. } | EndCall { .. }) => Err(CallSessionError::NotFound),
    }
}
