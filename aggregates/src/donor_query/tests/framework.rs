//! The rules as the stock tools of cqrs-es see them.

use cqrs_es::test::TestFramework;

use crate::donor_query::DonorQuery;
use crate::donor_query::DonorQueryCommand::AcceptQuery;
use crate::donor_query::DonorQueryError::AlreadyHeld;
use crate::testing::{NOON, NOTICE, accepted_by, ada, ben, opened, told};

#[test]
fn the_stock_test_framework_decides_alike() {
    let accept = |by| AcceptQuery { by, notice: NOTICE, at: NOON };
    TestFramework::<DonorQuery>::with(())
        .given(vec![opened()])
        .when(accept(ada()))
        .then_expect_events(vec![accepted_by(&ada()), told("Query accepted by Ada")]);
    TestFramework::<DonorQuery>::with(())
        .given(vec![opened(), accepted_by(&ada())])
        .when(accept(ben()))
        .then_expect_error(AlreadyHeld(ada().as_ref()));
}
