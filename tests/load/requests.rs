//! Requests per second, how long they take, and which process spends how much on each. A command answers when the read
//! models show it, unless it asked not to wait.

use crate::Effort;
use crate::client::Client;
use crate::desk::Desk;
use crate::facts::MESSAGES;
use crate::machine::Spent;
use crate::measure::hammer;
use crate::report::Report;

/// A page of a list.
pub(crate) const LIST: &str = "/api/v1/donor-queries/in-progress?limit=10";

pub(crate) fn run(desk: &Desk, effort: &Effort, report: &mut Report) {
    let staff = desk.staff_token();
    for &clients in &effort.clients {
        let queries = desk.open_queries(clients);
        let ordinary = desk.open_conversations(clients, MESSAGES);
        let mut round = Round { desk, effort, report, clients };
        round.measure("open", async |client, _, _| client.opens().await);
        let opens_and_goes_on = async |client: &mut Client, _, _| {
            client.respond_async();
            client.opens().await
        };
        round.measure("open, respond-async", opens_and_goes_on);
        desk.catch_up();
        let says = async |client: &mut Client, number: usize, turn| {
            let query = &queries[number];
            client.say(query.id, &query.donor_token, format_args!("Message {turn}")).await
        };
        round.measure("message", says);
        let lives = async |client: &mut Client, _, _| {
            let Some(opened) = client.open().await else { return false };
            client.accept(opened.id, staff).await && client.resolve(opened.id, staff).await
        };
        round.measure("open + accept + resolve", lives);
        let gets = async |client: &mut Client, number: usize, _| {
            client.get(format_args!("/api/v1/donor-queries/{}", ordinary[number].id), staff).await
        };
        round.measure("get", gets);
        let gets_much = async |client: &mut Client, number: usize, _| {
            client.get(format_args!("/api/v1/donor-queries/{}", queries[number].id), staff).await
        };
        round.measure("get, 50 messages", gets_much);
        round.measure("list of ten", async |client, _, _| client.get(LIST, staff).await);
    }
}

/// Everything at one number of clients.
struct Round<'a> {
    desk: &'a Desk,
    effort: &'a Effort,
    report: &'a mut Report,
    clients: usize,
}

impl Round<'_> {
    fn measure(&mut self, what: &str, once: impl AsyncFn(&mut Client, usize, usize) -> bool) {
        let before = self.desk.spent();
        let timings = hammer(self.desk.address(), self.clients, self.effort.time, once);
        let spent = self.desk.spent().since(before, timings.per_second() * self.effort.time.as_secs_f64());
        self.report.timings("requests", what, self.clients, &timings);
        for (name, spent) in Spent::NAMES.into_iter().zip(spent) {
            self.report.note("requests", what, self.clients, name, spent);
        }
    }
}
