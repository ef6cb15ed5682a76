//! What `deploy/` says is true: its settings and verbs exist, its servers start, its standby follows.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proof_concierge::bus::{Bus, Seal};
use proof_concierge::config::{Config, Secret};
use proof_concierge::dev::servers::{BUFFERS_MB, PostgresOptions, PrivatePostgres};
use proof_concierge::log::Log;
use proof_concierge::migrate;
use sqlx::{Connection, PgConnection};

use crate::log::facts;
use crate::support::database::database;
use crate::support::desk::people;
use crate::support::eventually::eventually;
use crate::support::node;
use crate::support::servers::scratch;
use crate::support::service::{PROGRAM, Service};

const LIMIT: Duration = Duration::from_mins(1);

/// A program that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Either call fails only when it has ended and was waited for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// Every file below `deploy/`: its path and text.
fn files() -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![deploy()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_none_or(|name| name != ".env") {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The words of a text that are made of these letters.
fn words(text: &str, letters: impl Fn(char) -> bool) -> BTreeSet<&str> {
    text.split(|letter: char| !letters(letter)).filter(|word| !word.is_empty()).collect()
}

/// What the program says about a configuration.
fn examined(settings: &[(&str, &str)]) -> String {
    let mut doctor = Command::new(PROGRAM);
    doctor.arg("doctor").env_clear().envs(settings.iter().copied()).current_dir("/");
    let output = doctor.output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn every_setting_exists() {
    let mut settings = BTreeSet::new();
    for (_, text) in files() {
        let capitals = |letter: char| letter.is_ascii_uppercase() || letter == '_';
        let found = words(&text, capitals)
            .into_iter()
            .filter(|word| word.strip_prefix("CONCIERGE_").is_some_and(|name| !name.is_empty()))
            .map(str::to_owned);
        settings.extend(found);
    }
    settings.remove("CONCIERGE_CONFIG");
    assert!(settings.len() > 5, "{settings:?}");
    for setting in settings {
        let said = examined(&[(&setting, "1")]);
        assert!(!said.contains("unknown field"), "{setting}: {said}");
    }
    assert!(examined(&[("CONCIERGE_NO_SUCH_SETTING", "1")]).contains("unknown field"));
}

#[test]
fn the_example_of_a_configuration_is_complete_but_for_its_secrets() {
    let example = deploy().join("systemd/concierge.toml");
    let secrets = [("JWT_SECRET", &*"s".repeat(32)), ("CONCIERGE_MASTER_KEY", &*"0".repeat(64))];
    let said = examined(&[secrets[0], secrets[1], ("CONCIERGE_CONFIG", example.to_str().unwrap())]);
    assert!(said.contains("ok     configuration: complete"), "{said}");
    let said = examined(&[("CONCIERGE_CONFIG", example.to_str().unwrap())]);
    assert!(said.contains("JWT_SECRET needs at least 32 bytes"), "{said}");
}

#[test]
fn a_shell_reads_the_examples_of_settings() {
    for example in ["example.env", "../.env.example"] {
        let text = fs::read_to_string(deploy().join(example)).unwrap();
        let is_setting = |line: &&str| line.split_once('=').is_some_and(|(name, _)| !name.contains([' ', '`', ':']));
        let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
        let settings: Vec<_> = lines.filter(is_setting).collect();
        let script = format!("set -eu\n{}\necho \"$CONCIERGE_MAIL__FROM\"", settings.join("\n"));
        let output = Command::new("sh").args(["-c", &script]).env_clear().output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "Support <desk@example.org>\n", "{output:?}");
    }
}

#[test]
fn settings_that_are_filled_in_reach_neither_the_repository_nor_an_image() {
    for list in ["../.gitignore", "Dockerfile.dockerignore"] {
        let text = fs::read_to_string(deploy().join(list)).unwrap();
        assert!(text.lines().any(|line| line == ".env"), "{list} lets .env through");
    }
}

#[test]
fn every_verb_exists() {
    let mut verbs = BTreeSet::new();
    for (_, text) in files() {
        let is_letter = |letter: char| letter.is_ascii_lowercase() || letter == '-';
        let after = text.split("concierge ").skip(1).chain(text.split("concierge\", \"").skip(1));
        let words = after.filter_map(|rest| rest.split(|letter| !is_letter(letter)).next());
        verbs.extend(words.filter(|word| word.starts_with(char::is_alphabetic)).map(str::to_owned));
    }
    for verb in ["audit", "healthcheck", "projections", "serve"] {
        assert!(verbs.contains(verb), "{verbs:?}");
    }
    for verb in verbs {
        let known = Command::new(PROGRAM).args([&verb, "--help"]).output().unwrap().status.success();
        assert!(known, "there is no `concierge {verb}`");
    }
}

#[tokio::test]
async fn a_health_check_fails_with_its_node() {
    let database = database().await;
    let config = node::config(&database);
    people(&config).await;
    let service = Service::start(&config, &["API"]).await;
    let listen = service.anonymous().base_url().replace("http://127.0.0.1", "0.0.0.0");
    let check = || Command::new(PROGRAM).arg("healthcheck").env("CONCIERGE_LISTEN", &listen).output().unwrap();
    assert!(check().status.success());
    drop(service);
    let said = String::from_utf8(check().stderr).unwrap();
    assert!(said.contains("nobody answers at 127.0.0.1"), "{said}");
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One of three NATS servers, as `deploy/three-nodes/compose.yaml` starts it.
fn nats_server(directory: &Path, name: &str, port: u16, cluster: u16, routes: &str) -> Running {
    let store = directory.join(name);
    let mut server = Command::new("setpriv");
    server.args(["--pdeathsig", "KILL", "--", "nats-server", "--config"]).arg(directory.join("nats-server.conf"));
    server.args(["--addr", "127.0.0.1", "--port", &port.to_string(), "--name", name, "--jetstream", "--store_dir"]);
    server.arg(store).args(["--cluster", &format!("nats://127.0.0.1:{cluster}"), "--routes", routes]);
    server.env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin").env("NATS_PASSWORD", "secret");
    server.env("NATS_ROUTE_PASSWORD", "routes").stdout(Stdio::null()).stderr(Stdio::null());
    Running(server.spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nats_servers_keep_the_stream_and_lose_one_of_them() {
    let directory = scratch("cluster");
    fs::create_dir_all(&directory).unwrap();
    fs::copy(deploy().join("three-nodes/nats-server.conf"), directory.join("nats-server.conf")).unwrap();
    fs::copy(deploy().join("../nats.conf"), directory.join("nats.conf")).unwrap();
    let ports: Vec<_> = (0..3).map(|_| (free_port(), free_port())).collect();
    let route = |(_, cluster): &(u16, u16)| format!("nats://route:routes@127.0.0.1:{cluster}");
    let routes = ports.iter().map(route).collect::<Vec<_>>().join(",");
    let names = ["nats-1", "nats-2", "nats-3"];
    let start = |(name, (port, cluster)): (&str, &(u16, u16))| nats_server(&directory, name, *port, *cluster, &routes);
    let mut servers: Vec<_> = names.into_iter().zip(&ports).map(start).collect();

    let address = |(port, _): &(u16, u16)| format!("nats://concierge:secret@127.0.0.1:{port}");
    let url = Secret::new(ports.iter().map(address).collect::<Vec<_>>().join(","));
    let bus = Bus::connect(&url, "three", Seal::new(&[7; 32])).await.unwrap().replicated(3);
    // A stream of three copies is refused until all three servers have found each other.
    let made = async || bus.ensure_stream().await.map(|state| state.messages);
    let made = eventually(LIMIT, made, Result::is_ok).await;
    assert_eq!(made.unwrap(), 0);
    servers.pop();
    eventually(LIMIT, async || bus.last_message().await.is_ok(), |answered| *answered).await;
}

#[test]
fn nats_servers_take_every_password_that_the_example_draws() {
    for place in [deploy(), deploy().join("three-nodes")] {
        let directory = scratch("nats");
        fs::create_dir_all(&directory).unwrap();
        fs::copy(place.join("nats-server.conf"), directory.join("nats-server.conf")).unwrap();
        fs::copy(deploy().join("../nats.conf"), directory.join("nats.conf")).unwrap();
        let compose = fs::read_to_string(place.join("compose.yaml")).unwrap();
        for password in ["secret", "4e2a71", "12eb3c", "0123456789", "77k"] {
            let mut server = Command::new("nats-server");
            server.arg("-t").arg("-c").arg(directory.join("nats-server.conf")).env_clear();
            server.envs(passwords_of_nats(&compose, password)).env("PATH", "/usr/local/bin:/usr/bin:/usr/sbin");
            let output = server.output().unwrap();
            assert!(output.status.success(), "{password}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn every_database_in_a_container_has_memory_for_parallel_queries() {
    for place in ["compose.yaml", "three-nodes/compose.yaml"] {
        let compose = fs::read_to_string(deploy().join(place)).unwrap();
        let databases = compose.split("image: postgres:").skip(1);
        let has_memory =
            |rest: &str| rest.lines().take_while(|line| !line.is_empty()).any(|line| line.contains("shm_size:"));
        assert!(databases.clone().count() > 0 && databases.clone().all(has_memory), "{place}");
    }
}

/// What Compose hands to a NATS server as its passwords, each being this one.
fn passwords_of_nats(compose: &str, password: &str) -> Vec<(String, String)> {
    let settings = compose.lines().filter_map(|line| line.trim().split_once(": "));
    let passwords = settings.filter(|(name, _)| name.starts_with("NATS_") && name.ends_with("PASSWORD"));
    let value = |(name, value): (&str, &str)| {
        let value = value.trim_matches('\'').replace(&format!("${{{name}:?}}"), password);
        (name.to_owned(), value)
    };
    let passwords: Vec<_> = passwords.map(value).collect();
    assert!(passwords.iter().all(|(_, value)| value.contains(password)) && !passwords.is_empty(), "{passwords:?}");
    passwords
}

/// A shell of the user that PostgreSQL runs as, with the programs of the version that runs.
fn shell_of_server(primary: &PrivatePostgres, script: &str) -> Command {
    let id = |argument: &[&str]| String::from_utf8(Command::new("id").args(argument).output().unwrap().stdout).unwrap();
    let mut shell = Command::new("setpriv");
    shell.args(["--pdeathsig", "INT"]);
    if id(&["-u"]).trim() == "0" {
        shell.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    let postgres = fs::read_link(format!("/proc/{}/exe", primary.pid())).unwrap();
    let programs = postgres.parent().unwrap().display();
    shell.args(["--", "bash"]).arg(deploy().join("three-nodes").join(script)).current_dir("/");
    shell.env("PATH", format!("{programs}:/usr/bin:/bin")).env("REPLICATION_PASSWORD", "replication");
    shell
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_follows_the_primary_and_takes_over() {
    let options = PostgresOptions { data_dir: scratch("postgres"), durable: false, port: None, buffers_mb: BUFFERS_MB };
    let mut primary = PrivatePostgres::start(&options).unwrap();
    let url = primary.url("postgres");
    let config = |url: String| Config {
        database_url: Secret::new(url),
        master_key: Secret::new("0123456789abcdef".repeat(4)),
        ..Config::default()
    };
    let (credentials, place) = url.rsplit_once('@').unwrap();
    let port = place.split(['/', ':']).nth(1).unwrap();
    let mut first = shell_of_server(&primary, "primary.sh");
    first.env("PGDATA", primary.home().join("cluster")).env("PGHOST", "127.0.0.1").env("PGPORT", port);
    first.env("PGPASSWORD", credentials.rsplit_once(':').unwrap().1);
    let made = first.env("POSTGRES_USER", "concierge").env("POSTGRES_DB", "postgres").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    primary.restart().unwrap();
    migrate::run(&url).await.unwrap();
    let log = Log::open_database(&config(url.clone())).unwrap();
    log.append(facts(1, 0, [aggregates::testing::opened()])).await.unwrap();

    let (data, standby_port) = (scratch("standby"), free_port().to_string());
    fs::create_dir(&data).unwrap();
    let owner = fs::metadata(primary.home().join("cluster")).unwrap();
    let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&owner), std::os::unix::fs::MetadataExt::gid(&owner));
    chown(&data, Some(uid), Some(gid)).unwrap();
    let mut follow = shell_of_server(&primary, "standby.sh");
    follow.env("PGDATA", &data).env("PRIMARY_HOST", "127.0.0.1").env("PRIMARY_PORT", port);
    for setting in ["max_connections=300", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"] {
        follow.args(["-c", setting]);
    }
    let _standby =
        Running(follow.args(["-p", &standby_port]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    log.append(facts(2, 0, [aggregates::testing::opened()])).await.unwrap();
    let there = format!("{credentials}@127.0.0.1:{standby_port}/postgres");
    let followed = async || {
        let mut standby = PgConnection::connect(&there).await.ok()?;
        sqlx::query_scalar::<_, i64>("select max(position) from events").fetch_one(&mut standby).await.ok()
    };
    eventually(LIMIT, followed, |head| *head == Some(2)).await;

    primary.kill();
    let mut standby = PgConnection::connect(&there).await.unwrap();
    let promoted: bool = sqlx::query_scalar("select pg_promote()").fetch_one(&mut standby).await.unwrap();
    assert!(promoted);
    let log = Log::open_database(&config(there)).unwrap();
    let appended = log.append(facts(3, 0, [aggregates::testing::opened()])).await.unwrap();
    assert_eq!(appended.events[0].position.0, 3);
}
