//! The faults of the system that this one replaces, by the numbers of its audit, and the tests that show that they are not
//! here. S is security, R races, N notices, C correctness.

use std::path::Path;

/// A fault, and where its absence is shown: `file below tests/it or src` and `test`.
struct Hole {
    number: &'static str,
    fault: &'static str,
    shown_by: &'static [(&'static str, &'static str)],
}

const fn hole(number: &'static str, fault: &'static str, shown_by: &'static [(&'static str, &'static str)]) -> Hole {
    Hole { number, fault, shown_by }
}

const SECURITY: &str = "tests/it/contract/holes_security.rs";
const RACES: &str = "tests/it/contract/holes_races.rs";
const NOTICES: &str = "tests/it/contract/holes_notices.rs";
const CORRECTNESS: &str = "tests/it/contract/holes_correctness.rs";
const DASHBOARD: &str = "tests/it/contract/dashboard.rs";
const QUERIES: &str = "tests/it/contract/routes_donor_queries.rs";
const MESSAGES: &str = "tests/it/contract/routes_messages.rs";
const SHAPES: &str = "tests/it/contract/shapes.rs";
const SOCKETS: &str = "tests/it/contract/sockets.rs";

const HOLES: &[Hole] = &[
    hole(
        "S1",
        "password hashes on a public route",
        &[(SECURITY, "a_donor_learns_the_name_of_who_helps_and_nothing_else")],
    ),
    hole(
        "S2",
        "anybody speaks as staff and pushes to any device",
        &[
            (SECURITY, "a_body_speaks_for_nobody"),
            ("tests/it/journeys/conversation.rs", "the_credential_says_who_speaks_and_not_the_body"),
        ],
    ),
    hole(
        "S3",
        "any socket hears any query, with tokens",
        &[
            ("tests/it/socketio/rooms.rs", "a_donor_joins_own_queries_and_no_others"),
            ("tests/it/socketio/events.rs", "a_donor_hears_own_queries_without_what_staff_keep_to_themselves"),
        ],
    ),
    hole(
        "S4",
        "anybody reads the meeting token of staff",
        &[("tests/it/calls/doors.rs", "the_token_of_staff_is_in_no_answer_to_a_donor")],
    ),
    hole(
        "S5",
        "numbers that can be guessed open conversations",
        &[
            ("tests/it/journeys/donors.rs", "knowing_a_donors_id_opens_nothing"),
            ("tests/it/journeys/donors.rs", "somebody_elses_query_is_not_there"),
            ("tests/it/calls/doors.rs", "somebody_elses_call_is_not_there"),
        ],
    ),
    hole(
        "S6",
        "words of a search are run by a shell",
        &[("tests/it/people/activity.rs", "what_cannot_be_meant_is_refused_and_nothing_is_executed")],
    ),
    hole(
        "S7",
        "files beside the logs are read",
        &[("tests/it/people/activity.rs", "what_cannot_be_meant_is_refused_and_nothing_is_executed")],
    ),
    hole(
        "S8",
        "roles are written down and not enforced",
        &[
            (SECURITY, "only_the_holder_and_super_admins_move_a_query"),
            ("tests/it/people/doors.rs", "every_route_lets_in_whom_its_line_says"),
            ("tests/it/journeys/life.rs", "only_a_super_admin_deletes_and_then_the_query_is_gone"),
        ],
    ),
    hole(
        "S9",
        "any token controls any call",
        &[
            ("tests/it/calls/doors.rs", "colleagues_do_not_touch_the_call_of_the_holder_but_a_super_admin_does"),
            ("tests/it/calls/asking.rs", "a_request_of_another_query_is_not_answered_through_this_one"),
        ],
    ),
    hole("S10", "an undefined id is no filter", &[(SECURITY, "an_id_that_is_none_stands_for_nothing")]),
    hole(
        "S11",
        "a token outlives its account, role and password",
        &[
            ("tests/it/people/doors.rs", "whoever_is_demoted_or_deactivated_loses_tokens_and_sockets_at_once"),
            ("tests/it/people/passwords.rs", "a_new_password_ends_every_session_but_the_one_it_begins"),
        ],
    ),
    hole(
        "S12",
        "no limit on anything",
        &[
            (SECURITY, "passwords_are_tried_and_queries_opened_only_so_often"),
            ("tests/it/people/passwords.rs", "whoever_found_an_open_session_cannot_try_passwords"),
            ("tests/it/calls/asking.rs", "a_request_is_made_once_and_again_only_after_a_while"),
            ("tests/it/journeys/donors.rs", "one_caller_may_ask_for_so_much_and_no_more"),
        ],
    ),
    hole(
        "S13",
        "pages of any origin may call",
        &[
            (SHAPES, "pages_of_listed_origins_may_call"),
            ("tests/it/socketio/doors.rs", "pages_of_listed_origins_may_listen_and_others_may_not"),
        ],
    ),
    hole(
        "S14",
        "secrets in the log",
        &[("tests/it/contract/holes_logs.rs", "no_secret_and_no_word_of_anybody_is_in_the_log")],
    ),
    hole(
        "S15",
        "passwords in addresses",
        &[("tests/it/people/passwords.rs", "credentials_in_the_address_are_not_read")],
    ),
    hole(
        "S16",
        "any column of an account can be written, any password chosen",
        &[
            ("tests/it/people/accounts.rs", "only_what_an_account_has_can_be_written"),
            ("tests/it/people/accounts.rs", "a_bad_value_is_named_and_not_repeated"),
        ],
    ),
    hole(
        "S17",
        "push tokens and password hashes of colleagues",
        &[
            (SECURITY, "a_donor_learns_the_name_of_who_helps_and_nothing_else"),
            ("tests/it/people/push_tokens.rs", "staff_register_devices_and_forget_them"),
        ],
    ),
    hole(
        "S18",
        "markup in mails, and everybody's address in each",
        &[
            ("src/integrations/mail/letters_tests.rs", "what_a_donor_writes_is_never_markup"),
            ("tests/it/notify/mail.rs", "a_letter_arrives_by_smtp_in_both_forms"),
        ],
    ),
    hole("S19", "causes and refused values in answers", &[(SECURITY, "an_error_tells_no_cause_and_repeats_no_value")]),
    hole(
        "S20",
        "details of the machine for strangers",
        &[(SECURITY, "strangers_learn_of_the_machine_only_that_it_works")],
    ),
    hole(
        "S21",
        "a build empties the database",
        &[(SECURITY, "starting_anew_keeps_every_row"), (SECURITY, "no_migration_drops_what_is_for_ever")],
    ),
    hole("S22", "messages of no query are everybody's", &[(SECURITY, "an_id_that_is_none_stands_for_nothing")]),
    hole(
        "S23",
        "the body says which donor speaks",
        &[
            ("tests/it/journeys/donors.rs", "an_old_app_may_name_its_donor_where_the_desk_allows_it"),
            (SECURITY, "a_body_speaks_for_nobody"),
        ],
    ),
    hole(
        "R1",
        "two open queries of one donor",
        &[("tests/it/journeys/races.rs", "fifty_opens_of_one_donor_make_one_query")],
    ),
    hole("R2", "two who accept one query", &[("tests/it/journeys/races.rs", "fifty_accept_at_once_and_one_does")]),
    hole(
        "R3",
        "two calls about one query",
        &[
            ("tests/it/calls/begin.rs", "six_start_at_once_and_there_is_one_call_in_one_room"),
            ("tests/it/calls/provider.rs", "six_who_start_at_once_cost_one_room"),
        ],
    ),
    hole(
        "R4",
        "an accepted request without a call, or with two",
        &[
            ("tests/it/calls/provider.rs", "a_request_waits_for_a_provider_that_is_down"),
            (RACES, "many_who_accept_one_request_begin_one_call"),
        ],
    ),
    hole(
        "R5",
        "a query that blocks its donor after a failed call",
        &[("tests/it/calls/provider.rs", "a_query_is_not_opened_for_a_call_that_cannot_be_held")],
    ),
    hole(
        "R6",
        "half of a command",
        &[
            (RACES, "everything_that_a_command_does_is_one_append"),
            ("tests/it/log/append.rs", "two_streams_are_written_together_or_not_at_all"),
        ],
    ),
    hole(
        "R7",
        "a call that cannot end because its room cannot be closed",
        &[(RACES, "a_call_ends_while_its_provider_is_down_and_its_room_closes_later")],
    ),
    hole(
        "R8",
        "a second end of a call",
        &[
            (RACES, "a_call_that_many_end_at_once_ends_once"),
            ("tests/it/calls/ending.rs", "a_call_that_is_ended_twice_ended_once"),
        ],
    ),
    hole(
        "R9",
        "calls and requests paired by the clock",
        &[(RACES, "a_call_right_after_an_answered_request_is_a_call_of_its_own")],
    ),
    hole("R10", "a message undoes a resolve", &[(RACES, "a_message_never_undoes_a_resolve")]),
    hole("R11", "a call goes back in time", &[("tests/it/calls/ending.rs", "the_status_of_a_call_only_goes_on")]),
    hole(
        "R12",
        "timers that run on every node",
        &[("tests/it/reactions/timers.rs", "a_call_whose_time_is_up_ends_once_on_two_nodes_and_its_room_closes")],
    ),
    hole(
        "N1",
        "things that happen and are not told",
        &[
            (NOTICES, "nothing_that_happens_has_to_be_asked_for"),
            ("tests/it/socketio/events.rs", "what_else_happens_is_told_in_new_events"),
        ],
    ),
    hole(
        "N2",
        "what is told while nobody listens is lost",
        &[("tests/it/socketio/resume.rs", "staff_come_back_to_what_they_missed_in_order")],
    ),
    hole(
        "N3",
        "events that the dashboard does not know",
        &[(SOCKETS, "every_event_is_heard_under_every_name_with_all_that_is_read_of_it")],
    ),
    hole(
        "N4",
        "events told twice, in two shapes",
        &[(SOCKETS, "an_event_is_heard_once_however_many_reasons_there_are_to_hear_it")],
    ),
    hole(
        "N5",
        "an event that is promised and never told",
        &[(SOCKETS, "every_event_is_heard_under_every_name_with_all_that_is_read_of_it")],
    ),
    hole(
        "N6",
        "whoever a query is assigned to is not told",
        &[("tests/it/socketio/events.rs", "staff_in_the_room_hear_everything_once_under_both_names")],
    ),
    hole(
        "N7",
        "a bad token is nobody's",
        &[("tests/it/socketio/doors.rs", "a_token_that_is_not_good_is_refused_with_the_reason")],
    ),
    hole(
        "N8",
        "one slow provider delays everybody, a failed push is lost, dead devices stay",
        &[
            ("tests/it/reactions/carrying.rs", "a_channel_that_hangs_delays_no_other"),
            ("tests/it/reactions/carrying.rs", "what_fails_for_now_is_tried_again_and_left_to_staff_in_the_end"),
            ("tests/it/reactions/carrying.rs", "a_device_that_is_gone_is_forgotten_and_the_others_ring"),
        ],
    ),
    hole(
        "N9",
        "donors are never pushed",
        &[
            ("tests/it/people/push_tokens.rs", "a_donors_device_is_known_from_the_first_question"),
            ("tests/it/reactions/carrying.rs", "everybody_who_can_be_told_is_told_once"),
        ],
    ),
    hole(
        "N10",
        "nobody hears of a call about a query that nobody holds",
        &[(NOTICES, "a_donor_whom_nobody_serves_yet_is_heard_by_everybody")],
    ),
    hole("N11", "a reminder that reminds nobody", &[(NOTICES, "a_reminder_reaches_the_one_it_is_for")]),
    hole(
        "N12",
        "a status before its message, and without a change",
        &[(NOTICES, "a_status_is_told_after_its_message_and_only_when_it_changed")],
    ),
    hole("N13", "who transferred a query is not known", &[(NOTICES, "a_transfer_is_told_with_who_made_it")]),
    hole(
        "N14",
        "a second device replaces the first",
        &[("tests/it/people/devices.rs", "a_second_device_does_not_replace_the_first")],
    ),
    hole("C1", "nobody resolves, and messages have no author", &[(CORRECTNESS, "whoever_acts_is_named")]),
    hole("C2", "the target of a transfer can do nothing", &[(CORRECTNESS, "who_is_handed_a_query_holds_it")]),
    hole("C3", "the wrong resolver", &[(CORRECTNESS, "who_resolved_a_query_is_true")]),
    hole("C4", "an accepted query seems not to be", &[(CORRECTNESS, "an_answer_shows_what_the_command_did")]),
    hole("C5", "answers show the time before", &[(CORRECTNESS, "an_answer_shows_what_the_command_did")]),
    hole(
        "C6",
        "filters that do nothing, and ten rows at most",
        &[
            (QUERIES, "every_list_is_narrowed_by_the_filters_of_both_generations"),
            (QUERIES, "a_dashboard_that_asks_for_no_page_gets_more_than_ten_rows"),
        ],
    ),
    hole(
        "C7",
        "filters of messages that fail, and only fifty within reach",
        &[(MESSAGES, "conversations_are_read_from_every_side_newest_first")],
    ),
    hole("C8", "no body, no service", &[(CORRECTNESS, "a_body_that_says_nothing_may_be_left_out")]),
    hole(
        "C9",
        "pictures that are allowed and too big",
        &[("tests/it/people/avatars.rs", "a_picture_of_a_mebibyte_is_served_to_whoever_was_told_its_address")],
    ),
    hole("C10", "status codes that mean nothing", &[(QUERIES, "what_cannot_be_done_has_a_code_of_its_own")]),
    hole("C11", "any word for how a call is held", &[(CORRECTNESS, "how_a_call_is_held_is_one_of_few_words")]),
    hole(
        "C12",
        "calls that never expire",
        &[("tests/it/reactions/timers.rs", "a_call_whose_time_is_up_ends_once_on_two_nodes_and_its_room_closes")],
    ),
    hole(
        "C13",
        "the end of a call garbles its request",
        &[(CORRECTNESS, "the_end_of_an_answered_request_keeps_who_answered_and_drops_the_link")],
    ),
    hole(
        "C14",
        "a started call without its room",
        &[(DASHBOARD, "rows_18_and_19_a_conversation_is_shown_with_its_people_and_calls")],
    ),
    hole(
        "C15",
        "queries that cannot be deleted, and messages that are left",
        &[(CORRECTNESS, "a_query_is_deleted_with_its_call_and_its_conversation")],
    ),
    hole(
        "C16",
        "sockets that know another secret",
        &[("tests/it/socketio/doors.rs", "clients_of_both_generations_find_it_over_either_transport")],
    ),
];

#[test]
fn every_hole_is_shown_to_be_closed() {
    let mut wanted = [("S", 23), ("R", 12), ("N", 14), ("C", 16)]
        .into_iter()
        .flat_map(|(kind, count)| (1..=count).map(move |number| format!("{kind}{number}")));
    for Hole { number, fault, shown_by } in HOLES {
        assert_eq!(Some(*number), wanted.next().as_deref(), "{fault}");
        assert!(!shown_by.is_empty(), "nothing shows that {number} is not here: {fault}");
        for (file, test) in *shown_by {
            assert!(is_test(file, test), "{number} ({fault}): there is no test {test} in {file}");
        }
    }
    assert_eq!(wanted.next(), None);
}

/// Whether a file holds a function of this name with a test's attribute.
fn is_test(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let Ok(text) = std::fs::read_to_string(&path) else { return false };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| line.starts_with(&format!("fn {name}(")) || line.starts_with(&format!("async fn {name}("));
    lines.windows(2).any(|pair| is_it(pair[1]) && (pair[0] == "#[test]" || pair[0].starts_with("#[tokio::test")))
}
