//! The command line: what can be asked of `vong`, and where each question is answered.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{backtest, cameras, check, config, demo, evidence, fsck, serve, sql, vision};

/// Vọng: the stream engine of a city's operations centre.
#[derive(Debug, Parser)]
#[command(name = "vong", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the sample city: simulated sensors and cameras, live on the wall.
    Demo(DemoArguments),
    /// Run with your own brokers and cameras.
    Serve {
        /// The configuration file.
        #[arg(long, default_value = "configs/vong.toml")]
        config: PathBuf,
    },
    /// Say whether configuration, registers, sources and rules hold, with the place of each mistake.
    Check {
        #[arg(long, default_value = "configs/vong.toml")]
        config: PathBuf,
    },
    /// Take cameras into the register, look at one, or find ONVIF cameras in the network.
    #[command(subcommand)]
    Camera(CameraCommand),
    /// Ask a running vong one question in SQL.
    Sql(SqlArguments),
    /// Run rules over history: the alerts they gave, or would have given.
    Backtest(BacktestArguments),
    /// Make and verify evidence packages, and show the key that signs them.
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Verify log, history tables, footage and its checkpoints; nothing may be running on them.
    Fsck {
        /// The data directory.
        #[arg(long, default_value = "data")]
        data: PathBuf,
    },
    /// Print every configuration key with its default and what it is for.
    Reference {
        #[arg(value_enum, default_value = "vong")]
        of: ReferenceOf,
    },
    /// Print the version.
    Version,
    /// Decode pictures for the vong that started this; it speaks to no person.
    #[command(hide = true)]
    VisionWorker {
        /// The detector's model.
        #[arg(long)]
        detector: Option<PathBuf>,
    },
}

/// Where the sample city runs.
#[derive(Clone, Debug, Args)]
pub struct DemoArguments {
    /// Screens and interfaces.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// The MQTT broker of the sample city.
    #[arg(long, default_value = "127.0.0.1:1883")]
    pub mqtt: SocketAddr,
    /// The cameras of the sample city.
    #[arg(long, default_value = "127.0.0.1:8554")]
    pub rtsp: SocketAddr,
    /// Everything about the city follows from this number.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Keep data here instead of in a directory that is removed at the end.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Rules to run instead of those built in.
    #[arg(long)]
    pub rules: Option<PathBuf>,
    /// What is logged, as in "info" or "warn,vong_mqtt=debug".
    #[arg(long, default_value = "warn")]
    pub log: String,
    #[command(subcommand)]
    pub part: Option<DemoPart>,
}

/// The sample city alone, for measuring it apart from the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum DemoPart {
    /// Only sensors, cameras and broker; no engine. Prints where the city's files are.
    City,
}
/// Which cameras go into which register.
#[derive(Clone, Debug, Args)]
pub struct CameraImportArguments {
    /// CSV as a spreadsheet writes it; the first line names the columns, as in the register.
    pub file: PathBuf,
    /// The configuration file of the installation.
    #[arg(long, default_value = "configs/vong.toml")]
    pub config: PathBuf,
    /// Say what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// The file is the whole register: cameras that it does not list are removed.
    #[arg(long)]
    pub whole: bool,
}

/// One question.
#[derive(Clone, Debug, Args)]
pub struct SqlArguments {
    /// The statement; read from standard input when left out.
    pub statement: Option<String>,
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    #[arg(long, value_enum, default_value = "table")]
    pub format: SqlFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SqlFormat {
    Table,
    Json,
    Csv,
}

/// What to do with cameras.
#[derive(Clone, Debug, Subcommand)]
pub enum CameraCommand {
    /// Take the cameras of a CSV file into the register; every mistake is told, none is written.
    Import(CameraImportArguments),
    /// Say whether a camera is usable, and what to do if not; ends with 0 only if it is.
    Probe(ProbeArguments),
    /// List the ONVIF devices that answer in a network: address, name, hardware, place, services.
    Discover(DiscoverArguments),
}

/// Which camera to look at.
#[derive(Clone, Debug, Args)]
pub struct ProbeArguments {
    /// As in rtsp://192.168.1.20:554/stream1, without name and password.
    pub url: String,
    #[arg(long, requires = "password_file")]
    pub username: Option<String>,
    /// A file with the password alone; an argument would be seen by every process.
    #[arg(long, requires = "username")]
    pub password_file: Option<PathBuf>,
    /// RTP in datagrams instead of inside the connection.
    #[arg(long)]
    pub udp: bool,
    /// How long to look.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// The configuration whose video.networks hold; private networks and loopback otherwise.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Where to look for devices.
#[derive(Clone, Debug, Args)]
pub struct DiscoverArguments {
    /// The address of this machine in the cameras' network.
    #[arg(long)]
    pub interface: std::net::Ipv4Addr,
    /// How long to wait for answers.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub seconds: u64,
}

/// What to run over which part of history.
#[derive(Clone, Debug, Args)]
pub struct BacktestArguments {
    /// A file with rules, or the name of a rule the log knows; all of the log's rules when left out.
    pub rule: Option<String>,
    /// The data directory; nothing may be running on it.
    #[arg(long, default_value = "data")]
    pub data: PathBuf,
    /// Where to begin: a log offset, or a time of arrival as in 2026-11-22T10:00:00+07:00.
    #[arg(long)]
    pub from: Option<String>,
    /// Where to stop before, likewise.
    #[arg(long)]
    pub to: Option<String>,
    /// How many people share the alarms.
    #[arg(long, default_value_t = 1)]
    pub operators: u32,
    /// What is known to have happened: a JSON object of file name or key to a list of [from, to].
    #[arg(long)]
    pub labels: Option<PathBuf>,
    /// Leave the transitions out and print the figures only.
    #[arg(long)]
    pub summary: bool,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReferenceOf {
    /// `vong.toml`
    Vong,
    /// `sources/*.toml`
    Sources,
}

/// Runs what the command line asks for and says how it ended.
pub fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(e) => {
            tell(&format!("vong: {e:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve { config } => serve::run(&config),
        Command::Check { config } => Ok(check::run(&config)),
        Command::Camera(CameraCommand::Import(arguments)) => cameras::import(&arguments),
        Command::Camera(CameraCommand::Probe(arguments)) => cameras::look(&arguments),
        Command::Camera(CameraCommand::Discover(arguments)) => cameras::discover(&arguments),
        Command::Sql(arguments) => sql::run(&arguments),
        Command::Backtest(arguments) => backtest::run(&arguments),
        Command::Evidence(command) => evidence::run(&command),
        Command::Fsck { data } => fsck::run(&data),
        Command::Reference { of: ReferenceOf::Vong } => say(config::reference().trim_end()),
        Command::Reference { of: ReferenceOf::Sources } => say(vong_decode::reference().trim_end()),
        Command::VisionWorker { detector } => vision::run_worker(detector.as_deref()),
        Command::Version => say(&format!("vong {}", env!("CARGO_PKG_VERSION"))),
    }
}

/// Speaks to the person at the terminal.
#[expect(clippy::print_stdout, reason = "a command answers on standard output")]
#[expect(clippy::unnecessary_wraps, reason = "the last word of most commands")]
pub(crate) fn say(text: &str) -> Result<ExitCode> {
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

/// Speaks beside the answer: progress and failures.
#[expect(clippy::print_stderr, reason = "progress and failures go to standard error")]
pub(crate) fn tell(text: &str) {
    eprintln!("{text}");
}
