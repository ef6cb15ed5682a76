//! What letters say. Pure: the same occasion and facts give the same letter.
//!
//! A letter is laid out once, as [`Page`], and written twice, plain and as HTML. Whatever people wrote is escaped there,
//! and kept on one line where a line is all there is room for.

use std::fmt::Write;

use aggregates::policy::Letter;
use aggregates::vocabulary::CallMode;

use super::Mail;
use crate::integrations::QueryFacts;

/// The most characters of a subject.
const SUBJECT: usize = 150;

/// A letter before it is written.
struct Page<'a> {
    subject: String,
    opening: String,
    /// What the query is about: labels and values.
    rows: Vec<(&'static str, &'a str)>,
    /// The words that go with it, and what they are.
    words: Option<(&'static str, &'a str)>,
}

/// The letter that tells the person at `to` of something. It links to the query's page of the dashboard at
/// `frontend_url`.
pub fn letter(letter: &Letter, to: &str, facts: &QueryFacts, frontend_url: &str) -> Mail {
    let page = page(letter, facts);
    let link = format!("{}/donor-queries/{}", frontend_url.trim_end_matches('/'), facts.query);
    Mail { to: to.to_owned(), subject: one_line(&page.subject), text: plain(&page, &link), html: html(&page, &link) }
}

fn page<'a>(letter: &Letter, facts: &'a QueryFacts) -> Page<'a> {
    let (query, donor, test) = (facts.query, &facts.donor, &facts.test);
    let (subject, opening, label) = match letter {
        Letter::QueryOpened => {
            (format!("New query #{query}: {test} - {donor}"), format!("{donor} asks for help."), Some("Question"))
        }
        Letter::QueryTransferred { by } => (
            format!("Query #{query} was handed to you - {donor}"),
            format!("{} handed the query of {donor} to you.", by.name),
            Some("Note"),
        ),
        Letter::QueryReminded { by } => (
            format!("Reminder: query #{query} waits for you - {donor}"),
            format!("{} reminds you: the query of {donor} still waits for you.", by.name),
            None,
        ),
        Letter::CallRequested { mode } => (
            format!("Call request for query #{query} - {donor}"),
            format!("{donor} asks for a call ({}).", spoken(*mode)),
            Some("Message"),
        ),
        Letter::CallAttached { mode } => (
            format!("Direct call ({}) in query #{query} - {donor}", spoken(*mode)),
            format!("{donor} is calling ({}).", spoken(*mode)),
            None,
        ),
    };
    let words = facts.words.as_deref().filter(|words| !words.trim().is_empty());
    Page { subject, opening, rows: rows(letter, facts), words: label.zip(words) }
}

/// Who reads of a new query or takes one over needs to know the circumstances; who holds one knows them.
fn rows<'a>(letter: &Letter, facts: &'a QueryFacts) -> Vec<(&'static str, &'a str)> {
    let mut rows = vec![("Donor", facts.donor.as_str()), ("Donor ID", facts.donor_id.as_str()), ("Test", &facts.test)];
    match letter {
        Letter::QueryOpened | Letter::QueryTransferred { .. } => {
            rows.extend([("Stage", facts.stage.as_str()), ("Device", facts.device.as_str())]);
        }
        Letter::QueryReminded { .. } | Letter::CallRequested { .. } | Letter::CallAttached { .. } => {}
    }
    rows
}

fn plain(page: &Page<'_>, link: &str) -> String {
    let mut text = format!("{}\n\n", flat(&page.opening));
    for (label, value) in &page.rows {
        line(&mut text, format_args!("{label}: {}", flat(value)));
    }
    if let Some((label, words)) = page.words {
        line(&mut text, format_args!("\n{label}:"));
        for said in words.trim().lines() {
            line(&mut text, format_args!("> {}", flat(said)));
        }
    }
    line(&mut text, format_args!("\nOpen it: {link}"));
    text
}

fn html(page: &Page<'_>, link: &str) -> String {
    let mut html = String::from("<!doctype html>\n<html lang=\"en\"><body style=\"font-family: sans-serif\">\n");
    line(&mut html, format_args!("<p>{}</p>", escaped(&flat(&page.opening))));
    line(&mut html, format_args!("<table>"));
    for (label, value) in &page.rows {
        let value = escaped(&flat(value));
        line(&mut html, format_args!("<tr><th align=\"left\">{label}</th><td>{value}</td></tr>"));
    }
    line(&mut html, format_args!("</table>"));
    if let Some((label, words)) = page.words {
        let words = words.trim().lines().map(|said| escaped(&flat(said))).collect::<Vec<_>>().join("<br>\n");
        line(&mut html, format_args!("<p><b>{label}</b></p>\n<blockquote>{words}</blockquote>"));
    }
    line(&mut html, format_args!("<p><a href=\"{}\">Open the query</a></p>", escaped(link)));
    html.push_str("</body></html>\n");
    html
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes everything");
}

/// A subject: a header is one line, and a line break in it would begin the next header.
fn one_line(subject: &str) -> String {
    let subject = flat(subject);
    match subject.char_indices().nth(SUBJECT) {
        Some((end, _)) => format!("{}…", &subject[..end]),
        None => subject,
    }
}

/// The text without line breaks and other control characters.
fn flat(text: &str) -> String {
    text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The text with everything escaped that means something in HTML, inside and outside of quotes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

const fn spoken(mode: CallMode) -> &'static str {
    match mode {
        CallMode::Video => "video",
        CallMode::Audio => "audio",
        CallMode::Screen => "shared screen",
    }
}

#[cfg(test)]
#[path = "letters_tests.rs"]
mod tests;
