//! `vong evidence`: packages asked for from a running vong; verified with nothing but themselves.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde::de::DeserializeOwned;
use vong_evidence::{Code, CustodyEntry, Fingerprint, Key, Language, Package, verify};
use vong_model::EventTime;
use vong_runtime::{Clock as _, SystemClock};
use vong_wire::http::{EvidencePackage, EvidenceRequest, FootageHold, Problem};

use crate::cli::{say, tell};
use crate::installation::KEYS_DIR;

/// What can be done with evidence.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask a running vong for a package, wait for it and fetch it.
    Export(ExportArguments),
    /// Say whether a package is what was signed, and name what was changed. Needs nothing else:
    /// ends with 0 if it is intact, 1 if it was changed, 2 if it cannot be read.
    Verify(VerifyArguments),
    /// Show the public key of this installation and its fingerprint, to be made known.
    Key {
        /// The data directory.
        #[arg(long, default_value = "data")]
        data: PathBuf,
    },
    /// Add a line to the custody log of a package that was unpacked.
    Note(NoteArguments),
    /// List the holds that keep footage from being deleted.
    Holds {
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
    },
    /// End a hold: its footage is deleted when its time is over. Who does it is recorded.
    Release {
        /// As `vong evidence holds` shows it.
        hold_id: u64,
        /// Who releases it.
        #[arg(long)]
        by: String,
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
    },
}

/// Which footage, and why.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExportArguments {
    /// A camera; may be given several times.
    #[arg(long = "camera", required_unless_present = "alert", conflicts_with = "alert")]
    pub(crate) cameras: Vec<String>,
    /// First instant, as in 2026-11-22T17:00:00+07:00.
    #[arg(long, required_unless_present = "alert", conflicts_with = "alert")]
    pub(crate) from: Option<String>,
    /// Instant after the last.
    #[arg(long, required_unless_present = "alert", conflicts_with = "alert")]
    pub(crate) to: Option<String>,
    /// The clips that were filed for this alert.
    #[arg(long)]
    pub(crate) alert: Option<String>,
    /// Number or name of the case.
    #[arg(long)]
    pub(crate) case: String,
    /// Why it is asked for.
    #[arg(long)]
    pub(crate) purpose: String,
    /// Who asks, as it shall stand in the package.
    #[arg(long)]
    pub(crate) by: String,
    /// Where to put it: a file that ends in .zip, or a folder to unpack it into.
    #[arg(long)]
    pub(crate) out: PathBuf,
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
}

/// What to verify.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The archive or the folder.
    pub(crate) path: PathBuf,
    /// Fingerprint of the key it must be signed with.
    #[arg(long)]
    pub(crate) key: Option<String>,
    #[arg(long, value_enum, default_value = "both")]
    pub(crate) language: Languages,
    /// One JSON object instead of words.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Languages {
    Vi,
    En,
    Both,
}

/// A step in the life of a package outside the house.
#[derive(Clone, Debug, Args)]
pub(crate) struct NoteArguments {
    /// The folder.
    pub(crate) path: PathBuf,
    #[arg(long)]
    pub(crate) by: String,
    /// What was done, as in viewed, copied, handed_over, received.
    #[arg(long)]
    pub(crate) action: String,
    #[arg(long, default_value = "")]
    pub(crate) detail: String,
}

/// The package was changed.
const CHANGED: u8 = 1;
/// There is no package that could be judged.
const UNREADABLE: u8 = 2;
/// A transfer that breaks off is taken up again so often.
const ATTEMPTS: usize = 5;

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Export(arguments) => export(arguments),
        Command::Verify(arguments) => judge(arguments),
        Command::Key { data } => {
            let key = Key::load_public(&data.join(KEYS_DIR))?;
            say(&format!(
                "public key (Ed25519): {}\nfingerprint: {}",
                key.to_hex(),
                key.fingerprint()
            ))
        }
        Command::Note(arguments) => note(arguments),
        Command::Holds { url } => list_holds(url),
        Command::Release { hold_id, by, url } => release(*hold_id, by, url),
    }
}

fn judge(arguments: &VerifyArguments) -> Result<ExitCode> {
    let expected = match &arguments.key {
        None => None,
        Some(text) => Some(Fingerprint::parse(text).with_context(|| {
            format!("'{text}' is no fingerprint: 64 hexadecimal digits, as `vong evidence key` prints them")
        })?),
    };
    let report = Package::open(&arguments.path).and_then(|package| verify(&package, expected));
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            tell(&format!("{:#}", anyhow::Error::from(error)));
            return Ok(ExitCode::from(UNREADABLE));
        }
    };
    if arguments.json {
        let signed_by = report.signed_by.map(|key| key.fingerprint().to_string());
        say(&serde_json::to_string_pretty(&serde_json::json!({
            "intact": report.is_intact(),
            "key_confirmed": report.key_confirmed,
            "signed_by": signed_by,
            "frames_verified": report.frames_verified,
            "findings": report.findings,
        }))?)?;
    } else {
        if arguments.language != Languages::En {
            say(&report.tell(Language::Vietnamese))?;
        }
        if arguments.language != Languages::Vi {
            say(&report.tell(Language::English))?;
        }
    }
    let unreadable = report.findings.iter().any(|finding| finding.code == Code::ManifestUnreadable);
    Ok(match (report.is_intact(), unreadable) {
        (true, _) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(CHANGED),
        (false, true) => ExitCode::from(UNREADABLE),
    })
}

fn note(arguments: &NoteArguments) -> Result<ExitCode> {
    let NoteArguments { path, by, action, detail } = arguments;
    ensure!(path.is_dir(), "{} is not a folder: unpack the archive first", path.display());
    let entry = CustodyEntry {
        at_us: SystemClock.now(),
        action: action.clone(),
        by: by.clone(),
        software: format!("vong {}", env!("CARGO_PKG_VERSION")),
        detail: detail.clone(),
    };
    vong_evidence::append_custody(path, &entry)?;
    say("added to the custody log")
}

fn list_holds(url: &str) -> Result<ExitCode> {
    let address = format!("{}/api/v1/holds", url.trim_end_matches('/'));
    let holds: Vec<FootageHold> = answer(agent().get(&address).call(), url)?;
    let lines: Vec<String> = holds.iter().map(line).collect();
    say(&match lines.is_empty() {
        true => "no footage is on hold".to_owned(),
        false => lines.join("\n"),
    })
}

fn release(hold_id: u64, by: &str, url: &str) -> Result<ExitCode> {
    let address = format!("{}/api/v1/holds/{hold_id}", url.trim_end_matches('/'));
    let hold: FootageHold = answer(agent().delete(&address).query("by", by).call(), url)?;
    say(&format!("released: {}", line(&hold)))
}

fn line(hold: &FootageHold) -> String {
    let FootageHold { hold_id, camera_id, from_ms, to_ms, case, reason, until_ms, created_ms: _ } =
        hold;
    let time = |ms: &i64| EventTime(ms.saturating_mul(1_000)).to_string();
    let until = until_ms.as_ref().map_or_else(|| "released".to_owned(), time);
    let (from, to) = (time(from_ms), time(to_ms));
    format!("{hold_id}: {camera_id} {from} to {to}, case {case}, {reason}; until {until}")
}

fn export(arguments: &ExportArguments) -> Result<ExitCode> {
    let ExportArguments { cameras, from, to, alert, case, purpose, by, out, url } = arguments;
    let taken = out.try_exists().context("could not look at the place for the package")?;
    ensure!(!taken, "{} is there already; evidence is never written over", out.display());
    let request = EvidenceRequest {
        cameras: cameras.clone(),
        from_ms: from.as_deref().map(milliseconds).transpose()?,
        to_ms: to.as_deref().map(milliseconds).transpose()?,
        alert_id: alert.clone(),
        case: case.clone(),
        purpose: purpose.clone(),
        by: by.clone(),
    };
    let base = format!("{}/api/v1/evidence", url.trim_end_matches('/'));
    let agent = agent();
    let sent = agent.post(&base).send_json(request);
    let mut package: EvidencePackage = answer(sent, url)?;
    let status = format!("{base}/{}", package.package_id);
    let mut told = 0;
    while package.state == "making" {
        std::thread::sleep(Duration::from_millis(200));
        package = answer(agent.get(&status).call(), url)?;
        let percent = package.done_bytes.saturating_mul(100).checked_div(package.all_bytes);
        if let Some(percent) = percent.filter(|percent| *percent >= told + 10) {
            told = percent;
            tell(&format!("{}: {percent} %", package.package_id));
        }
    }
    if let Some(why) = package.error {
        bail!("the package could not be made: {why}");
    }
    let size = package.package_bytes.context("the server does not say how large the package is")?;
    let archive = out.extension().is_some_and(|extension| extension == "zip");
    let part = part_of(out);
    download(&agent, &format!("{status}/package.zip"), &part, size)?;
    if archive {
        vong_runtime::fs::rename_durable(&part, out)?;
    } else {
        unpack(&part, out)?;
        std::fs::remove_file(&part)?;
    }
    say(&format!("{}: {} bytes, {}", package.package_id, size, out.display()))
}

fn part_of(out: &Path) -> PathBuf {
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    PathBuf::from(part)
}

fn agent() -> ureq::Agent {
    ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build())
}

type Sent = std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn answer<T: DeserializeOwned>(sent: Sent, url: &str) -> Result<T> {
    let mut answer = sent.with_context(|| format!("no vong answers at {url}; is it running?"))?;
    let body = answer.body_mut().read_to_vec().context("the answer broke off")?;
    if answer.status().is_success() {
        return serde_json::from_slice(&body).context("the answer is none of vong's");
    }
    match serde_json::from_slice(&body) {
        Ok(Problem { message, hint: Some(hint), .. }) => bail!("{message}\n  = {hint}"),
        Ok(Problem { message, .. }) => bail!("{message}"),
        Err(_) => bail!("{}: {}", answer.status(), String::from_utf8_lossy(&body)),
    }
}

/// Fetches the package, going on where a transfer broke off.
fn download(agent: &ureq::Agent, url: &str, part: &Path, size: u64) -> Result<()> {
    let mut file =
        File::create(part).with_context(|| format!("could not write {}", part.display()))?;
    for attempt in 1..=ATTEMPTS {
        let have = file.stream_position()?;
        if have == size {
            break;
        }
        if attempt > 1 {
            tell(&format!("the transfer broke off at byte {have}; going on"));
        }
        let sent = agent.get(url).header("range", format!("bytes={have}-")).call();
        let Ok(mut response) = sent else { continue };
        ensure!(
            response.status().is_success(),
            "the server refuses the package: {}",
            response.status()
        );
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(read) = body.read(&mut buffer) {
            if read == 0 {
                break;
            }
            file.write_all(buffer.get(..read).unwrap_or_default())?;
        }
    }
    let have = file.stream_position()?;
    ensure!(have == size, "only {have} of {size} bytes arrived; ask again");
    file.sync_all().context("could not write the package to the disk")
}

fn unpack(archive: &Path, out: &Path) -> Result<()> {
    let package = Package::open(archive)?;
    package.unpack(out).with_context(|| format!("could not unpack into {}", out.display()))
}

/// Milliseconds since 1970 of an instant in RFC 3339.
fn milliseconds(text: &str) -> Result<i64> {
    crate::backtest::instant(text).map(|time| time.millis()).with_context(|| {
        format!("'{text}' is no instant; write it as in 2026-11-22T17:00:00+07:00")
    })
}
