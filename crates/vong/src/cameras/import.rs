//! `vong camera import`: cameras of a spreadsheet into the register of an installation.
//!
//! Every row is checked first; one mistake and nothing is written. Log-ins are stored before the
//! register that needs them, the old register is kept beside the new one, and each file is replaced
//! as a whole: a power cut leaves the old or the new one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use vong_model::{Assets, Camera, CameraId, EventTime};
use vong_rtsp::Login;
use vong_runtime::{Clock, SystemClock};
use vong_sql::functions::Areas;

use super::register::{Passwords, Register, fields_of, to_csv};
use crate::areas;
use crate::assets::{self, CameraLogins};
use crate::cli::{CameraImportArguments, say, tell};
use crate::config::{Config, Diagnostic};

/// Changed cameras that are shown one by one.
const SHOWN: usize = 20;

/// Reads, checks, tells, and writes unless it is a dry run.
pub(crate) fn run(arguments: &CameraImportArguments) -> Result<ExitCode> {
    let Some((config, old, logins)) = installation(&arguments.config) else {
        return Ok(ExitCode::FAILURE);
    };
    let mut new = read(&arguments.file)?;
    new.warnings.extend(places(&arguments.file, &new, &config));
    new.warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
    if !new.mistakes.is_empty() {
        new.mistakes.iter().for_each(|mistake| tell(&mistake.to_string()));
        tell(&format!("{} mistakes; nothing was changed", new.mistakes.len()));
        return Ok(ExitCode::FAILURE);
    }
    let plan = Plan::of(&old, new, arguments.whole, &logins);
    say(&plan.summary())?;
    if arguments.dry_run {
        return say("dry run: nothing was changed");
    }
    if plan.is_empty() {
        return say("the register holds all of this already");
    }
    plan.write(&config, logins, EventTime(SystemClock.now()))
}

/// What is there already; mistakes are told.
fn installation(config: &Path) -> Option<(Config, BTreeMap<CameraId, Camera>, CameraLogins)> {
    let config = Config::load(config).map_err(|mistake| tell(&mistake.to_string())).ok()?;
    let register = Register::load(&config.files.cameras, Passwords::Refuse);
    let logins = CameraLogins::load(&config.files.camera_logins);
    let mistakes: Vec<_> =
        register.mistakes.iter().chain(logins.as_ref().err()).map(ToString::to_string).collect();
    if !mistakes.is_empty() {
        mistakes.iter().for_each(|mistake| tell(mistake));
        tell("the register of the installation must hold before cameras are added to it");
    }
    logins.ok().filter(|_| mistakes.is_empty()).map(|logins| (config, register.cameras, logins))
}

fn read(file: &Path) -> Result<Register> {
    let bytes =
        std::fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    Ok(Register::parse(file, &bytes, Passwords::TakeOut))
}

/// Cameras outside of what the installation knows of its province; none of it keeps them out.
fn places(file: &Path, new: &Register, config: &Config) -> Vec<Diagnostic> {
    let mut warnings = Vec::new();
    let map = areas::load(&config.files.map, &mut warnings).map(|(_table, areas)| areas);
    let units = assets::load(&config.files).unwrap_or_else(|_told_by_check| Assets::default());
    for (id, camera) in &new.cameras {
        let (line, column) = new.places.get(id).copied().unwrap_or((1, 1));
        let code = camera.unit_code.as_str();
        let known =
            units.units.is_empty() || units.units.iter().any(|u| u.unit_code == camera.unit_code);
        if !known {
            let message =
                format!("camera '{id}' is in unit '{code}', which units.csv does not have");
            warnings.push(Diagnostic::at(file, line, column, message));
        }
        let Some(told) = map.as_ref().and_then(|map| outside(map, camera)) else { continue };
        warnings.push(Diagnostic { hint: told.1, ..Diagnostic::at(file, line, column, told.0) });
    }
    warnings
}

/// What is odd about a camera's place on the map, and what it may come from.
fn outside(map: &Areas, camera: &Camera) -> Option<(String, Option<String>)> {
    let Camera { camera_id, place, unit_code, .. } = camera;
    if map.holds(unit_code.as_str(), place.lon, place.lat) == Some(true) {
        return None;
    }
    let around = map.around(place.lon, place.lat);
    if let Some(other) = around.last() {
        let known = map.holds(unit_code.as_str(), place.lon, place.lat).is_some();
        let message = format!("camera '{camera_id}' stands in '{other}', not in '{unit_code}'");
        return known.then_some((message, Some("is unit_code right?".to_owned())));
    }
    let (lon, lat) = (place.lon, place.lat);
    let message = format!("camera '{camera_id}' at {lon}, {lat} stands outside of every unit");
    let swapped = !map.around(lat, lon).is_empty();
    Some((message, swapped.then(|| "lon and lat seem to be the wrong way round".to_owned())))
}

/// What the register becomes.
struct Plan {
    cameras: BTreeMap<CameraId, Camera>,
    /// Log-ins that are new or other than before.
    logins: BTreeMap<CameraId, Login>,
    new: Vec<CameraId>,
    changed: Vec<(CameraId, Vec<String>)>,
    unchanged: usize,
    removed: Vec<CameraId>,
    /// In the register, not in the file, and staying.
    others: usize,
}

impl Plan {
    fn of(
        old: &BTreeMap<CameraId, Camera>,
        read: Register,
        whole: bool,
        known: &CameraLogins,
    ) -> Self {
        let Register { cameras: incoming, mut logins, .. } = read;
        logins.retain(|id, login| {
            let known = known.own(id.as_str());
            known.is_none_or(|k| (&k.username, &k.password) != (&login.username, &login.password))
        });
        let missing = || old.keys().filter(|id| !incoming.contains_key(*id)).cloned();
        let removed: Vec<CameraId> = if whole { missing().collect() } else { Vec::new() };
        let others = if whole { 0 } else { missing().count() };
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for (id, camera) in &incoming {
            match old.get(id) {
                None => new.push(id.clone()),
                Some(before) if before != camera => {
                    changed.push((id.clone(), differences(before, camera)));
                }
                Some(_) if logins.contains_key(id) => {
                    changed.push((id.clone(), vec!["log-in".to_owned()]));
                }
                Some(_) => {}
            }
        }
        let unchanged = incoming.len().saturating_sub(new.len()).saturating_sub(changed.len());
        let mut cameras = old.clone();
        cameras.retain(|id, _| !removed.contains(id));
        cameras.extend(incoming);
        Self { cameras, logins, new, changed, unchanged, removed, others }
    }

    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    fn summary(&self) -> String {
        let Self { cameras, logins, new, changed, unchanged, removed, others } = self;
        let mut lines: Vec<String> = Vec::new();
        for (id, differences) in changed.iter().take(SHOWN) {
            lines.push(format!("  {id}: {}", differences.join(", ")));
        }
        if changed.len() > SHOWN {
            lines.push(format!("  and {} more", changed.len() - SHOWN));
        }
        lines.extend(removed.iter().map(|id| format!("  {id}: removed; its footage stays")));
        lines.push(format!(
            "{} new, {} changed, {unchanged} unchanged, {} removed, {others} not in the file and \
             kept: {} cameras",
            new.len(),
            changed.len(),
            removed.len(),
            cameras.len()
        ));
        if !logins.is_empty() {
            lines.push(format!(
                "{} addresses carried a password: it goes into the file of log-ins, the register \
                 has the address without it",
                logins.len()
            ));
        }
        lines.join("\n")
    }

    fn write(self, config: &Config, known: CameraLogins, now: EventTime) -> Result<ExitCode> {
        let (file, logins_file) = (&config.files.cameras, &config.files.camera_logins);
        if !self.logins.is_empty() {
            known
                .with(self.logins)
                .store(logins_file)
                .with_context(|| format!("could not write {}", logins_file.display()))?;
            say(&format!("wrote {}", logins_file.display()))?;
        }
        if let Some(backup) = keep(file, now).context("could not keep the old register")? {
            say(&format!("the old register is {}", backup.display()))?;
        }
        let content = to_csv(&self.cameras).context("could not write the register")?;
        vong_runtime::fs::replace_file(file, &content)
            .with_context(|| format!("could not write {}", file.display()))?;
        say(&format!("wrote {}", file.display()))?;
        say(
            "a running vong takes the cameras in when it gets SIGHUP (kill -HUP, or systemctl reload)",
        )
    }
}

/// What differs, as `heading_deg 10 -> 20`; an address is never shown with what it replaces.
fn differences(before: &Camera, after: &Camera) -> Vec<String> {
    let pairs = fields_of(before).into_iter().zip(fields_of(after));
    let changed = pairs.filter(|(old, new)| old.1 != new.1);
    let shown = |text: String| if text.is_empty() { "nothing".to_owned() } else { text };
    changed.map(|(old, new)| format!("{} {} -> {}", new.0, shown(old.1), shown(new.1))).collect()
}

/// Copies the register to a name with the time in it, durably; `None` where there is none yet.
fn keep(file: &Path, now: EventTime) -> Result<Option<PathBuf>> {
    let content = match std::fs::read(file) {
        Ok(content) => content,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let stamp: String =
        now.to_string().chars().take_while(|c| *c != '.').filter(|c| *c != ':').collect();
    let mut name = file.as_os_str().to_os_string();
    name.push(format!(".{stamp}Z.old"));
    let backup = PathBuf::from(name);
    vong_runtime::fs::replace_file(&backup, &content)?;
    Ok(Some(backup))
}

#[cfg(test)]
mod tests;
