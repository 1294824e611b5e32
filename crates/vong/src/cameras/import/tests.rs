//! Files of cameras taken into the register of an installation.

use expect_test::{Expect, expect};

use super::*;

const HEADER: &str = "camera_id,name_vi,lon,lat,heading_deg,unit_code,url\n";
const UNITS: &str = r#"{"type":"FeatureCollection","features":[
    {"type":"Feature","properties":{"unit_code":"U1"},"geometry":{"type":"Polygon","coordinates":
        [[[105,18],[106,18],[106,19],[105,19],[105,18]]]}},
    {"type":"Feature","properties":{"unit_code":"U2"},"geometry":{"type":"Polygon","coordinates":
        [[[106,18],[107,18],[107,19],[106,19],[106,18]]]}}]}"#;

struct Site {
    directory: tempfile::TempDir,
}

impl Site {
    fn new(cameras: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let site = Self { directory };
        std::fs::create_dir(site.path("map")).unwrap();
        std::fs::write(site.path("map/units.geojson"), UNITS).unwrap();
        std::fs::write(site.path("vong.toml"), "").unwrap();
        if !cameras.is_empty() {
            std::fs::write(site.path("cameras.csv"), format!("{HEADER}{cameras}")).unwrap();
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn import(&self, rows: &str, flags: (bool, bool)) -> ExitCode {
        std::fs::write(self.path("new.csv"), format!("{HEADER}{rows}")).unwrap();
        run(&CameraImportArguments {
            file: self.path("new.csv"),
            config: self.path("vong.toml"),
            dry_run: flags.0,
            whole: flags.1,
        })
        .unwrap()
    }

    fn ids(&self) -> Vec<String> {
        let register = Register::load(&self.path("cameras.csv"), Passwords::Refuse);
        assert_eq!(register.mistakes, []);
        register.cameras.keys().map(ToString::to_string).collect()
    }

    fn backups(&self) -> usize {
        let listed = std::fs::read_dir(self.directory.path()).unwrap().flatten();
        listed.filter(|entry| entry.file_name().to_string_lossy().ends_with(".old")).count()
    }

    /// What would be said of importing `rows`.
    fn check(&self, rows: &str, whole: bool, expected: &Expect) {
        let (config, old, logins) = installation(&self.path("vong.toml")).unwrap();
        let file = Path::new("new.csv");
        let text = format!("{HEADER}{rows}");
        let new = Register::parse(file, text.as_bytes(), Passwords::TakeOut);
        let warnings = places(file, &new, &config);
        let mut told: String = warnings.iter().map(|w| format!("{w}\n")).collect();
        told.push_str(&Plan::of(&old, new, whole, &logins).summary());
        expected.assert_eq(&told);
    }
}

const OLD: &str = "A,a,105.5,18.5,0,U1,rtsp://h/a\nB,b,105.5,18.5,0,U1,rtsp://h/b\n";

#[test]
fn what_is_new_changed_and_odd_is_told() {
    let site = Site::new(OLD);
    let rows = "A,a,105.5,18.5,90,U1,rtsp://h/a\nC,c,106.5,18.5,0,U1,rtsp://u:p@h/c\n\
        D,d,18.5,105.5,0,U1,rtsp://h/d\n";
    // D's latitude is no latitude: a mistake of the row, told elsewhere.
    site.check(rows, false, &expect![[r#"
        new.csv:3:1: camera 'C' stands in 'U2', not in 'U1'
          = is unit_code right?
          A: heading_deg 0 -> 90
        1 new, 1 changed, 0 unchanged, 0 removed, 1 not in the file and kept: 3 cameras
        1 addresses carried a password: it goes into the file of log-ins, the register has the address without it"#]]);
    site.check(
        "E,e,18.5,18.5,0,U9,rtsp://h/e\n",
        true,
        &expect![[r#"
        new.csv:2:1: camera 'E' at 18.5, 18.5 stands outside of every unit
          A: removed; its footage stays
          B: removed; its footage stays
        1 new, 0 changed, 0 unchanged, 2 removed, 0 not in the file and kept: 1 cameras"#]],
    );
}

#[test]
fn the_register_grows_and_the_old_one_is_kept() {
    let site = Site::new(OLD);
    let row = "C,c,105.5,18.5,0,U1,rtsp://u:p@h/c\n";
    assert_eq!(site.import(row, (true, false)), ExitCode::SUCCESS);
    assert_eq!((site.ids(), site.backups()), (vec!["A".to_owned(), "B".to_owned()], 0));
    assert_eq!(site.import(row, (false, false)), ExitCode::SUCCESS);
    assert_eq!((site.ids().join(""), site.backups()), ("ABC".to_owned(), 1));
    let logins = std::fs::read_to_string(site.path("camera-logins.toml")).unwrap();
    assert!(logins.contains("[C]") && logins.contains("password = \"p\""), "{logins}");
    let register = std::fs::read_to_string(site.path("cameras.csv")).unwrap();
    assert!(register.contains("rtsp://h/c") && !register.contains("u:p"), "{register}");
    // Once more changes nothing and keeps no second copy.
    assert_eq!(site.import(row, (false, false)), ExitCode::SUCCESS);
    assert_eq!(site.backups(), 1);
    assert_eq!(site.import(row, (false, true)), ExitCode::SUCCESS);
    assert_eq!(site.ids(), ["C"]);
}

#[test]
fn one_mistake_and_nothing_is_written() {
    let site = Site::new(OLD);
    let before = std::fs::read(site.path("cameras.csv")).unwrap();
    let rows = "C,c,105.5,18.5,0,U1,rtsp://h/c\nD,d,x,18.5,0,U1,rtsp://u:p@h/d\n";
    assert_eq!(site.import(rows, (false, true)), ExitCode::FAILURE);
    assert_eq!(std::fs::read(site.path("cameras.csv")).unwrap(), before);
    assert!(std::fs::read(site.path("camera-logins.toml")).is_err());
    assert_eq!(site.backups(), 0);
}

#[test]
fn log_ins_that_were_there_stay() {
    let site = Site::new("");
    let default = "# of all cameras\n[default]\nusername = \"x\"\npassword = \"y\"\n";
    std::fs::write(site.path("camera-logins.toml"), default).unwrap();
    site.import("C,c,105.5,18.5,0,U1,rtsp://u:p@h/c\n", (false, false));
    let logins = CameraLogins::load(&site.path("camera-logins.toml")).unwrap();
    assert_eq!(logins.of("C").unwrap().password, "p");
    assert_eq!(logins.of("D").unwrap().password, "y");
    site.import("C,c,105.5,18.5,0,U1,rtsp://u:q@h/c\n", (false, false));
    let logins = CameraLogins::load(&site.path("camera-logins.toml")).unwrap();
    assert_eq!(logins.of("C").unwrap().password, "q");
    assert_eq!(logins.of("D").unwrap().password, "y");
}
