//! The command line.
//!
//! Owns the words an operator types and what is printed; standard output is for what was asked for,
//! standard error for everything said beside it. Does not own what is done: `run` starts a
//! [`Host`](crate::run::Host), the commands about a running host go through its admin socket, the
//! others work on files.
//!
//! Exit codes: 0, done; 1, not done, and standard error says why; 2, the arguments are wrong; `call`
//! also 4 and 5, for answers with a status of 4xx and 5xx.

mod check;
mod client;
mod error;
mod inspect;
mod keys;
mod operator;
mod output;
mod pki;
mod serve;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod transfer;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, DEFAULT_AUTH};
use error::CliError;

/// The configuration read when none is named.
const CONFIG: &str = "plugbay.toml";

/// An API host: serves documented APIs that are plugged in as WebAssembly components.
#[derive(Debug, Parser)]
#[command(name = "plugbay", version)]
pub struct Arguments {
    /// Configuration file [default: plugbay.toml in this directory, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (this is the default)
    Run,
    /// Say what a plugin file is and what it asks of a host; nothing of it is run
    Inspect(Inspect),
    /// Try to load a plugin file as the host would, without touching data
    Check(Check),
    /// List the plugins of the running host
    Plugins {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Have the running host read a plugin's file again
    Reload {
        /// The plugin
        name: String,
    },
    /// Call the `operator` surface of a plugin of the running host
    Call(Call),
    /// Write all keys of the store as JSON lines; the host may be running
    Export {
        /// File to write [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Read an export into an empty store; the host must not be running
    Import {
        /// What `export` wrote, or - for standard input
        file: PathBuf,
    },
    /// Tokens of callers
    #[command(subcommand)]
    Token(Token),
    /// Keys that plugins are signed with
    #[command(subcommand)]
    Keys(Keys),
    /// Sign a plugin file: writes FILE.sig
    Sign(Sign),
    /// Make authorities and certificates to try mutual TLS with; for development only
    Pki(Pki),
    /// Print every configuration key with its default
    Config,
}

/// A component file, and the identity it is meant for.
#[derive(Debug, Args)]
struct Subject {
    /// The plugin file
    file: PathBuf,
    /// The plugin's identity [default: the file's name without .wasm]
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Args)]
struct Inspect {
    #[command(flatten)]
    subject: Subject,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    subject: Subject,
}

#[derive(Debug, Args)]
struct Call {
    /// The plugin
    name: String,
    /// GET, POST and so on
    method: String,
    /// Path on the plugin's surface, with a query if need be
    path: String,
    /// Body: a file, or - for standard input
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Header field
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    headers: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Token {
    /// Make a token, keep its hash in the token file and print it, this once
    New(NewToken),
}

#[derive(Debug, Args)]
struct NewToken {
    /// Stable id of the user
    #[arg(long)]
    id: String,
    /// Name for people [default: the id]
    #[arg(long)]
    name: Option<String>,
    /// Project or tenant
    #[arg(long)]
    project: Option<String>,
    /// A role there; may be given several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// When it ends: 2027-01-01T00:00:00Z, or after a time such as 30d [default: never]
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Good on this machine only
    #[arg(long)]
    loopback_only: bool,
    /// The `[auth.NAME]` table of the configuration whose file it goes into
    #[arg(long, value_name = "NAME", default_value = DEFAULT_AUTH)]
    auth: String,
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Make a key pair: writes the private key, prints the public one for `[plugins] keys`
    New {
        /// File for the private key; must not exist
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Sign {
    #[command(flatten)]
    subject: Subject,
    /// The private key that `keys new` wrote
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Debug, Args)]
struct Pki {
    /// Directory to make them in; if it has authorities already, they issue what is named below
    directory: PathBuf,
    /// Name of the server: DNS name, UUID or address; may be given several times [default: localhost, 127.0.0.1, ::1]
    #[arg(long = "server-name", value_name = "NAME")]
    server_names: Vec<String>,
    /// Name of the client [default: client]
    #[arg(long, value_name = "NAME")]
    client_name: Option<String>,
    /// How long certificates are good; the authorities are good for ten years
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
}

/// Do what was asked for.
pub fn run(arguments: Arguments) -> ExitCode {
    match obey(arguments) {
        Ok(code) => code,
        Err(error) => {
            error.report();
            ExitCode::FAILURE
        }
    }
}

fn obey(arguments: Arguments) -> Result<ExitCode, CliError> {
    let config = || configuration(arguments.config.as_deref());
    match arguments.command.unwrap_or(Command::Run) {
        Command::Run => return serve::run(config()?),
        Command::Call(call) => return waiting(operator::call(&config()?, &call)),
        Command::Inspect(inspect) => {
            // Nothing of it depends on a configuration, unless one is named.
            let named = arguments.config.as_deref().map(Config::load).transpose()?;
            inspect::run(&inspect.subject, inspect.json, named.as_ref())?;
        }
        Command::Check(check) => return check::run(&check.subject, config()?),
        Command::Plugins { json } => waiting(operator::plugins(&config()?, json))?,
        Command::Reload { name } => waiting(operator::reload(&config()?, &name))?,
        Command::Export { output } => waiting(transfer::export(&config()?, output.as_deref()))?,
        Command::Import { file } => waiting(transfer::import(&config()?, &file))?,
        Command::Token(Token::New(token)) => token::issue(&config()?, token)?,
        Command::Keys(Keys::New { file }) => keys::generate(&file)?,
        Command::Sign(sign) => keys::sign(&sign.subject, &sign.key)?,
        Command::Pki(asked) => pki::run(&asked)?,
        Command::Config => output::print(Config::reference())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn configuration(file: Option<&Path>) -> Result<Config, CliError> {
    if let Some(file) = file {
        return Ok(Config::load(file)?);
    }
    let here = std::env::current_dir().map_err(|error| CliError::file("this directory", error))?;
    let file = here.join(CONFIG);
    if file.exists() { Ok(Config::load(&file)?) } else { Ok(Config::default_in(&here)) }
}

/// Wait for a command that talks to sockets or the store.
fn waiting<T>(command: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| CliError::file("the runtime", error))?.block_on(command)
}

impl Subject {
    /// The identity: what was said, or the file's stem.
    fn name(&self) -> Result<String, CliError> {
        let stem = || self.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
        let name = self.name.clone().unwrap_or_else(stem);
        if crate::config::is_name(&name) {
            return Ok(name);
        }
        Err(CliError::Words(format!(
            "{name:?} cannot be a plugin's name: 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or \
             digit; give another with --name"
        )))
    }
}
