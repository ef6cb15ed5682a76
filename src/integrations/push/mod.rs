//! Notes on devices: what one says, for whom it is, and who carries it.

pub mod notes;

mod fcm;
mod local;

use std::collections::BTreeMap;
use std::time::Duration;

use self::fcm::Fcm;
use self::local::LocalPush;
use super::{Outbox, Outcome, SetupError};
use crate::config::{PushCarrier, Secret};

/// A device that takes notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What the value is.
    pub kind: TargetKind,
    /// The token or installation.
    pub value: Secret,
}

/// How Firebase knows a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// By a registration token.
    Token,
    /// By a Firebase installation, which is replacing tokens.
    Fid,
}

/// What a device is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The first line; empty if [`NoteKind::Silent`].
    pub title: String,
    /// The text; empty if [`NoteKind::Silent`].
    pub body: String,
    /// What the app reads. Text only.
    pub data: BTreeMap<&'static str, String>,
    /// How the device takes it.
    pub kind: NoteKind,
    /// Whether the text is for its reader alone, so that nothing but the device keeps it.
    pub is_private: bool,
}

/// How a device takes a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// Shows it.
    Ordinary,
    /// Shows it where calls are shown: somebody waits to be called.
    CallRequest,
    /// Rings.
    Call {
        /// How long it may be on its way. One that comes later must not ring.
        ttl: Duration,
    },
    /// Shows nothing: the app falls silent or looks again.
    Silent,
}

/// Who carries notes. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Push {
    /// Firebase Cloud Messaging.
    Fcm(Fcm),
    /// Nobody: they are written to the outbox.
    Local(LocalPush),
}

impl Push {
    /// The carrier that the settings name.
    pub fn new(settings: &PushCarrier, outbox: Outbox) -> Result<Self, SetupError> {
        if settings.is_local() {
            return Ok(Self::Local(LocalPush::new(outbox)));
        }
        Fcm::new(settings).map(Self::Fcm)
    }

    /// Whether notes stay here.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// Tries once to put a note on a device.
    pub async fn send(&self, target: &Target, note: &Note) -> Outcome {
        match self {
            Self::Fcm(fcm) => fcm.send(target, note).await,
            Self::Local(local) => local.send(target, note).await,
        }
    }
}
