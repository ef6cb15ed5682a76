//! Where a delivery goes, as its row says it: words and numbers, never an address or a token.

use std::fmt;

use aggregates::ids::{CallId, UserId};
use aggregates::policy::Audience;

/// By which way something leaves the desk. Each has workers of its own, so that one that hangs delays no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Notes on devices.
    Push,
    /// Letters.
    Mail,
    /// Rooms that are closed.
    Room,
}

impl Channel {
    /// Every channel.
    pub const ALL: &'static [Self] = &[Self::Push, Self::Mail, Self::Room];

    /// The word in rows, metrics and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Mail => "mail",
            Self::Room => "room",
        }
    }

    /// Reads the word, in any letter case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|channel| channel.as_str().eq_ignore_ascii_case(word))
    }
}

/// Where a delivery goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// To whoever that is when it is looked up; then there is a delivery for each in its place.
    Audience(Audience),
    /// To a staff member's mailbox.
    Mailbox(UserId),
    /// To a device of a staff member.
    StaffDevice(UserId, i64),
    /// To a device of the donor.
    DonorDevice(i64),
    /// To the room of a call.
    Room(CallId),
}

impl Target {
    /// Reads what [`fmt::Display`] wrote; `None` for what this version does not know.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let number = |text: &str| text.parse().ok();
        Some(match *parts.as_slice() {
            ["all-staff"] => Self::Audience(Audience::AllStaff),
            ["holder"] => Self::Audience(Audience::Holder),
            ["holder-or-all-staff"] => Self::Audience(Audience::HolderOrAllStaff),
            ["donor"] => Self::Audience(Audience::Donor),
            ["staff", id] => Self::Audience(Audience::Staff(UserId::new(number(id)?))),
            ["mailbox", id] => Self::Mailbox(UserId::new(number(id)?)),
            ["staff-device", id, device] => Self::StaffDevice(UserId::new(number(id)?), number(device)?),
            ["donor-device", device] => Self::DonorDevice(number(device)?),
            ["room", call] => Self::Room(CallId::new(number(call)?)),
            _ => return None,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audience(Audience::AllStaff) => f.write_str("all-staff"),
            Self::Audience(Audience::Holder) => f.write_str("holder"),
            Self::Audience(Audience::HolderOrAllStaff) => f.write_str("holder-or-all-staff"),
            Self::Audience(Audience::Donor) => f.write_str("donor"),
            Self::Audience(Audience::Staff(id)) => write!(f, "staff:{id}"),
            Self::Mailbox(id) => write!(f, "mailbox:{id}"),
            Self::StaffDevice(id, device) => write!(f, "staff-device:{id}:{device}"),
            Self::DonorDevice(device) => write!(f, "donor-device:{device}"),
            Self::Room(call) => write!(f, "room:{call}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use aggregates::ids::{CallId, UserId};
    use aggregates::policy::Audience;

    use super::{Channel, Target};

    #[test]
    fn targets_are_read_back_as_they_were_written() {
        let ada = UserId::new(3);
        let audiences =
            [Audience::AllStaff, Audience::Staff(ada), Audience::Holder, Audience::HolderOrAllStaff, Audience::Donor];
        let others =
            [Target::Mailbox(ada), Target::StaffDevice(ada, 17), Target::DonorDevice(9), Target::Room(CallId::new(5))];
        for target in audiences.map(Target::Audience).into_iter().chain(others) {
            assert_eq!(Target::parse(&target.to_string()), Some(target));
        }
        assert_eq!(Target::parse("carrier-pigeon:3"), None);
        assert_eq!(Target::parse("staff:three"), None);
    }

    #[test]
    fn channels_are_read_in_any_case() {
        for channel in Channel::ALL {
            assert_eq!(Channel::parse(&channel.as_str().to_uppercase()), Some(*channel));
        }
        assert_eq!(Channel::parse("fax"), None);
    }
}
