//! What was planned is carried: once if nothing fails, at least once whatever fails.

use aggregates::donor_query::DonorQueryCommand;
use aggregates::ids::QueryId;
use aggregates::people::{Role, Staff};
use aggregates::recorded::PARTITIONS;
use chrono::{DateTime, TimeDelta, Utc};
use projections::Projection;
use proof_concierge::accounts::devices::DeviceKind;
use proof_concierge::config::MailCarrier;
use proof_concierge::projector::rebuild::rebuild;

use super::{LIMIT, desk, timers};
use crate::stubs::fcm::{FcmStub, fault};
use crate::stubs::smtp::{BadDay, SmtpStub};
use crate::support::eventually::eventually;
use crate::support::node;

/// Makes recording a success wait for as long as somebody holds the advisory lock 77.
const HOLD_SUCCESSES: &str = "
    create function hold_success() returns trigger language plpgsql as $$
    begin
        if new.state = 'sent' then
            perform pg_advisory_xact_lock(77);
        end if;
        return new;
    end
    $$;
    create trigger hold_success before update on deliveries for each row execute function hold_success()";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_who_can_be_told_is_told_once() {
    let desk = desk().await;
    let node = desk.node().await;
    let query = node.opened_by("d-1").await;
    desk.settled().await;
    let (notes, mails) = (desk.notes().await, desk.mails().await);
    assert_eq!(notes.len(), 1, "{notes:#?}");
    assert_eq!(notes[0].details.data["queryId"], query.to_string());
    assert_eq!(mails.len(), 1, "{mails:#?}");
    assert_eq!(mails[0].to, "ada@example.org");
    assert_eq!(desk.deliveries("state = 'sent'").await, 2);
    assert_eq!(desk.deliveries("state = 'skipped' and target = 'holder'").await, 1, "nobody holds it who would read");
    assert_eq!(desk.deliveries("true").await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_to_tell_is_no_failure() {
    let desk = desk().await;
    desk.devices.clear_staff(desk.ada.id).await.unwrap();
    let node = desk.node().await;
    node.opened_by("d-1").await;
    desk.settled().await;
    let told_nobody = "state = 'skipped' and reason = 'nobody to tell' and target = 'all-staff'";
    assert_eq!(desk.deliveries(told_nobody).await, 1);
    assert_eq!(desk.deliveries("channel = 'mail' and state = 'sent'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_dies_between_sending_and_recording_is_followed_by_another() {
    let desk = desk().await;
    desk.execute(HOLD_SUCCESSES).await;
    let mut holder = desk.database.pool.acquire().await.unwrap();
    sqlx::query("select pg_advisory_lock(77)").execute(&mut *holder).await.unwrap();
    let first = desk.node().await;
    first.opened_by("d-1").await;
    eventually(LIMIT, async || desk.mails().await.len(), |mails| *mails == 1).await;
    let held = "pg_stat_activity
        where datname = current_database() and wait_event = 'advisory' and query like 'update deliveries%'";
    eventually(LIMIT, async || desk.count(held).await, |held| *held == 2).await;
    eventually(LIMIT, async || desk.deliveries("state = 'skipped'").await, |skipped| *skipped == 1).await;
    drop(first);
    // Its connections die with it; the leases run out.
    desk.execute(&format!("select pg_terminate_backend(pid) from {held}")).await;
    sqlx::query("select pg_advisory_unlock(77)").execute(&mut *holder).await.unwrap();
    let rows = desk.deliveries("true").await;
    assert_eq!(desk.deliveries("state = 'pending' and attempts = 1").await, 2);
    desk.execute("update deliveries set due_at = now() where state = 'pending'").await;
    let _second = desk.node().await;
    desk.settled().await;
    assert_eq!(desk.deliveries("state = 'sent' and attempts = 2").await, 2);
    assert_eq!(desk.deliveries("true").await, rows, "no second rows");
    assert_eq!(desk.mails().await.len(), 2, "at least once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_share_the_work_and_send_nothing_twice() {
    let desk = desk().await;
    let (one, other) = (desk.node().await, desk.node().await);
    for donor in 0..20 {
        let node = if donor % 2 == 0 { &one } else { &other };
        node.opened_by(&format!("d-{donor}")).await;
    }
    desk.settled().await;
    assert_eq!((desk.notes().await.len(), desk.mails().await.len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_letter_is_sent_when_staff_ask() {
    let (desk, smtp) = (desk().await, SmtpStub::start().await);
    smtp.spoil(BadDay::Refuses(550));
    let node = desk.node_with(|config| config.mail = smtp.settings()).await;
    node.opened_by("d-1").await;
    eventually(LIMIT, async || desk.deliveries("state = 'dead' and attempts = 1").await, |dead| *dead == 1).await;
    let ada = node.ada().await;
    let dead = ada.get("/api/v1/deliveries?state=dead&channel=mail").await.expect(200);
    let id = dead.at("/data/0/id").as_i64().unwrap();
    assert_eq!(dead.at("/data/0/kind"), "query_opened");
    assert!(dead.at("/data/0/reason").as_str().unwrap().contains("550"), "{dead}");
    let again = ada.post(&format!("/api/v1/deliveries/{id}/redeliver"), &serde_json::json!({})).await.expect(200);
    assert_eq!(again.at("/data/state"), "pending");
    let sent = format!("id = {id} and state = 'sent' and attempts = 1 and reason is null");
    eventually(LIMIT, async || desk.deliveries(&sent).await, |sent| *sent == 1).await;
    let letters = smtp.letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].to, ["ada@example.org"]);
    assert!(letters[0].text.contains(&format!("delivery-{id}@")), "named after its delivery: {}", letters[0].text);
    assert!(letters[0].text.contains("Where does the sample go?"), "{}", letters[0].text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_fails_for_now_is_tried_again_and_left_to_staff_in_the_end() {
    let (desk, smtp) = (desk().await, SmtpStub::start().await);
    (0..2).for_each(|_| smtp.spoil(BadDay::Refuses(451)));
    let node = desk.node_with(|config| config.mail = smtp.settings()).await;
    node.opened_by("d-1").await;
    let failing = "target like 'mailbox:%' and state = 'pending' and attempts = 1 and due_at > now() + interval '30 s'";
    eventually(LIMIT, async || desk.deliveries(failing).await, |failing| *failing == 1).await;
    desk.execute("update deliveries set attempts = 7, due_at = now() where target like 'mailbox:%'").await;
    eventually(LIMIT, async || desk.deliveries("state = 'dead' and attempts = 8").await, |dead| *dead == 1).await;
    assert!(smtp.letters().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_that_is_gone_is_forgotten_and_the_others_ring() {
    let (desk, fcm) = (desk().await, FcmStub::start().await);
    desk.devices.register_staff(desk.ada.id, DeviceKind::Token, "ada-tablet-0123456789-0123").await.unwrap();
    fcm.answer(fault(404, "UNREGISTERED"));
    let node = desk.node_with(|config| config.push = fcm.settings()).await;
    node.opened_by("d-1").await;
    desk.settled().await;
    assert_eq!(desk.deliveries("state = 'skipped' and reason = 'the device is gone'").await, 1);
    assert_eq!(desk.deliveries("state = 'sent' and channel = 'push'").await, 1);
    assert_eq!(desk.devices.of_staff(&[desk.ada.id]).await.unwrap().len(), 1);
    node.opened_by("d-2").await;
    desk.settled().await;
    assert_eq!(desk.deliveries("state = 'sent' and channel = 'push'").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rebuilding_every_read_model_tells_nobody_anything() {
    let desk = desk().await;
    let node = desk.node().await;
    node.opened_by("d-1").await;
    desk.settled().await;
    let before = desk.deliveries("true").await;
    for projection in Projection::ALL {
        let log = node::log(&desk.database);
        rebuild(&log, &desk.config.database_url, *projection, |_, _| {}).await.unwrap();
    }
    // A later fact passes everything that a rebuild could have planned.
    node.opened_by("d-2").await;
    desk.settled().await;
    assert_eq!(desk.deliveries("true").await, 2 * before);
    assert_eq!((desk.notes().await.len(), desk.mails().await.len()), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_not_worth_telling_any_more_is_skipped() {
    let desk = desk().await;
    // A node that does everything but tell.
    let quiet = desk.node_with(|config| config.roles.reactions = false).await;
    let query = quiet.opened_by("d-1").await;
    let super_admin = Staff { role: Role::SuperAdmin, ..desk.ada.clone() };
    desk.dispatch(query, DonorQueryCommand::DeleteQuery { by: super_admin, at: now() }).await;
    let _node = desk.node().await;
    desk.settled().await;
    assert_eq!(desk.deliveries("state = 'skipped' and reason = 'the query was deleted'").await, 3);
    assert_eq!((desk.notes().await.len(), desk.mails().await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_concluded_from_rows_that_a_crash_took_back() {
    let desk = desk().await;
    let quiet = desk.node_with(|config| config.roles.reactions = false).await;
    let (absent, older) = (quiet.opened_by("d-1").await, quiet.opened_by("d-2").await);
    desk.execute("create table earlier as select * from read.queries").await;
    timers::call(&desk, older, now() + TimeDelta::hours(1)).await;
    let ringing = format!("read.queries where query_id = {older} and active_call_id is not null");
    eventually(LIMIT, async || desk.count(&ringing).await, |ringing| *ringing == 1).await;
    // The database lost its last commits to read models, and everybody still believes what was announced.
    desk.execute(&format!(
        "create table later as select * from read.queries;
         delete from read.queries;
         insert into read.queries select * from earlier where query_id <> {absent}"
    ))
    .await;
    let _node = desk.node().await;
    let planned = "reaction_checkpoint where position = (select max(position) from events)";
    eventually(LIMIT, async || desk.count(planned).await, |planned| *planned == 1).await;
    let concluded = "state = 'skipped' and reason <> 'nobody to tell'";
    assert_eq!(desk.deliveries(concluded).await, 0);
    desk.execute("delete from read.queries; insert into read.queries select * from later").await;
    desk.settled().await;
    assert_eq!(desk.deliveries(concluded).await, 0);
    assert_eq!((desk.notes().await.len(), desk.mails().await.len()), (3, 2), "two questions, and a call that rings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_the_read_models_show_does_not_wait_for_what_stops_them() {
    let desk = desk().await;
    let quiet = desk.node_with(|config| config.roles.reactions = false).await;
    let query = quiet.opened_by("d-1").await;
    // Nobody opened it, so its partition, which is also the other's, is stopped from here on.
    desk.append_orphan(QueryId::new(query.get() + i64::from(PARTITIONS))).await;
    eventually(LIMIT, async || desk.count("projection_dead_letters").await, |stopped| *stopped > 0).await;
    let _node = desk.node().await;
    eventually(LIMIT, async || desk.deliveries("state = 'sent'").await, |sent| *sent == 2).await;
    assert_eq!((desk.notes().await.len(), desk.mails().await.len()), (1, 1));
    let waiting = "state = 'pending' and target = 'donor' and due_at > now() + interval '5 seconds'";
    eventually(LIMIT, async || desk.deliveries(waiting).await, |waiting| *waiting == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_is_to_be_told_is_asked_again_soon_after_the_database_failed() {
    let desk = desk().await;
    desk.execute("alter table devices rename to lost_devices").await;
    let node = desk.node().await;
    node.opened_by("d-1").await;
    let put_off = "state = 'pending' and target = 'all-staff' and attempts = 0
        and due_at between created_at + interval '500 milliseconds' and now() + interval '2 seconds'";
    eventually(LIMIT, async || desk.deliveries(put_off).await, |put_off| *put_off == 2).await;
    desk.execute("alter table lost_devices rename to devices").await;
    desk.settled().await;
    assert_eq!((desk.notes().await.len(), desk.mails().await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_node_of_the_version_before_plans_is_spread() {
    let desk = desk().await;
    let quiet = desk.node_with(|config| config.roles.reactions = false).await;
    quiet.opened_by("d-1").await;
    desk.execute(
        "insert into deliveries (position, query_id, effect, channel, target, payload, due_at)
         select position, query_id, 0, 'push', 'all-staff',
             jsonb_build_object('at', recorded_at, 'push', jsonb_build_object('kind', 'query_opened')), now()
         from events
         where event_type = 'QueryOpened'",
    )
    .await;
    let _node = desk.node().await;
    desk.settled().await;
    assert_eq!(desk.notes().await.len(), 1);
    assert_eq!(desk.deliveries("target = 'all-staff' and channel = 'push'").await, 0, "a row for each device instead");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_note_that_waited_too_long_is_not_shown() {
    let desk = desk().await;
    let node = desk.node().await;
    desk.execute("alter table local_outbox rename to broken_outbox").await;
    node.opened_by("d-1").await;
    let failing = "target like 'staff-device:%' and reason is not null";
    eventually(LIMIT, async || desk.deliveries(failing).await, |failing| *failing == 1).await;
    desk.execute("update deliveries set expires_at = now(), due_at = now() where channel = 'push'").await;
    let late = "channel = 'push' and state = 'skipped' and reason = 'too late'";
    eventually(LIMIT, async || desk.deliveries(late).await, |late| *late == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_channel_that_hangs_delays_no_other() {
    let (desk, smtp) = (desk().await, SmtpStub::start().await);
    (0..8).for_each(|_| smtp.spoil(BadDay::Silent));
    let patient = MailCarrier { timeout_ms: 20_000, ..smtp.settings() };
    let node = desk.node_with(|config| config.mail = patient).await;
    for donor in 0..8 {
        let query = node.opened_by(&format!("d-{donor}")).await;
        if donor == 7 {
            // Its time is up at once, so its room closes.
            timers::call(&desk, query, now()).await;
        }
    }
    let told = "state = 'sent' and (channel = 'room' or target like 'staff-device:%')";
    eventually(LIMIT, async || desk.deliveries(told).await, |told| *told >= 9).await;
    assert_eq!(desk.deliveries("channel = 'mail' and state = 'sent'").await, 0, "letters hang");
}

fn now() -> DateTime<Utc> {
    Utc::now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_word_from_a_colleague_reaches_their_devices_and_nobody_elses() {
    let desk = desk().await;
    desk.devices.register_staff(desk.ben.id, DeviceKind::Token, "ben-0123456789-0123456789").await.unwrap();
    let _node = desk.node().await;
    desk.chat(&desk.ben, &desk.ada, "Lunch at one?").await;
    desk.settled().await;
    let notes = desk.notes().await;
    assert_eq!(notes.len(), 1, "{notes:#?}");
    assert_eq!(notes[0].details.data["senderId"], desk.ben.id.to_string());
    assert_eq!(notes[0].details.data.get("queryId"), None);
    assert_eq!(desk.deliveries(&format!("state = 'sent' and target like 'staff-device:{}:%'", desk.ada.id)).await, 1);
    let told = desk.count("deliveries where payload::text like '%Lunch%'").await;
    assert_eq!(told, 0, "a row holds nobody's words");
}
