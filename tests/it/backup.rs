//! Backup and restore, as `deploy/backup.md` says: the blocks of that page are the script of these tests.
//!
//! What is lost in a restore was published to NATS, told to listeners and shown to people. So what counts is not only that
//! the rows come back, but that nobody goes on from what is no longer there.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use aggregates::recorded::Position;
use projections::Projection;
use proof_concierge::config::{Config, Secret};
use proof_concierge::dev::servers::{BUFFERS_MB, NatsOptions, PostgresOptions, PrivateNats, PrivatePostgres};
use proof_concierge::log::Log;
use proof_concierge::migrate;
use serde_json::json;
use sqlx::{Executor, PgConnection, PgPool};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use uuid::Uuid;

use crate::support::desk::{people, query_of};
use crate::support::eventually::eventually;
use crate::support::page::block_of;
use crate::support::servers::scratch;
use crate::support::service::{PROGRAM, Service, configure};
use crate::support::stream::in_stream;
use crate::world::replay::rows;

const PAGE: &str = include_str!("../../deploy/backup.md");
const LIMIT: Duration = Duration::from_mins(1);

/// A place with one PostgreSQL and one NATS, and the directories that the page names.
struct Site {
    postgres: PrivatePostgres,
    config: Config,
    pool: PgPool,
    directory: PathBuf,
    /// Where PostgreSQL's programs are, of the version that runs.
    programs: PathBuf,
}

impl Site {
    fn new(nats: &PrivateNats) -> Self {
        let postgres = PrivatePostgres::start(&cluster(scratch("postgres"))).unwrap();
        let directory = scratch("backup");
        fs::create_dir_all(directory.join("archive")).unwrap();
        for place in [directory.clone(), directory.join("archive")] {
            give_to_server(&place);
        }
        let config = Config {
            database_url: Secret::new(postgres.url("postgres")),
            nats_url: Secret::new(nats.url()),
            nats_prefix: "desk".to_owned(),
            jwt_secret: Secret::new("a secret that only tests use, 32 bytes"),
            master_key: Secret::new("0123456789abcdef".repeat(4)),
            read_your_writes_ms: 20_000,
            ..Config::default()
        };
        let pool = PgPool::connect_lazy(config.database_url.expose()).unwrap();
        let program = fs::read_link(format!("/proc/{}/exe", postgres.pid())).unwrap();
        let programs = program.parent().unwrap().to_owned();
        Self { postgres, config, pool, directory, programs }
    }

    /// The same place with another cluster.
    fn on(self, postgres: PrivatePostgres) -> Self {
        let database_url = Secret::new(postgres.url("postgres"));
        let pool = PgPool::connect_lazy(database_url.expose()).unwrap();
        let config = Config { database_url, ..self.config };
        Self { postgres, config, pool, ..self }
    }

    /// Runs a block of the page as the page says: as whoever operates the desk.
    fn operator(&self, block: &str) {
        self.run(Command::new("bash"), block, &[]);
    }

    /// Runs a block of the page as the user that PostgreSQL runs as.
    fn server(&self, block: &str, variables: &[(&str, &str)]) {
        let mut shell = Command::new("setpriv");
        if let Some((user, group)) = server_account() {
            shell.args(["--reuid", &user.to_string(), "--regid", &group.to_string(), "--clear-groups"]);
        }
        shell.args(["--", "bash"]);
        self.run(shell, block, variables);
    }

    fn run(&self, mut shell: Command, block: &str, variables: &[(&str, &str)]) {
        configure(&mut shell, &self.config);
        let programs = Path::new(PROGRAM).parent().unwrap().display();
        shell.args(["-euc", &block_of(PAGE, block)]).current_dir("/");
        let of_postgres = self.programs.display();
        shell.env("PATH", format!("{programs}:{of_postgres}:/usr/local/bin:/usr/bin:/bin"));
        for name in ["archive", "base", "dump", "keys"] {
            shell.env(name.to_uppercase(), self.directory.join(name));
        }
        shell.envs(variables.iter().copied());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{block}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Donors ask, each with words of their own, and Ada accepts.
    async fn live(&self, service: &Service, donors: std::ops::RangeInclusive<u32>) {
        let ada = service.staff("ada").await;
        for donor in donors {
            let mut query = query_of(&format!("d-{donor}"));
            query["content"] = json!(words_of(donor));
            let opened = service.anonymous().post("/api/v1/donor-queries", &query).await.expect(201);
            let id = opened.at("/data/id").as_i64().unwrap();
            ada.patch(&format!("/api/v1/donor-queries/{id}/accept"), &json!({})).await.expect(200);
        }
    }

    async fn log(&self) -> Vec<(i64, Uuid)> {
        let log = Log::open_database(&self.config).unwrap();
        let facts = log.read_after(Position::START, i64::MAX).await.unwrap();
        facts.iter().map(|fact| (fact.position.0, fact.event_id)).collect()
    }

    /// The log has no hole, every digest matches, and the stream is a copy of it.
    async fn is_sound(&self) {
        let log = self.log().await;
        let last = i64::try_from(log.len()).unwrap();
        assert!(log.iter().map(|(position, _)| *position).eq(1..=last), "{log:?}");
        eventually(LIMIT, async || in_stream(&self.config).await, |stream| *stream == log).await;
        let before = self.read_models().await;
        self.operator("prove");
        assert_eq!(self.read_models().await, before, "a rebuild changes nothing");
    }

    async fn read_models(&self) -> Vec<(&'static str, (i64, String))> {
        let mut all = Vec::new();
        for projection in Projection::ALL {
            all.extend(rows(&self.pool, *projection).await);
        }
        all
    }

    /// How many messages say what a donor said.
    async fn heard(&self, donor: u32) -> i64 {
        let sql = "select count(*) from read.messages where content = $1";
        sqlx::query_scalar(sql).bind(words_of(donor)).fetch_one(&self.pool).await.unwrap()
    }

    async fn erase(&self, donor: u32) {
        let sql = "delete from donor_keys where donor_id = $1";
        let erased = sqlx::query(sql).bind(format!("d-{donor}")).execute(&self.pool).await.unwrap();
        assert_eq!(erased.rows_affected(), 1);
    }
}

fn words_of(donor: u32) -> String {
    format!("These are the words of donor {donor}.")
}

fn cluster(data_dir: PathBuf) -> PostgresOptions {
    PostgresOptions { data_dir, durable: false, port: None, buffers_mb: BUFFERS_MB }
}

fn nats() -> PrivateNats {
    PrivateNats::start(&NatsOptions { data_dir: scratch("nats"), port: None, program: None }).unwrap()
}

/// Whom PostgreSQL runs as, if this process is root.
fn server_account() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> u32 {
        let output = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "postgres"]), id(&["-g", "postgres"])))
}

fn give_to_server(path: &Path) {
    if let Some((user, group)) = server_account() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// A directory for a cluster that is restored into it, with the password that the backup has.
fn new_home(postgres: &PrivatePostgres) -> PathBuf {
    let home = scratch("postgres");
    fs::create_dir(&home).unwrap();
    fs::copy(postgres.home().join("password"), home.join("password")).unwrap();
    give_to_server(&home);
    home
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_desk_goes_back_to_a_moment_and_on_from_there() {
    let mut nats = nats();
    let mut site = Site::new(&nats);
    site.operator("archive");
    site.postgres.restart().unwrap();
    migrate::run(site.config.database_url.expose()).await.unwrap();
    people(&site.config).await;
    let service = Service::whole(&site.config).await;
    site.live(&service, 1..=3).await;
    site.server("base", &[]);
    site.live(&service, 4..=6).await;
    let now = "select clock_timestamp()::text";
    let target: String = sqlx::query_scalar(now).fetch_one(&site.pool).await.unwrap();
    let (log, read_models) = (site.log().await, site.read_models().await);

    // What comes now is taken away again, but for what was forgotten.
    site.erase(3).await;
    site.live(&service, 7..=8).await;
    site.operator("keys");
    let lost = site.log().await;
    eventually(LIMIT, async || in_stream(&site.config).await, |stream| *stream == lost).await;
    let page = format!("/api/v1/events?after={}", lost.len());
    let known = service.staff("sue").await.get(&page).await.expect(200);
    let page_of_then = format!("{page}&epoch={}", known.at("/epoch").as_str().unwrap());
    drop(service);
    site.postgres.stop();
    nats.stop();

    let home = new_home(&site.postgres);
    let cluster_directory = home.join("cluster");
    site.server("restore", &[("RESTORED", cluster_directory.to_str().unwrap()), ("TARGET", &target)]);
    let site = site.on(PrivatePostgres::start(&cluster(home)).unwrap());
    site.operator("arrive");
    assert_eq!(site.log().await, log);
    assert_eq!(site.read_models().await, read_models);
    assert_eq!((site.heard(3).await, site.heard(4).await), (1, 1));
    site.operator("erase");
    site.operator("prove");
    assert_eq!((site.heard(3).await, site.heard(4).await), (0, 1), "who was forgotten stays forgotten");

    site.operator("epoch");

    // Before NATS is back the log says something else where the stream knows what was lost.
    let service = Service::whole(&site.config).await;
    let sue = service.staff("sue").await;
    let must_resync = async |page: &str| sue.get(page).await.expect(200).at("/resync").clone();
    assert_eq!((must_resync(&page).await, must_resync(&page_of_then).await), (json!(true), json!(true)));
    site.live(&service, 9..=12).await;
    assert!(site.log().await.len() > lost.len());
    assert_eq!(must_resync(&page_of_then).await, json!(true), "the number stands for another fact by now");
    nats.restart().unwrap();
    site.live(&service, 13..=13).await;
    site.is_sound().await;
    assert!(service.log().contains("the stream disagrees with the log"), "{}", service.log());
    assert_eq!(site.heard(7).await, 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_made_while_the_keys_were_copied_is_not_destroyed() {
    let nats = nats();
    let site = Site::new(&nats);
    migrate::run(site.config.database_url.expose()).await.unwrap();
    // Both began before the copy; one is behind the fence by then, the other comes to it later.
    let (mut ahead, mut late) = (site.pool.begin().await.unwrap(), site.pool.begin().await.unwrap());
    late.execute("select 1").await.unwrap();
    make_key(&mut ahead, "d-1").await;
    let is_waiting = async || {
        let waits = "select exists (select from pg_locks where locktype = 'advisory' and objid = 5005 and not granted)";
        sqlx::query_scalar::<_, bool>(waits).fetch_one(&site.pool).await.unwrap()
    };
    block_in_place(|| {
        thread::scope(|scope| {
            scope.spawn(|| site.operator("keys"));
            Handle::current().block_on(eventually(LIMIT, is_waiting, |waits| *waits));
            Handle::current().block_on(ahead.commit()).unwrap();
        });
    });
    make_key(&mut late, "d-2").await;
    late.commit().await.unwrap();
    site.operator("erase");
    let kept: Vec<String> =
        sqlx::query_scalar("select donor_id from donor_keys order by donor_id").fetch_all(&site.pool).await.unwrap();
    assert_eq!(kept, ["d-1", "d-2"]);
}

/// What an append does for a donor who is new.
async fn make_key(append: &mut PgConnection, donor: &str) {
    append.execute("select pg_advisory_xact_lock(5005)").await.unwrap();
    let key = "insert into donor_keys (id, donor_id, wrapped) values (gen_random_uuid(), $1, 'key')";
    sqlx::query(key).bind(donor).execute(append).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_is_a_desk_in_another_cluster() {
    let (old_nats, new_nats) = (nats(), nats());
    let site = Site::new(&old_nats);
    migrate::run(site.config.database_url.expose()).await.unwrap();
    people(&site.config).await;
    let service = Service::whole(&site.config).await;
    site.live(&service, 1..=3).await;
    site.operator("dump");
    // Forgotten after the dump, and gone from it too.
    site.erase(2).await;
    site.operator("keys");
    let log = site.log().await;
    service.stop().await;

    let mut site = site.on(PrivatePostgres::start(&cluster(scratch("postgres"))).unwrap());
    site.config.nats_url = Secret::new(new_nats.url());
    site.operator("load");
    assert_eq!(site.log().await, log);
    site.operator("epoch");
    let service = Service::whole(&site.config).await;
    site.live(&service, 4..=6).await;
    site.is_sound().await;
    assert_eq!((site.heard(1).await, site.heard(2).await, site.heard(5).await), (1, 0, 1));
    service.stop().await;
}
