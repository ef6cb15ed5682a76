//! The three words of a rule's test, samples of every fact, and histories made at random.
//!
//! ```
//! use aggregates::donor_query::{DonorQueryCommand::AcceptQuery, DonorQueryError::AlreadyHeld};
//! use aggregates::testing::{NOON, NOTICE, accepted_by, ada, ben, given, opened};
//!
//! given([opened(), accepted_by(&ada())])
//!     .when(AcceptQuery { by: ben(), notice: NOTICE, at: NOON })
//!     .then_refused(AlreadyHeld(ada().as_ref()));
//! ```
//!
//! Other crates get all this with the feature `testing`.

mod history;
mod samples;

use cqrs_es::Aggregate;

pub use history::random_history;
pub use samples::*;

use crate::call_session::{self, CallSession, CallSessionEvent};
use crate::donor_query::{self, DonorQuery, DonorQueryEvent};
use crate::staff_chat::{self, StaffChat, StaffChatEvent};

/// What rules make of a command.
type Decision<A> = Result<Vec<<A as Aggregate>::Event>, <A as Aggregate>::Error>;

/// The rules of an aggregate.
type Decide<A> = fn(&A, <A as Aggregate>::Command) -> Decision<A>;

/// An aggregate with a past, and the rules that judge what comes next.
#[derive(Debug)]
pub struct Given<A: Aggregate> {
    state: A,
    decide: Decide<A>,
}

/// What the rules made of a command.
#[derive(Debug)]
pub struct Outcome<A: Aggregate>(Decision<A>);

/// A donor query to which all this happened.
pub fn given(past: impl IntoIterator<Item = DonorQueryEvent>) -> Given<DonorQuery> {
    Given::after(past, donor_query::decide::decide)
}

/// A call session to which all this happened.
pub fn given_call(past: impl IntoIterator<Item = CallSessionEvent>) -> Given<CallSession> {
    Given::after(past, call_session::decide::decide)
}

/// A chat in which all this was said.
pub fn given_chat(past: impl IntoIterator<Item = StaffChatEvent>) -> Given<StaffChat> {
    Given::after(past, staff_chat::decide::decide)
}

impl<A: Aggregate> Given<A> {
    fn after(past: impl IntoIterator<Item = A::Event>, decide: Decide<A>) -> Self {
        let mut state = A::default();
        past.into_iter().for_each(|event| state.apply(event));
        Self { state, decide }
    }

    /// Somebody asks for something.
    #[must_use]
    pub fn when(self, command: A::Command) -> Outcome<A> {
        Outcome((self.decide)(&self.state, command))
    }

    /// Where the past has led.
    pub fn state(self) -> A {
        self.state
    }
}

impl<A: Aggregate<Error: PartialEq>> Outcome<A> {
    /// Exactly these facts follow, in this order.
    ///
    /// # Panics
    ///
    /// If others follow, or the command is refused.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) {
        assert_eq!(self.0, Ok(expected.into_iter().collect()));
    }

    /// Nothing follows, and nothing is wrong.
    ///
    /// # Panics
    ///
    /// If a fact follows, or the command is refused.
    #[track_caller]
    pub fn then_nothing(self) {
        self.then([]);
    }

    /// The command breaks this rule.
    ///
    /// # Panics
    ///
    /// If it breaks another, or none.
    #[track_caller]
    pub fn then_refused(self, expected: A::Error) {
        assert_eq!(self.0, Err(expected));
    }
}
