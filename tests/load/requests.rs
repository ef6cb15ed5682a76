//! Requests per second and how long they take, each command with its read models applied.

use std::sync::Arc;

use crate::Effort;
use crate::client::Opened;
use crate::desk::Desk;
use crate::measure::hammer;

pub(crate) async fn run(desk: &Desk, effort: &Effort) {
    println!("requests (a command answers when the read models show it)");
    let token: Arc<str> = desk.staff_token().into();
    for &clients in &effort.clients {
        let client = desk.client();
        let open = move |_, _| {
            let client = client.clone();
            async move { client.open().await.is_some() }
        };
        hammer(clients, effort.time, open).await.print("open", clients);

        let queries: Arc<[Opened]> = open_queries(desk, clients).await.into();
        let (client, of_message) = (desk.client(), queries.clone());
        let message = move |number: usize, turn| {
            let (client, Opened { id, donor_token }) = (client.clone(), of_message[number].clone());
            async move { client.say(id, &donor_token, &format!("Message {turn}")).await }
        };
        hammer(clients, effort.time, message).await.print("message", clients);

        let (client, staff) = (desk.client(), token.clone());
        let life = move |_, _| {
            let (client, staff) = (client.clone(), staff.clone());
            async move {
                let Some(opened) = client.open().await else { return false };
                client.accept(opened.id, &staff).await && client.resolve(opened.id, &staff).await
            }
        };
        hammer(clients, effort.time, life).await.print("open + accept + resolve", clients);

        let (client, staff) = (desk.client(), token.clone());
        let get = move |number: usize, _| {
            let (client, staff) = (client.clone(), staff.clone());
            let path = format!("/api/v1/donor-queries/{}", queries[number].id);
            async move { client.get(&path, &staff).await }
        };
        hammer(clients, effort.time, get).await.print("get", clients);

        let (client, staff) = (desk.client(), token.clone());
        let list = move |_, _| {
            let (client, staff) = (client.clone(), staff.clone());
            async move { client.get("/api/v1/donor-queries/in-progress?limit=10", &staff).await }
        };
        hammer(clients, effort.time, list).await.print("list of ten", clients);
    }
    println!();
}

async fn open_queries(desk: &Desk, count: usize) -> Vec<Opened> {
    let client = desk.client();
    let mut opened = Vec::with_capacity(count);
    for _ in 0..count {
        opened.push(client.open().await.expect("a query opens"));
    }
    opened
}
