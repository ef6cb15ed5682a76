//! The rules of the house that the compiler does not know, as tests that say what to do.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Which top-level modules of `src` a module may import. `app`, `cli`, `dev` and `main` put everything together and may import
/// all of it; nobody imports them.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("clock", &[]),
    ("telemetry", &["config"]),
    ("database", &["config"]),
    ("migrate", &[]),
    ("network", &[]),
    ("refusal", &[]),
    ("grouped", &[]),
    ("log", &["config", "clock", "database", "grouped"]),
    ("tail", &["bus", "log"]),
    ("dispatch", &["log"]),
    ("bus", &["config"]),
    ("lease", &["config", "database"]),
    ("relay", &["bus", "lease", "log"]),
    ("projector", &["bus", "clock", "config", "database", "lease", "log", "tail"]),
    ("push", &["accounts", "bus", "config", "log", "network", "projector", "refusal", "tail"]),
    ("integrations", &["clock", "config"]),
    (
        "reactions",
        &["accounts", "bus", "clock", "database", "dispatch", "integrations", "lease", "log", "projector", "tail"],
    ),
    ("accounts", &["config", "clock", "database"]),
    ("activity", &[]),
    ("dashboard", &[]),
    (
        "http",
        &[
            "accounts",
            "activity",
            "clock",
            "config",
            "dashboard",
            "dispatch",
            "grouped",
            "integrations",
            "log",
            "network",
            "projector",
            "reactions",
            "refusal",
        ],
    ),
];

/// The modules that put everything together.
const ROOTS: &[&str] = &["app", "cli", "dev", "lib", "main"];

/// Words that may only be written in these places of the workspace, and what to do elsewhere.
const KEPT_TO: &[(&str, &[&str], &str)] = &[
    (
        "async_nats::",
        &[
            "src/bus/",
            "tests/it/relay/",
            "tests/it/faults/forgetful.rs",
            "tests/it/support/stream.rs",
            "tests/load/limits.rs",
            "tests/world/stream.rs",
        ],
        "give `bus` a function for what you need",
    ),
    ("socketioxide::", &["src/push/socketio/"], "give `push` a function for what you need"),
    ("std::env::var", &["src/config.rs", "tests/"], "add a field to `config::Config`"),
    ("Utc::now", &["src/clock.rs", "tests/"], "take the time as a value, or ask `clock::now`"),
    ("sqlx::query!", &[], "use `sqlx::query`: macros need a database at compile time"),
];

/// Words that may not be written below these places, and what to do instead.
const BANNED_BELOW: &[(&str, &str, &str)] = &[
    ("src/http/", "sqlx::query", "ask `projections` or `accounts`; a handler has no SQL"),
    ("src/dispatch.rs", "sqlx", "ask `log`"),
    ("aggregates/src/", "sqlx", "a rule does no I/O: take the value inside the command"),
    ("aggregates/src/", "tokio::", "a rule does no I/O and never waits"),
    ("projections/src/", "axum", "a reader knows no HTTP"),
];

const SHAPELESS: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "shared"];
const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 60;

/// A source file of the workspace.
struct Source {
    /// Its path from the root of the repository.
    path: String,
    text: String,
}

impl Source {
    /// The lines that are neither comments nor unit tests, with their numbers from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.take_while(|(_, line)| *line != "#[cfg(test)]").filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The top-level module of `src` it belongs to.
    fn module(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        Some(inside.split('/').next()?.trim_end_matches(".rs"))
    }

    /// Whether it holds nothing but tests, which may be as long as they need.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs")
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// Fails with every finding on a line of its own.
#[derive(Default)]
struct Findings(String);

impl Findings {
    fn add(&mut self, place: &str, what_to_do: &str) {
        writeln!(self.0, "{place}: {what_to_do}").unwrap();
    }

    #[track_caller]
    fn check(&self) {
        assert!(self.0.is_empty(), "the house is untidy:\n{}", self.0);
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "aggregates/src", "projections/src"].map(|folder| root().join(folder)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push(Source { path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!sources.is_empty());
    sources
}

/// The top-level modules that a line names: `crate::log::..`, `crate::{log, bus::..}`.
fn imports(line: &str) -> Vec<&str> {
    let mut modules = Vec::new();
    for (at, prefix) in line.match_indices("crate::") {
        let rest = &line[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => modules.extend(group.trim_end_matches(['}', ';']).split(", ").map(first_word)),
            None => modules.push(first_word(rest)),
        }
    }
    modules
}

fn first_word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default()
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let mut findings = Findings::default();
    let sources = sources();
    let modules: Vec<&str> = sources.iter().filter_map(Source::module).collect();
    for source in &sources {
        let Some(module) = source.module() else { continue };
        if ROOTS.contains(&module) {
            continue;
        }
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            findings.add(&source.path, "a new module: add its row to MAY_IMPORT in tests/it/tidy.rs");
            continue;
        };
        for (number, line) in source.code() {
            for import in imports(line).into_iter().filter(|import| modules.contains(import)) {
                if import != module && !allowed.contains(&import) {
                    let advice = format!("`{module}` may not import `{import}`; turn the call around or pass a value");
                    findings.add(&source.at(number), &advice);
                }
            }
        }
    }
    findings.check();
}

#[test]
fn modules_name_each_other_from_the_root() {
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| source.module().is_some()) {
        let folders = source.path.matches('/').count() - 1;
        let depth = folders + usize::from(!source.path.ends_with("/mod.rs"));
        let to_root = "super::".repeat(depth);
        for (number, line) in source.code() {
            if depth > 0 && line.contains(&to_root) {
                findings.add(&source.at(number), "write `crate::`, so that the edge is seen");
            }
        }
    }
    findings.check();
}

#[test]
fn words_stay_where_they_belong() {
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| source.path != "tests/it/tidy.rs") {
        for (number, line) in source.code() {
            for (word, places, advice) in KEPT_TO {
                if line.contains(word) && !places.iter().any(|place| source.path.starts_with(place)) {
                    findings.add(&source.at(number), &format!("no `{word}` here: {advice}"));
                }
            }
            for (place, word, advice) in BANNED_BELOW {
                if line.contains(word) && source.path.starts_with(place) {
                    findings.add(&source.at(number), &format!("no `{word}` here: {advice}"));
                }
            }
        }
    }
    findings.check();
}

#[test]
fn every_file_says_what_it_is() {
    let mut findings = Findings::default();
    for source in sources() {
        // A crate's page may be a file of its own.
        if !source.text.starts_with("//!") && !source.text.starts_with("#![doc = include_str!(") {
            findings.add(&source.path, "open with `//!` and one sentence on what it is");
        }
    }
    findings.check();
}

#[test]
fn every_module_has_a_name_of_its_own() {
    let mut findings = Findings::default();
    for source in sources() {
        if source.path.trim_end_matches(".rs").split('/').any(|part| SHAPELESS.contains(&part)) {
            findings.add(&source.path, "name the module after what it is about, or move its parts to who uses them");
        }
    }
    findings.check();
}

#[test]
fn no_file_is_longer_than_a_sitting() {
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        if lines > MAX_FILE_LINES {
            findings.add(&source.path, &format!("{lines} lines; split it where its second subject begins"));
        }
    }
    findings.check();
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let mut findings = Findings::default();
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (start, name, length) in functions(&source.text) {
            if length > MAX_FUNCTION_LINES {
                findings.add(&source.at(start), &format!("`{name}` has {length} lines; name its parts"));
            }
        }
    }
    findings.check();
}

/// First line, name and length of every function. Relies on rustfmt: a function ends at the first closing brace that is
/// indented as its first line is.
fn functions(text: &str) -> Vec<(usize, &str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let declaration = line.trim_start();
        let words = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async "];
        let bare = words.iter().fold(declaration, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        let Some(rest) = bare.strip_prefix("fn ") else { continue };
        let end = format!("{}}}", &line[..line.len() - declaration.len()]);
        // One line, or a declaration without a body.
        if line.ends_with(['}', ';']) {
            continue;
        }
        if let Some(length) = lines[index..].iter().position(|line| *line == end) {
            found.push((index + 1, first_word(rest), length + 1));
        }
    }
    found
}

#[test]
fn every_migration_is_embedded() {
    let mut findings = Findings::default();
    let embedded = fs::read_to_string(root().join("src/migrate.rs")).unwrap();
    let names = fs::read_dir(root().join("migrations")).into_iter().flatten();
    let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|extension| extension == "sql"));
    names.sort();
    for (index, name) in names.iter().enumerate() {
        let number = format!("{:04}_", index + 1);
        if !name.starts_with(&number) {
            findings.add(&format!("migrations/{name}"), &format!("the next number is {number}"));
        }
        if !embedded.contains(&format!("include_str!(\"../migrations/{name}\")")) {
            findings.add(&format!("migrations/{name}"), "list it in MIGRATIONS in src/migrate.rs");
        }
    }
    findings.check();
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert_eq!(imports("use crate::{bus::Bus, log};"), ["bus", "log"]);
    assert_eq!(imports("    let now = crate::clock::now();"), ["clock"]);
    let text = "fn a() {\n    x\n}\n\n    pub async fn b<T>(\n        t: T,\n    ) {\n    }\nfn c() {}\n";
    assert_eq!(functions(text), [(1, "a", 3), (5, "b", 4)]);
}
