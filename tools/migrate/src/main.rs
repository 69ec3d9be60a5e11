//! Applies the SQL files of `migrations/` to the database named by `DATABASE_URL`.
//!
//! `celaest-migrate migrate` runs every file that has not run yet, each in a
//! transaction together with its row in the history table, and prints one line per
//! file. Files are forward-only: one that was changed or removed after it ran is
//! refused, because the database would no longer be what the files say it is.

mod tls;

use std::error::Error as StdError;
use std::path::Path;
use std::process::ExitCode;

use refinery::error::Kind;
use refinery::{Migration, Runner};
use tokio_postgres::Client;

use tls::Target;

/// Where the files are, from the folder the command is run in.
const FOLDER: &str = "migrations";

/// The key of the lock that one migrator holds while it works. The number only has
/// to be one that nothing else uses in the same database: these are the letters
/// "celaest" in ASCII.
const LOCK_KEY: i64 = 0x63_65_6c_61_65_73_74;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.as_slice() {
        [command] if command == "migrate" => migrate().await,
        _ => Err("usage: celaest-migrate migrate".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the files, connects, waits for its turn and applies what is new. The error
/// is a sentence for the person at the terminal.
async fn migrate() -> Result<(), String> {
    let url = std::env::var("DATABASE_URL").map_err(
        |_| "DATABASE_URL is not set: give the connection string of the database's owner",
    )?;
    let files = read_files(Path::new(FOLDER))?;

    let Target { config, tls } = Target::read(&url, std::env::var("SSL_CERT_FILE").ok())?;
    let (mut client, connection) = config.connect(tls).await.map_err(|error| {
        let reason = tls::explain(&error).unwrap_or_else(|| reason(&error));
        format!("cannot connect to the database of DATABASE_URL: {reason}")
    })?;
    // The connection ends by itself when the client is dropped; what goes wrong on
    // it reaches the client's calls as errors.
    tokio::spawn(connection);

    take_turn(&client).await?;
    see_everything(&client).await?;
    let report = run(&mut client, &files).await;
    // Dropping the client closes the connection, which gives the lock back.
    drop(client);
    report
}

/// The migrations of a folder, in order of their versions.
fn read_files(folder: &Path) -> Result<Vec<Migration>, String> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder)
        .map_err(|error| format!("cannot read the folder {shown}/: {error}"))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| format!("cannot read the folder {shown}/: {error}"))?
            .path();
        let (Some(stem), Some("sql")) = (
            path.file_stem().and_then(|stem| stem.to_str()),
            path.extension().and_then(|extension| extension.to_str()),
        ) else {
            continue;
        };
        let sql = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        files.push(
            Migration::unapplied(stem, &sql)
                .map_err(|_| format!("{} is not named like V001__subject.sql", path.display()))?,
        );
    }
    if files.is_empty() {
        return Err(format!("the folder {shown}/ holds no .sql file"));
    }
    files.sort();
    if let Some(pair) = files
        .windows(2)
        .find(|pair| pair[0].version() == pair[1].version())
    {
        return Err(format!(
            "{} and {} have the same version",
            file_name(&pair[0]),
            file_name(&pair[1])
        ));
    }
    Ok(files)
}

/// Waits until no other migrator works on the database. The lock belongs to the
/// connection, so a killed migrator does not leave it behind.
async fn take_turn(client: &Client) -> Result<(), String> {
    let failed = |error| format!("cannot lock the database for migrating: {}", reason(&error));
    let free: bool = client
        .query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK_KEY])
        .await
        .map_err(failed)?
        .get(0);
    if !free {
        println!("waiting for another migrator to finish");
        client
            .execute("SELECT pg_advisory_lock($1)", &[&LOCK_KEY])
            .await
            .map_err(failed)?;
    }
    Ok(())
}

/// Row-level security holds for the owner too, who is no superuser: without this, what a file does with the
/// rows that there are would be done with none.
async fn see_everything(client: &Client) -> Result<(), String> {
    client
        .execute("SELECT set_config('celaest.access', 'system', false)", &[])
        .await
        .map(drop)
        .map_err(|error| format!("cannot prepare the session: {}", reason(&error)))
}

/// Applies the files that the history table does not list yet.
async fn run(client: &mut Client, files: &[Migration]) -> Result<(), String> {
    let outcome = Runner::new(files)
        .set_abort_divergent(true)
        .set_abort_missing(true)
        .run_async(client)
        .await;
    match outcome {
        Ok(report) => {
            print_applied(report.applied_migrations());
            if report.applied_migrations().is_empty() {
                println!("nothing to do: all {} migrations are applied", files.len());
            }
            Ok(())
        }
        Err(error) => {
            if let Some(report) = error.report() {
                print_applied(report.applied_migrations());
            }
            Err(explain(&error))
        }
    }
}

/// One line per migration that ran and is committed.
fn print_applied(migrations: &[Migration]) {
    for migration in migrations {
        println!("applied {}", file_name(migration));
    }
}

/// The name of a migration's file, as it is in the folder.
fn file_name(migration: &Migration) -> String {
    format!("V{:03}__{}.sql", migration.version(), migration.name())
}

/// What went wrong, and what to do about it, in one sentence.
fn explain(error: &refinery::Error) -> String {
    match error.kind() {
        Kind::DivergentVersion(_, file) => format!(
            "{} was changed after it was applied: restore the file and put the change into a new \
             migration",
            file_name(file)
        ),
        Kind::MissingVersion(applied) => format!(
            "{} was applied and its file is gone, or its number is below one already applied: \
             restore or renumber the file",
            file_name(applied)
        ),
        Kind::Connection(message, cause) => format!("{message}: {}", reason(cause.as_ref())),
        _ => error.to_string(),
    }
}

/// The innermost cause of an error: the outer ones only say that there is one.
/// PostgreSQL's own message is followed by its detail and hint.
fn reason(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<tokio_postgres::error::DbError>() {
        Some(database) => [Some(database.message()), database.detail(), database.hint()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("; "),
        None => cause.to_string(),
    }
}
