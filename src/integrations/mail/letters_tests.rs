//! Every letter as its snapshot says, and what hostile words cannot do.

use aggregates::ids::DonorId;
use aggregates::testing::{NOON, QUERY, ada};
use aggregates::vocabulary::QueryStatus;

use super::*;

const DESK: &str = "https://desk.example/";

fn facts() -> QueryFacts {
    QueryFacts {
        query: QUERY,
        donor_id: DonorId::new("d-1"),
        donor: "Dora".to_owned(),
        test: "Cheek swab".to_owned(),
        stage: "Collection".to_owned(),
        device: "iPhone 15".to_owned(),
        status: QueryStatus::InProgress,
        at: NOON,
        words: Some("Where does the sample go?\nThe box is closed.".to_owned()),
        message: None,
    }
}

fn letters() -> [(&'static str, Letter); 5] {
    let by = ada().as_ref();
    [
        ("query_opened", Letter::QueryOpened),
        ("query_transferred", Letter::QueryTransferred { by: by.clone() }),
        ("query_reminded", Letter::QueryReminded { by }),
        ("call_requested", Letter::CallRequested { mode: CallMode::Audio }),
        ("call_attached", Letter::CallAttached { mode: CallMode::Video }),
    ]
}

#[test]
fn every_letter_is_written_as_its_snapshot_says() {
    for (name, occasion) in letters() {
        let mail = letter(&occasion, "ada@desk.example", &facts(), DESK);
        let written = format!("To: {}\nSubject: {}\n\n{}\n{}", mail.to, mail.subject, mail.text, mail.html);
        insta::assert_snapshot!(name, written);
    }
}

#[test]
fn what_a_donor_writes_is_never_markup() {
    let hostile = "<img src=x onerror=\"alert('1')\">&";
    let facts = QueryFacts {
        donor_id: DonorId::new(hostile),
        donor: hostile.to_owned(),
        test: hostile.to_owned(),
        stage: hostile.to_owned(),
        device: hostile.to_owned(),
        words: Some(hostile.to_owned()),
        ..facts()
    };
    for (name, occasion) in letters() {
        let html = letter(&occasion, "ada@desk.example", &facts, DESK).html;
        assert!(!html.contains("<img") && !html.contains("onerror=\""), "{name}: {html}");
        assert!(html.contains("&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;"), "{name}: {html}");
    }
}

#[test]
fn a_line_break_in_a_name_begins_no_header_and_no_row() {
    let facts = QueryFacts { donor: "Dora\r\nBcc: everybody@example.org\nTest: none".to_owned(), ..facts() };
    for (name, occasion) in letters() {
        let mail = letter(&occasion, "ada@desk.example", &facts, DESK);
        assert!(!mail.subject.contains(['\r', '\n']), "{name}: {:?}", mail.subject);
        assert!(
            mail.text.lines().all(|line| !line.starts_with("Bcc") && line != "Test: none"),
            "{name}: {}",
            mail.text
        );
    }
}

#[test]
fn a_long_name_is_cut_between_characters() {
    let facts = QueryFacts { donor: "ä".repeat(500), ..facts() };
    let subject = letter(&Letter::QueryOpened, "ada@desk.example", &facts, DESK).subject;
    assert_eq!(subject.chars().count(), SUBJECT + 1);
    assert!(subject.ends_with("ä…"), "{subject}");
}
