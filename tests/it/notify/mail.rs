//! Mail by SMTP and by SendGrid: what arrives, and what refusals mean.

use std::time::Duration;

use proof_concierge::config::{MailCarrier, Secret};
use proof_concierge::integrations::Outcome;
use proof_concierge::integrations::mail::{Mail, Mailer};
use serde_json::json;

use super::{failed, no_outbox, sent, why};
use crate::stubs::sendgrid::SendGridStub;
use crate::stubs::smtp::{BadDay, SmtpStub, settings_at};
use crate::support::mailbox::Mailbox;

fn mailer(settings: &MailCarrier) -> Mailer {
    Mailer::new(settings, no_outbox()).unwrap()
}

fn letter() -> Mail {
    Mail {
        to: "ada@desk.example".to_owned(),
        subject: "New query #17".to_owned(),
        text: "Dora asks for help.\n.\nThe line above is one dot.\n".to_owned(),
        html: "<p>Dora asks for help.</p>\n".to_owned(),
    }
}

#[tokio::test]
async fn a_letter_arrives_by_smtp_in_both_forms() {
    let stub = SmtpStub::start().await;
    let mailer = mailer(&stub.settings_with_credentials());
    assert_eq!(mailer.send(&letter(), "delivery-7").await, sent("<delivery-7@desk.example>"));

    let received = stub.letters().remove(0);
    assert_eq!(
        (received.from.as_str(), received.to.as_slice()),
        ("desk@desk.example", &["ada@desk.example".to_owned()][..])
    );
    assert_eq!(received.user.as_deref(), Some("desk"));
    let text = received.text;
    for line in [
        "From: \"Proof Desk\" <desk@desk.example>\r\n",
        "To: ada@desk.example\r\n",
        "Subject: New query #17\r\n",
        "Message-ID: <delivery-7@desk.example>\r\n",
        "Content-Type: multipart/alternative;",
        "\r\nDora asks for help.\r\n.\r\nThe line above is one dot.\r\n",
        "\r\n<p>Dora asks for help.</p>\r\n",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
    let (plain, html) = (text.find("text/plain").unwrap(), text.find("text/html").unwrap());
    assert!(plain < html, "the last form is the one shown: {text}");
}

#[tokio::test]
async fn a_mail_server_that_others_wrote_takes_a_letter() {
    let mailbox = Mailbox::start().await;
    let settings = settings_at(&mailbox.address);
    let letter = Mail { subject: "Für Dörte".to_owned(), text: "Grüße\n.\nvom Tisch\n".to_owned(), ..letter() };
    assert_eq!(mailer(&settings).send(&letter, "delivery-9").await, sent("<delivery-9@desk.example>"));
    let letters = mailbox.letters();
    let [received] = letters.as_slice() else { panic!("one letter, not {letters:?}") };
    for part in [
        "X-RcptTo: ada@desk.example",
        "Subject: =?utf-8?b?RsO8ciBEw7ZydGU=?=",
        // The text in base64, its lone dot included.
        "R3LDvMOfZQ0KLg0Kdm9tIFRpc2NoDQo=",
        "<p>Dora asks for help.</p>",
    ] {
        assert!(received.contains(part), "no {part:?} in {received}");
    }
}

#[tokio::test]
async fn words_of_any_alphabet_travel_as_ascii_and_begin_no_header() {
    let stub = SmtpStub::start().await;
    let letter = Mail { subject: "Für Dörte\r\nBcc: x@y.example".to_owned(), text: "Grüße".to_owned(), ..letter() };
    mailer(&stub.settings()).send(&letter, "delivery-8").await;
    let received = stub.letters().remove(0);
    assert!(received.text.is_ascii() && received.text.contains("Subject: =?utf-8?"), "{}", received.text);
    assert!(!received.text.lines().any(|line| line.starts_with("Bcc")), "{}", received.text);
    assert_eq!(received.to, ["ada@desk.example"]);
}

#[tokio::test]
async fn an_smtp_server_refuses_for_now_or_for_good() {
    let stub = SmtpStub::start().await;
    let mailer = mailer(&stub.settings());
    stub.spoil(BadDay::Refuses(451));
    let later = mailer.send(&letter(), "delivery-9").await;
    assert_eq!(later, Outcome::Later { after: None, why: "the SMTP server answered 451".to_owned() });
    stub.spoil(BadDay::Refuses(550));
    assert_eq!(mailer.send(&letter(), "delivery-9").await, failed("the SMTP server answered 550"));
    stub.spoil(BadDay::HangsUp);
    let outcome = mailer.send(&letter(), "delivery-9").await;
    assert!(matches!(outcome, Outcome::Later { .. }), "{outcome:?}");
    assert_eq!(mailer.send(&letter(), "delivery-9").await, sent("<delivery-9@desk.example>"));
    assert_eq!(stub.letters().len(), 1);
}

#[tokio::test]
async fn an_smtp_server_that_falls_silent_is_left() {
    let stub = SmtpStub::start().await;
    let mailer = mailer(&MailCarrier { timeout_ms: 100, ..stub.settings() });
    stub.spoil(BadDay::Silent);
    let outcome = mailer.send(&letter(), "delivery-10").await;
    assert_eq!(outcome, Outcome::Later { after: None, why: "the SMTP server did not answer in time".to_owned() });
    assert_eq!(mailer.send(&letter(), "delivery-10").await, sent("<delivery-10@desk.example>"));
    // It had taken the first one as well; both carry one name.
    let name = "Message-ID: <delivery-10@desk.example>\r\n";
    assert_eq!(stub.letters().iter().filter(|letter| letter.text.contains(name)).count(), 2);
}

#[tokio::test]
async fn an_smtp_server_out_of_reach_and_a_wrong_password_are_told_apart() {
    let stub = SmtpStub::start().await;
    let wrong = mailer(&stub.settings_with("wrong"));
    assert_eq!(wrong.send(&letter(), "delivery-11").await, failed("the SMTP server answered 535"));
    let nowhere = MailCarrier { smtp_url: Secret::new("smtp://127.0.0.1:1"), ..stub.settings() };
    assert_eq!(why(&mailer(&nowhere).send(&letter(), "delivery-11").await), "the SMTP server cannot be reached");
}

#[tokio::test]
async fn a_letter_arrives_by_sendgrid() {
    let stub = SendGridStub::start().await;
    let mailer = mailer(&stub.settings());
    assert_eq!(mailer.send(&letter(), "delivery-12").await, sent("sg-1"));
    let mail = stub.mails().remove(0);
    assert_eq!(mail["from"], json!({ "email": "desk@desk.example", "name": "Proof Desk" }));
    assert_eq!(mail["personalizations"][0]["to"], json!([{ "email": "ada@desk.example" }]));
    assert_eq!(mail["personalizations"][0]["custom_args"]["delivery"], "delivery-12");
    assert_eq!(mail["headers"]["Message-ID"], "<delivery-12@desk.example>");
    assert_eq!((&mail["subject"], &mail["content"][1]["value"]), (&json!("New query #17"), &json!(letter().html)));
}

#[tokio::test]
async fn sendgrid_refuses_for_now_or_for_good() {
    let stub = SendGridStub::start().await;
    let sendgrid = mailer(&stub.settings());
    let later = |seconds: Option<u64>, why: &str| Outcome::Later {
        after: seconds.map(Duration::from_secs),
        why: why.to_owned(),
    };
    for (status, retry_after, expected) in [
        (429, Some(30), later(Some(30), "SendGrid answered 429")),
        (500, None, later(None, "SendGrid answered 500")),
        (503, None, later(None, "SendGrid answered 503")),
        (400, None, failed("SendGrid answered 400")),
        (413, None, failed("SendGrid answered 413")),
    ] {
        stub.refuse(status, retry_after);
        assert_eq!(sendgrid.send(&letter(), "delivery-13").await, expected);
    }
    let stranger = MailCarrier { sendgrid_api_key: Secret::new("SG.stranger"), ..stub.settings() };
    assert_eq!(mailer(&stranger).send(&letter(), "delivery-13").await, failed("SendGrid answered 401"));
    assert!(stub.mails().is_empty());
}

#[tokio::test]
async fn a_carrier_needs_a_sender_and_a_letter_an_address() {
    let stub = SendGridStub::start().await;
    let error = Mailer::new(&MailCarrier { from: String::new(), ..stub.settings() }, no_outbox()).unwrap_err();
    assert_eq!(error.to_string(), "CONCIERGE_MAIL__FROM is not a mail address");
    let hostile = MailCarrier { smtp_url: Secret::new("http://user:secret@host"), ..stub.settings() };
    let error = Mailer::new(&hostile, no_outbox()).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    for to in ["", "ada", "ada@desk.example\r\nRCPT TO:<x@y.example>", "ada@desk.example, ben@desk.example"] {
        let outcome = mailer(&stub.settings()).send(&Mail { to: to.to_owned(), ..letter() }, "delivery-14").await;
        assert_eq!(outcome, failed("the recipient has no usable address"), "{to}");
    }
}
