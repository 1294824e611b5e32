//! `cameras.csv`: read with every mistake of every row, and written again in one form.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vong_model::{Camera, CameraClass, CameraId, Grants, Place, Recording};
use vong_rtsp::Login;
use vong_sql::guard::nearest;

use super::sheet::{Fault, Field, Sheet};
use crate::config::Diagnostic;

/// Every column, in the order in which the register is written.
pub(super) const COLUMNS: [&str; 16] = [
    "camera_id",
    "name_vi",
    "name_en",
    "lon",
    "lat",
    "heading_deg",
    "fov_deg",
    "range_m",
    "unit_code",
    "class",
    "owner",
    "purpose",
    "recording",
    "grants",
    "url",
    "live_url",
];

/// Columns without which a row is no camera.
const NEEDED: [&str; 7] = ["camera_id", "name_vi", "lon", "lat", "heading_deg", "unit_code", "url"];

/// Longest id: it becomes part of file names, clip ids and addresses.
const ID_BYTES: usize = 64;

/// What happens to `user:password@` in an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passwords {
    /// A mistake: every listing of the register would show it.
    Refuse,
    /// Taken out of the address and kept apart.
    TakeOut,
}

/// What a file of cameras says.
#[derive(Debug, Default)]
pub(crate) struct Register {
    pub(crate) cameras: BTreeMap<CameraId, Camera>,
    /// Taken out of addresses.
    pub(crate) logins: BTreeMap<CameraId, Login>,
    /// Where each camera's id stands.
    pub(super) places: BTreeMap<CameraId, (usize, usize)>,
    pub(crate) mistakes: Vec<Diagnostic>,
    pub(crate) warnings: Vec<Diagnostic>,
}

impl Register {
    /// Reads `file`; one that is not there has no cameras.
    pub(crate) fn load(file: &Path, passwords: Passwords) -> Self {
        match std::fs::read(file) {
            Ok(bytes) => Self::parse(file, &bytes, passwords),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(e) => {
                let mistakes = vec![Diagnostic::of_file(file, format!("could not be read: {e}"))];
                Self { mistakes, ..Self::default() }
            }
        }
    }

    pub(super) fn parse(file: &Path, bytes: &[u8], passwords: Passwords) -> Self {
        let mut register = Self::default();
        let told = |Fault { line, column, message, hint }: Fault| {
            let told = Diagnostic::at(file, line, column, message);
            Diagnostic { hint, ..told }
        };
        let sheet = match Sheet::parse(bytes) {
            Ok(sheet) => sheet,
            Err(fault) => {
                register.mistakes.push(told(fault));
                return register;
            }
        };
        let (faults, warnings) = header_faults(&sheet.header);
        register.warnings = warnings.into_iter().map(told).collect();
        if !faults.is_empty() {
            register.mistakes = faults.into_iter().map(told).collect();
            return register;
        }
        for fields in &sheet.rows {
            let mut row = Row { header: &sheet.header, fields, faults: Vec::new() };
            let camera = row.camera(passwords);
            row.faults.sort_by_key(|fault| (fault.line, fault.column));
            register.mistakes.extend(row.faults.into_iter().map(told));
            if let Some((camera, login)) = camera {
                register.take(file, fields, camera, login);
            }
        }
        register
    }

    fn take(&mut self, file: &Path, fields: &[Field], camera: Camera, login: Option<Login>) {
        let id = camera.camera_id.clone();
        let place = fields.first().map_or((1, 1), |field| (field.line, field.column));
        if let Some((line, _)) = self.places.get(&id) {
            let message = format!("camera '{id}' is listed twice: on line {line} as well");
            let told = Diagnostic::at(file, place.0, place.1, message);
            self.mistakes.push(told.with_hint("give one of them another camera_id, or remove it"));
            return;
        }
        let twin = self.cameras.values().find(|other| other.url == camera.url);
        if let Some(twin) = twin {
            let message = format!("camera '{id}' has the address of camera '{}'", twin.camera_id);
            let told = Diagnostic::at(file, place.0, place.1, message);
            self.warnings.push(told.with_hint("one picture would be recorded twice"));
        }
        self.places.insert(id.clone(), place);
        self.logins.extend(login.map(|login| (id.clone(), login)));
        self.cameras.insert(id, camera);
    }
}

/// The register as a file: all columns, comma-separated, by id.
pub(super) fn to_csv(cameras: &BTreeMap<CameraId, Camera>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for camera in cameras.values() {
        writer.write_record(fields_of(camera).map(|(_, text)| text))?;
    }
    writer.into_inner().map_err(|e| e.into_error().into())
}

/// Every column of a camera's row with its text.
pub(super) fn fields_of(camera: &Camera) -> [(&'static str, String); 16] {
    let Camera {
        camera_id,
        name_vi,
        name_en,
        place,
        heading_deg,
        fov_deg,
        range_m,
        class,
        owner,
        purpose,
        recording,
        grants,
        unit_code,
        url,
        live_url,
    } = camera;
    let texts = [
        camera_id.to_string(),
        name_vi.clone(),
        name_en.clone(),
        place.lon.to_string(),
        place.lat.to_string(),
        heading_deg.to_string(),
        fov_deg.to_string(),
        range_m.to_string(),
        unit_code.to_string(),
        class.as_str().to_owned(),
        owner.clone(),
        purpose.clone(),
        recording.as_str().to_owned(),
        grants.to_string(),
        url.clone(),
        live_url.clone().unwrap_or_default(),
    ];
    let mut names = COLUMNS.into_iter();
    texts.map(|text| (names.next().unwrap_or_default(), text))
}

/// Mistakes and warnings about the first line.
fn header_faults(header: &[Field]) -> (Vec<Fault>, Vec<Fault>) {
    let start = Field { text: String::new(), line: 1, column: 1 };
    let known: BTreeSet<String> = COLUMNS.map(str::to_owned).into();
    let has = |name: &str| header.iter().any(|field| field.text == name);
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !has(name)).collect();
    let mut faults = Vec::new();
    if !missing.is_empty() {
        let found = header.iter().map(|field| field.text.as_str()).collect::<Vec<_>>().join(", ");
        let message = format!("columns are missing: {}; found {found}", missing.join(", "));
        let told = Fault::at(header.first().unwrap_or(&start), message);
        faults.push(
            told.with_hint(format!("the first line names them, as in {}", COLUMNS.join(","))),
        );
    }
    let mut warnings = Vec::new();
    for (place, field) in header.iter().enumerate() {
        let name = &field.text;
        if header.iter().take(place).any(|other| other.text == *name && !name.is_empty()) {
            faults.push(Fault::at(field, format!("column '{name}' stands there twice")));
        } else if !known.contains(name) && !name.is_empty() {
            let told = Fault::at(field, format!("column '{name}' is not known and is left out"));
            warnings.push(match nearest(name, &known) {
                Some(meant) => told.with_hint(format!("did you mean '{meant}'?")),
                None => told,
            });
        }
    }
    (faults, warnings)
}

/// One row; collects every mistake in it.
struct Row<'a> {
    header: &'a [Field],
    fields: &'a [Field],
    faults: Vec<Fault>,
}

impl Row<'_> {
    /// The camera and its log-in, if nothing is wrong with the row.
    fn camera(&mut self, passwords: Passwords) -> Option<(Camera, Option<Login>)> {
        let before = self.faults.len();
        let camera_id = self.id();
        let name_vi = self.text("name_vi");
        let lon = self.number("lon", None, -180.0..=180.0);
        let lat = self.number("lat", None, -90.0..=90.0);
        let heading_deg = self.number("heading_deg", None, 0.0..=360.0);
        let fov_deg = self.number("fov_deg", Some(90.0), 1.0..=360.0);
        let range_m = self.number("range_m", Some(150.0), 1.0..=10_000.0);
        let classes = CameraClass::ALL.map(CameraClass::as_str);
        let class = self.word("class", CameraClass::from_word, &classes);
        let recording = self.word("recording", Recording::from_word, &["continuous", "events"]);
        let grants = self.grants();
        let unit_code = self.text("unit_code");
        let (url, login) = self.address("url", passwords);
        let (live_url, live_login) = self.address("live_url", passwords);
        let login = self.one_login(login, live_login);
        if self.optional("url").is_none() {
            self.text("url");
        }
        if self.faults.len() > before {
            return None;
        }
        let name_vi = name_vi?;
        let camera = Camera {
            camera_id: camera_id?.into(),
            name_en: self.words("name_en").unwrap_or_else(|| name_vi.clone()),
            name_vi,
            place: Place { lon: lon?, lat: lat? },
            heading_deg: heading_deg?,
            fov_deg: fov_deg?,
            range_m: range_m?,
            class,
            owner: self.words("owner").unwrap_or_default(),
            purpose: self.words("purpose").unwrap_or_default(),
            recording,
            grants,
            unit_code: unit_code?.into(),
            url: url?,
            live_url,
        };
        Some((camera, login))
    }

    fn id(&mut self) -> Option<String> {
        let id = self.text("camera_id")?;
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let (message, hint) = if !plain {
            let message =
                format!("camera_id '{id}' holds more than letters, digits, '-', '_' and '.'");
            (message, "the name may be anything: put it into name_vi")
        } else if id.len() > ID_BYTES {
            let message = format!("camera_id is {} characters long", id.len());
            (message, "64 are enough: put the name into name_vi")
        } else {
            return Some(id);
        };
        self.fault("camera_id", message, hint);
        None
    }

    fn grants(&mut self) -> Grants {
        let text = self.words("grants").unwrap_or_default();
        text.parse().unwrap_or_else(|e: vong_model::WrongGrants| {
            self.fault("grants", e.to_string(), "as in police:clip;transport:live");
            Grants::default()
        })
    }

    /// An address without its log-in, and that.
    fn address(
        &mut self,
        column: &'static str,
        passwords: Passwords,
    ) -> (Option<String>, Option<Login>) {
        let example = "an address looks like rtsp://192.168.1.20:554/stream1";
        let Some(text) = self.words(column) else { return (None, None) };
        let shown = without_password(&text);
        let mut url = match url::Url::parse(&text) {
            Ok(url) => url,
            Err(e) => {
                self.fault(column, format!("{column} '{shown}' is no address: {e}"), example);
                return (None, None);
            }
        };
        if url.scheme() != "rtsp" || url.host().is_none() {
            let message = format!("{column} '{shown}' is no rtsp:// address of a host");
            self.fault(column, message, example);
            return (None, None);
        }
        if url.username().is_empty() && url.password().is_none() {
            return (Some(text), None);
        }
        if passwords == Passwords::Refuse {
            let message = format!("{column} carries a password, which every listing would show");
            let hint = "remove user:password@ from the address and put it into camera-logins.toml; \
                        `vong camera import` does both";
            self.fault(column, message, hint);
            return (None, None);
        }
        let login = Login {
            username: unescaped(url.username()),
            password: unescaped(url.password().unwrap_or_default()),
        };
        let cleared = url.set_username("").is_ok() && url.set_password(None).is_ok();
        if !cleared {
            self.fault(column, format!("{column} '{shown}' cannot bear a log-in"), example);
        }
        (Some(url.to_string()), Some(login))
    }

    /// A camera has one log-in for all its streams.
    fn one_login(&mut self, main: Option<Login>, live: Option<Login>) -> Option<Login> {
        if let (Some(a), Some(b)) = (&main, &live)
            && (&a.username, &a.password) != (&b.username, &b.password)
        {
            let message = "live_url carries another log-in than url".to_owned();
            self.fault("live_url", message, "use one log-in for both streams of a camera");
        }
        main.or(live)
    }

    fn number(
        &mut self,
        column: &'static str,
        default: Option<f64>,
        range: std::ops::RangeInclusive<f64>,
    ) -> Option<f64> {
        if default.is_some() && self.optional(column).is_none() {
            return default;
        }
        let text = self.text(column)?;
        let Some(number) = number(&text) else {
            let message = format!("{column} is not a number: '{text}'");
            self.fault(column, message, "write 105.9 or 105,9, without a mark for thousands");
            return None;
        };
        if range.contains(&number) {
            return Some(number);
        }
        let message =
            format!("{column} {number} lies outside {} to {}", range.start(), range.end());
        self.fault(
            column,
            message,
            match column {
                "lat" if number.abs() <= 180.0 => "are lon and lat the wrong way round?",
                "heading_deg" => "degrees clockwise from north: 90 looks east",
                "fov_deg" => "degrees; 360 for a camera that turns",
                "range_m" => "metres",
                _ => "degrees, WGS 84",
            },
        );
        None
    }

    /// One of a closed list of words; the first of them where nothing is written.
    fn word<T: Default>(
        &mut self,
        column: &'static str,
        known: impl Fn(&str) -> Option<T>,
        words: &[&str],
    ) -> T {
        let Some(word) = self.words(column) else { return T::default() };
        known(&word.to_lowercase()).unwrap_or_else(|| {
            let message = format!("{column} '{word}' is none of {}", words.join(", "));
            self.fault(column, message, "leave it empty for the first of them");
            T::default()
        })
    }

    /// A text that must be there.
    fn text(&mut self, column: &'static str) -> Option<String> {
        let found = self.words(column);
        if found.is_none() {
            self.fault(column, format!("{column} is empty"), "a camera needs one");
        }
        found
    }

    fn words(&self, column: &str) -> Option<String> {
        self.optional(column).map(|field| field.text.clone())
    }

    /// Neither the column nor a value in it need be there.
    fn optional(&self, column: &str) -> Option<&Field> {
        let index = self.header.iter().position(|field| field.text == column)?;
        self.fields.get(index).filter(|field| !field.text.is_empty())
    }

    fn fault(&mut self, column: &str, message: String, hint: &str) {
        let start = Field { text: String::new(), line: 1, column: 1 };
        let index = self.header.iter().position(|field| field.text == column);
        let place = index.and_then(|index| self.fields.get(index)).or_else(|| self.fields.last());
        self.faults.push(Fault::at(place.unwrap_or(&start), message).with_hint(hint));
    }
}

/// `105.9`, or `105,9` as a spreadsheet set to Vietnamese writes it.
fn number(text: &str) -> Option<f64> {
    let marks = (text.matches(',').count(), text.contains('.'));
    let plain = match marks {
        (0, _) => text.to_owned(),
        (1, false) => text.replace(',', "."),
        _ => return None,
    };
    plain.parse().ok().filter(|number: &f64| number.is_finite())
}

/// An address as it may be shown: `rtsp://***@host/path`.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text
            .rsplit_once('@')
            .map_or_else(|| text.to_owned(), |(_, host)| format!("***@{host}"));
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => text.to_owned(),
    }
}

/// Percent-encoding undone (RFC 3986, 2.1); what is no escape stays.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let (b'%', Some(byte)) = (first, escaped) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
