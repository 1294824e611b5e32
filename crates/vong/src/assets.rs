//! Reads what stands in the city from CSV files, naming file, line and column of a mistake.

use std::collections::BTreeMap;
use std::path::Path;

use csv::StringRecord;
use serde::Deserialize;
use vong_model::{Assets, Camera, CameraClass, Place, Recording, Sensor, Unit};
use vong_rtsp::Login;

use crate::config::{Diagnostic, FilesConfig, from_toml};

/// Reads all registers; a missing file is an empty register.
pub fn load(files: &FilesConfig) -> Result<Assets, Diagnostic> {
    let mut assets = Assets::default();
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
    for row in rows(&files.cameras)? {
        let camera = row.camera()?;
        if let Some(twice) = assets.cameras.insert(camera.camera_id.clone(), camera) {
            return Err(row.mistake(&format!("camera '{}' is listed twice", twice.camera_id)));
        }
    }
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
    Ok(assets)
}

/// Names and passwords of cameras; apart from their addresses, so that a listing can show those.
#[derive(Clone, Debug, Default)]
pub struct CameraLogins {
    by_camera: BTreeMap<String, Login>,
}

impl CameraLogins {
    /// Reads `camera-logins.toml`; a missing file means that no camera asks for a log-in.
    pub fn load(file: &Path) -> Result<Self, Diagnostic> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Entry {
            username: String,
            password: String,
        }
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
        self.by_camera.get(camera_id).or_else(|| self.by_camera.get("default")).cloned()
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
    fn camera(&self) -> Result<Camera, Diagnostic> {
        let url = self.text("url")?;
        self.check_url("url", url)?;
        let live_url = self.optional("live_url");
        if let Some(live) = live_url {
            self.check_url("live_url", live)?;
        }
        let camera_id = self.text("camera_id")?;
        // The id becomes part of clip ids and addresses.
        if !camera_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            let message = format!(
                "camera_id '{camera_id}' holds more than letters, digits, '-', '_' and '.'"
            );
            return Err(self
                .mistake(&message)
                .with_hint("the name may be anything: put it into name_vi"));
        }
        Ok(Camera {
            camera_id: camera_id.into(),
            name_vi: self.text("name_vi")?.to_owned(),
            name_en: self.text("name_en")?.to_owned(),
            place: self.place()?,
            heading_deg: self.number("heading_deg")?,
            fov_deg: self.number_or("fov_deg", 90.0)?,
            range_m: self.number_or("range_m", 150.0)?,
            class: self.word(
                "class",
                CameraClass::from_word,
                &CameraClass::ALL.map(CameraClass::as_str),
            )?,
            owner: self.optional("owner").unwrap_or_default().to_owned(),
            purpose: self.optional("purpose").unwrap_or_default().to_owned(),
            recording: self.word("recording", Recording::from_word, &["continuous", "events"])?,
            unit_code: self.text("unit_code")?.into(),
            url: url.to_owned(),
            live_url: live_url.map(str::to_owned),
        })
    }

    fn check_url(&self, column: &str, text: &str) -> Result<(), Diagnostic> {
        let example = "an address looks like rtsp://192.168.1.20:554/stream1";
        let authority = text.split_once("://").map_or(text, |(_scheme, rest)| rest);
        if authority.split('/').next().is_some_and(|host| host.contains('@')) {
            let told = self
                .mistake(&format!("{column} carries a password, which every listing would show"));
            return Err(told.with_hint("remove user:password@ from the address"));
        }
        let url = url::Url::parse(text).map_err(|e| {
            self.mistake(&format!("{column} '{text}' is no address: {e}")).with_hint(example)
        })?;
        if url.scheme() != "rtsp" || url.host().is_none() {
            let message = format!("{column} '{text}' is no rtsp:// address of a host");
            return Err(self.mistake(&message).with_hint(example));
        }
        Ok(())
    }

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

    fn number_or(&self, column: &str, default: f64) -> Result<f64, Diagnostic> {
        if self.optional(column).is_none() { Ok(default) } else { self.number(column) }
    }

    /// One of a closed list of words; the first of them where nothing is written.
    fn word<T: Default>(
        &self,
        column: &str,
        known: impl Fn(&str) -> Option<T>,
        words: &[&str],
    ) -> Result<T, Diagnostic> {
        let Some(word) = self.optional(column) else { return Ok(T::default()) };
        known(word).ok_or_else(|| {
            self.mistake(&format!("{column} '{word}' is none of {}", words.join(", ")))
        })
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

    fn check(cameras: &str, expected: &str) {
        let directory = tempfile::tempdir().unwrap();
        let files =
            FilesConfig { cameras: directory.path().join("cameras.csv"), ..Default::default() };
        std::fs::write(&files.cameras, cameras).unwrap();
        let told =
            load(&files).map_or_else(|d| d.to_string(), |a| format!("{} cameras", a.cameras.len()));
        let told = told
            .lines()
            .next()
            .unwrap()
            .replace(&format!("{}", files.cameras.display()), "cameras.csv");
        assert_eq!(told, expected);
    }

    #[test]
    fn a_wrong_camera_address_is_told_with_its_line() {
        let header = "camera_id,name_vi,name_en,lon,lat,heading_deg,unit_code,url,live_url\n";
        check(&format!("{header}C1,a,a,105,18,0,U1,rtsp://10.0.0.1/x,\n"), "1 cameras");
        check(
            &format!("{header}C1,a,a,105,18,0,U1,http://10.0.0.1/x,\n"),
            "cameras.csv:2:1: url 'http://10.0.0.1/x' is no rtsp:// address of a host",
        );
        for url in ["rtsp://u:p@10.0.0.1/x", "http://u:p@10.0.0.1/x", "rtsp:u:p@10.0.0.1/x"] {
            check(
                &format!("{header}C1,a,a,105,18,0,U1,{url},\n"),
                "cameras.csv:2:1: url carries a password, which every listing would show",
            );
        }
        check(
            "camera_id,url\nC1,rtsp://h/x\n",
            "cameras.csv:1:1: column 'name_vi' is missing; found camera_id, url",
        );
    }
}
