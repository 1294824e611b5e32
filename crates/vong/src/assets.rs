//! Reads what stands in the city from CSV files, naming file, line and column of a mistake.

use std::collections::BTreeMap;
use std::path::Path;

use csv::StringRecord;
use serde::{Deserialize, Serialize};
use vong_model::{Assets, CameraId, Place, Sensor, Unit};
use vong_rtsp::Login;

use crate::cameras::{Passwords, Register};
use crate::config::{Diagnostic, FilesConfig, from_toml};

/// Reads all registers; a missing file is an empty register.
///
/// # Errors
/// Every mistake of the cameras, and the first one of each other register.
pub fn load(files: &FilesConfig) -> Result<Assets, Vec<Diagnostic>> {
    let Register { cameras, mut mistakes, .. } = Register::load(&files.cameras, Passwords::Refuse);
    let mut assets = Assets { cameras, ..Assets::default() };
    mistakes.extend(sensors(files, &mut assets).err());
    mistakes.extend(units(files, &mut assets).err());
    if mistakes.is_empty() { Ok(assets) } else { Err(mistakes) }
}

fn sensors(files: &FilesConfig, assets: &mut Assets) -> Result<(), Diagnostic> {
    for row in rows(&files.sensors)? {
        let sensor = Sensor {
            sensor_id: row.text("sensor_id")?.into(),
            kind: row.text("kind")?.to_owned(),
            name_vi: row.text("name_vi")?.to_owned(),
            name_en: row.text("name_en")?.to_owned(),
            place: row.place()?,
            unit_code: row.text("unit_code")?.into(),
        };
        if let Some(twice) = assets.sensors.insert(sensor.sensor_id.clone(), sensor) {
            return Err(row.mistake(&format!("sensor '{}' is listed twice", twice.sensor_id)));
        }
    }
    Ok(())
}

fn units(files: &FilesConfig, assets: &mut Assets) -> Result<(), Diagnostic> {
    for row in rows(&files.units)? {
        assets.units.push(Unit {
            unit_code: row.text("unit_code")?.into(),
            name_vi: row.text("name_vi")?.to_owned(),
            name_en: row.text("name_en")?.to_owned(),
            level: row.text("level")?.to_owned(),
            parent_code: row.optional("parent_code").map(Into::into),
            valid_from: row.text("valid_from")?.to_owned(),
            valid_to: row.optional("valid_to").map(str::to_owned),
        });
    }
    Ok(())
}

/// Names and passwords of cameras; apart from their addresses, so that a listing can show those.
#[derive(Clone, Debug, Default)]
pub struct CameraLogins {
    by_camera: BTreeMap<String, Login>,
}

/// One log-in as the file has it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    username: String,
    password: String,
}

impl CameraLogins {
    /// Reads `camera-logins.toml`; a missing file means that no camera asks for a log-in.
    pub fn load(file: &Path) -> Result<Self, Diagnostic> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Diagnostic::of_file(file, e.to_string())),
        };
        // What is wrong is not repeated: it may be the password.
        let entries: BTreeMap<String, Entry> = from_toml(file, &text).map_err(|mistake| {
            Diagnostic { message: "log-ins cannot be read here".to_owned(), ..mistake }
                .with_hint("[CAM-01] with username = \"…\" and password = \"…\", both in quotes")
        })?;
        let login = |Entry { username, password }| Login { username, password };
        Ok(Self {
            by_camera: entries.into_iter().map(|(camera, entry)| (camera, login(entry))).collect(),
        })
    }

    /// The camera's own log-in, or the one that is for all others.
    pub fn of(&self, camera_id: &str) -> Option<Login> {
        self.own(camera_id).or_else(|| self.by_camera.get("default")).cloned()
    }

    /// The camera's own log-in.
    pub fn own(&self, camera_id: &str) -> Option<&Login> {
        self.by_camera.get(camera_id)
    }

    /// With these in addition to, or in place of, those that are known.
    #[must_use]
    pub fn with(mut self, logins: BTreeMap<CameraId, Login>) -> Self {
        self.by_camera.extend(logins.into_iter().map(|(id, login)| (id.to_string(), login)));
        self
    }

    /// Writes the file anew, for the eyes of its owner only.
    pub fn store(self, file: &Path) -> anyhow::Result<()> {
        let entry = |Login { username, password }| Entry { username, password };
        let entries: BTreeMap<String, Entry> =
            self.by_camera.into_iter().map(|(camera, login)| (camera, entry(login))).collect();
        let text = format!(
            "# Names and passwords of cameras, by camera_id; [default] is for all others.\n\n{}",
            toml::to_string(&entries)?
        );
        Ok(vong_runtime::fs::replace_private_file(file, text.as_bytes())?)
    }
}

/// One line of a register, able to say where it stands.
struct Row<'a> {
    file: &'a Path,
    header: StringRecord,
    fields: StringRecord,
}

fn rows(file: &Path) -> Result<Vec<Row<'_>>, Diagnostic> {
    let present = file.try_exists().map_err(|e| Diagnostic::of_file(file, e.to_string()))?;
    if !present {
        return Ok(Vec::new());
    }
    let fault = |e: csv::Error| Diagnostic::of_file(file, e.to_string());
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(file).map_err(fault)?;
    let header = reader.headers().map_err(fault)?.clone();
    let mut all = Vec::new();
    for fields in reader.records() {
        all.push(Row { file, header: header.clone(), fields: fields.map_err(fault)? });
    }
    Ok(all)
}

impl Row<'_> {
    fn place(&self) -> Result<Place, Diagnostic> {
        let place = Place { lon: self.number("lon")?, lat: self.number("lat")? };
        if place.lon.abs() > 180.0 || place.lat.abs() > 90.0 {
            return Err(self.mistake("lon must lie in -180..180 and lat in -90..90, degrees"));
        }
        Ok(place)
    }

    fn number(&self, column: &str) -> Result<f64, Diagnostic> {
        let text = self.text(column)?;
        text.parse()
            .map_err(|_not_a_number| self.mistake(&format!("{column} is not a number: '{text}'")))
    }

    fn text(&self, column: &str) -> Result<&str, Diagnostic> {
        if !self.header.iter().any(|name| name == column) {
            let columns = self.header.iter().collect::<Vec<_>>().join(", ");
            let message = format!("column '{column}' is missing; found {columns}");
            return Err(Diagnostic::at(self.file, 1, 1, message));
        }
        self.optional(column).ok_or_else(|| self.mistake(&format!("{column} is empty")))
    }

    /// Neither the column nor a value in it need be there.
    fn optional(&self, column: &str) -> Option<&str> {
        let index = self.header.iter().position(|name| name == column)?;
        self.fields.get(index).filter(|text| !text.is_empty())
    }

    fn mistake(&self, message: &str) -> Diagnostic {
        let line = self.fields.position().map_or(1, csv::Position::line);
        Diagnostic::at(self.file, usize::try_from(line).unwrap_or(1), 1, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_in_the_logins_does_not_repeat_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["[CAM-01]\nusername = \"a\"\npassword = 77331199\n", "[C\npassword=77331199"] {
            std::fs::write(file.path(), text).unwrap();
            let told = CameraLogins::load(file.path()).unwrap_err().to_string();
            assert!(
                told.contains("log-ins cannot be read here") && !told.contains("7733"),
                "{told}"
            );
        }
    }
}
