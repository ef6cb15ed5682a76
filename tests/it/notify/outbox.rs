//! The local mailbox and push log.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use proof_concierge::config::{Config, MailCarrier, PushCarrier, Secret};
use proof_concierge::database::{self, Purpose};
use proof_concierge::integrations::Outbox;
use proof_concierge::integrations::mail::{Mail, Mailer};
use proof_concierge::integrations::push::{Note, NoteKind, Push, Target, TargetKind};
use serde_json::json;

use crate::stubs::fcm::FcmStub;
use crate::stubs::sendgrid::SendGridStub;
use crate::support::database::database;
use crate::support::desk::desk_with;
use crate::support::node;

fn outbox(config: &Config) -> Outbox {
    Outbox::new(database::pool(&config.database_url, Purpose::Read, 4).unwrap())
}

fn letter(subject: &str) -> Mail {
    let [to, text, html] = ["ada@desk.example", "Plain.", "<p>Rich.</p>"].map(str::to_owned);
    Mail { to, subject: subject.to_owned(), text, html }
}

#[tokio::test]
async fn what_cannot_be_sent_is_kept_for_both_channels() {
    let database = database().await;
    let outbox = outbox(&node::config(&database));
    let push = Push::new(&PushCarrier::default(), outbox.clone()).unwrap();
    let mailer = Mailer::new(&MailCarrier::default(), outbox.clone()).unwrap();
    assert!(push.is_local() && mailer.is_local());

    let target = Target { kind: TargetKind::Token, value: Secret::new("a-token-that-is-long") };
    let data = BTreeMap::from([("queryId", "17".to_owned())]);
    let [title, body] = ["Hi", "Dora"].map(str::to_owned);
    push.send(&target, &Note { title, body, data, kind: NoteKind::CallRequest, is_private: false }).await;
    mailer.send(&letter("One"), "delivery-1").await;

    let note = outbox.notes(1).await.unwrap().remove(0);
    assert_eq!((note.device.as_str(), note.title.as_str(), note.body.as_str()), ("a-token-…", "Hi", "Dora"));
    assert_eq!((note.details.kind.as_str(), note.details.data["queryId"].as_str()), ("callRequest", "17"));
    let mail = outbox.mails(1).await.unwrap().remove(0);
    assert_eq!((mail.to.as_str(), mail.subject.as_str(), mail.text.as_str()), ("ada@desk.example", "One", "Plain."));
    assert_eq!((mail.details.html.as_str(), mail.details.message_id.as_str()), ("<p>Rich.</p>", "delivery-1"));
}

#[tokio::test]
async fn the_last_two_hundred_of_each_are_kept() {
    let database = database().await;
    let outbox = outbox(&node::config(&database));
    let mailer = Mailer::new(&MailCarrier::default(), outbox.clone()).unwrap();
    for round in 0..21 {
        let letters: Vec<_> = (0..10).map(|_| letter(&format!("Round {round}"))).collect();
        join_all(letters.iter().map(|letter| mailer.send(letter, "delivery-1"))).await;
    }
    mailer.send(&letter("Last"), "delivery-2").await;
    let mails = outbox.mails(500).await.unwrap();
    assert_eq!((mails.len(), mails[0].subject.as_str()), (200, "Last"));
    assert!(mails.iter().all(|mail| mail.subject != "Round 0"));
    let rows: i64 = sqlx::query_scalar("select count(*) from local_outbox").fetch_one(&database.pool).await.unwrap();
    assert_eq!(rows, 200);
}

#[tokio::test]
async fn super_admins_look_at_the_outbox_while_something_is_kept_there() {
    let mut config = None;
    let desk = desk_with(|its| config = Some(its.clone())).await;
    let (sue, ada) = (desk.staff("sue").await, desk.staff("ada").await);
    let mailer = Mailer::new(&MailCarrier::default(), outbox(&config.unwrap())).unwrap();
    for subject in ["One", "Two"] {
        mailer.send(&letter(subject), "delivery-1").await;
    }
    let shown = sue.get("/api/v1/local/outbox").await.expect(200);
    assert_eq!((shown.at("/data/mail/0/subject"), shown.at("/data/mail/1/subject")), (&json!("Two"), &json!("One")));
    assert_eq!((shown.at("/data/mail/0/messageId"), shown.at("/data/push")), (&json!("delivery-1"), &json!([])));
    let fewer = sue.get("/api/v1/local/outbox?limit=1").await.expect(200);
    assert_eq!(fewer.at("/data/mail").as_array().unwrap().len(), 1);
    ada.get("/api/v1/local/outbox").await.expect(403);
}

#[tokio::test]
async fn a_desk_that_sends_everything_shows_no_outbox() {
    let (push, mail) = (FcmStub::start().await.settings(), SendGridStub::start().await.settings());
    let desk = desk_with(|config| (config.push, config.mail) = (push, mail)).await;
    desk.staff("sue").await.get("/api/v1/local/outbox").await.expect(404);
}
