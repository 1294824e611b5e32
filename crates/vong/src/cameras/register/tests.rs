//! Rows of a register, as they are and as people write them.

use expect_test::{Expect, expect};

use super::*;

const HEADER: &str =
    "camera_id,name_vi,lon,lat,heading_deg,unit_code,url,live_url,class,recording,grants\n";

fn read(text: &str, passwords: Passwords) -> Register {
    Register::parse(Path::new("cameras.csv"), text.as_bytes(), passwords)
}

/// Every mistake and warning of a register with these rows.
fn check(text: &str, expected: &Expect) {
    let Register { cameras, mistakes, warnings, .. } = read(text, Passwords::Refuse);
    let mut told = format!("{} cameras\n", cameras.len());
    for (kind, list) in [("", mistakes), ("warning: ", warnings)] {
        list.iter().for_each(|d| told.push_str(&format!("{kind}{d}\n")));
    }
    expected.assert_eq(&told);
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_do() {
    let rows = "C1,a,105,18,0,U1,rtsp://10.0.0.1/x,,,,\n\
        C2,a,18.3,105.9,400,U1,http://10.0.0.1/x,,camera,,\n\
        C 3,,x,18,0,,rtsp://u:secret@10.0.0.1/x,rtsp://u:secret@[,counting,sometimes,police\n\
        C1,a,105,18,0,U1,rtsp://10.0.0.2/x,,,,\n\
        C4,a,105,18,0,U1,rtsp://10.0.0.1/x,,,,\n";
    check(
        &format!("{HEADER}{rows}"),
        &expect![[r#"
            2 cameras
            cameras.csv:3:11: lat 105.9 lies outside -90 to 90
              = are lon and lat the wrong way round?
            cameras.csv:3:17: heading_deg 400 lies outside 0 to 360
              = degrees clockwise from north: 90 looks east
            cameras.csv:3:24: url 'http://10.0.0.1/x' is no rtsp:// address of a host
              = an address looks like rtsp://192.168.1.20:554/stream1
            cameras.csv:3:43: class 'camera' is none of observation, surveillance, plate_recognition, counting
              = leave it empty for the first of them
            cameras.csv:4:1: camera_id 'C 3' holds more than letters, digits, '-', '_' and '.'
              = the name may be anything: put it into name_vi
            cameras.csv:4:5: name_vi is empty
              = a camera needs one
            cameras.csv:4:6: lon is not a number: 'x'
              = write 105.9 or 105,9, without a mark for thousands
            cameras.csv:4:13: unit_code is empty
              = a camera needs one
            cameras.csv:4:14: url carries a password, which every listing would show
              = remove user:password@ from the address and put it into camera-logins.toml; `vong camera import` does both
            cameras.csv:4:41: live_url 'rtsp://***@[' is no address: invalid IPv6 address
              = an address looks like rtsp://192.168.1.20:554/stream1
            cameras.csv:4:68: recording 'sometimes' is none of continuous, events
              = leave it empty for the first of them
            cameras.csv:4:78: 'police' is no grant: an agency and what it may see, as in police:clip
              = as in police:clip;transport:live
            cameras.csv:5:1: camera 'C1' is listed twice: on line 2 as well
              = give one of them another camera_id, or remove it
            warning: cameras.csv:6:1: camera 'C4' has the address of camera 'C1'
              = one picture would be recorded twice
        "#]],
    );
}

#[test]
fn a_header_that_lacks_something_is_told_once() {
    check(
        "camera_id,url,naame_vi,url\nC1,rtsp://h/x,a,b\n",
        &expect![[r#"
            0 cameras
            cameras.csv:1:1: columns are missing: name_vi, lon, lat, heading_deg, unit_code; found camera_id, url, naame_vi, url
              = the first line names them, as in camera_id,name_vi,name_en,lon,lat,heading_deg,fov_deg,range_m,unit_code,class,owner,purpose,recording,grants,url,live_url
            cameras.csv:1:24: column 'url' stands there twice
            warning: cameras.csv:1:15: column 'naame_vi' is not known and is left out
              = did you mean 'name_vi'?
        "#]],
    );
}

#[test]
fn what_a_vietnamese_spreadsheet_writes_is_the_same_register() {
    let plain = "camera_id,name_vi,lon,lat,heading_deg,unit_code,url\n\
        C1,Ngã tư,105.9,18.34,7.5,U1,rtsp://10.0.0.1/x\n";
    let excel = "\u{feff}camera_id;name_vi;lon;lat;heading_deg;unit_code;url\r\n\
        C1;Ngã tư;105,9;18,34;7,5;U1;rtsp://10.0.0.1/x\r\n";
    let (plain, excel) = (read(plain, Passwords::Refuse), read(excel, Passwords::Refuse));
    assert_eq!(excel.mistakes, []);
    assert_eq!(plain.cameras, excel.cameras);
    assert_eq!(plain.cameras.values().next().unwrap().place.lon, 105.9);
}

#[test]
fn passwords_leave_the_address() {
    let row = "C1,a,105,18,0,U1,rtsp://ad%6Din:p%40ss:w@10.0.0.1:554/x?a=1,,,,\n";
    let Register { cameras, logins, mistakes, .. } =
        read(&format!("{HEADER}{row}"), Passwords::TakeOut);
    assert_eq!(mistakes, []);
    let login = logins.values().next().unwrap();
    assert_eq!((login.username.as_str(), login.password.as_str()), ("admin", "p@ss:w"));
    assert_eq!(cameras.values().next().unwrap().url, "rtsp://10.0.0.1:554/x?a=1");
    let two = "C1,a,105,18,0,U1,rtsp://a:b@10.0.0.1/x,rtsp://a:c@10.0.0.1/y,,,\n";
    let told = read(&format!("{HEADER}{two}"), Passwords::TakeOut).mistakes;
    assert_eq!(told[0].message, "live_url carries another log-in than url");
}

#[test]
fn numbers_have_one_mark_at_most() {
    for (text, expected) in [
        ("105.9", Some(105.9)),
        ("105,9", Some(105.9)),
        ("1.105,9", None),
        ("1,105,9", None),
        ("inf", None),
        ("", None),
    ] {
        assert_eq!(number(text), expected, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn what_is_written_is_read_again(
        name in "[ -~à-ỹ]{0,12}", numbers in (-180.0..180.0, -90.0..90.0, 0.0..360.0),
        class in 0_usize..4, events: bool,
    ) {
        let camera = Camera {
            camera_id: "CAM-1.a_b".into(),
            name_vi: format!("x{name}").trim().to_owned(),
            name_en: "y".to_owned(),
            place: Place { lon: numbers.0, lat: numbers.1 },
            heading_deg: numbers.2,
            fov_deg: 75.5,
            range_m: 120.0,
            class: CameraClass::ALL[class],
            owner: name.trim().to_owned(),
            purpose: String::new(),
            recording: if events { Recording::Events } else { Recording::Continuous },
            grants: "police:clip;press:live".parse().unwrap(),
            unit_code: "99001".into(),
            url: "rtsp://10.0.0.1:554/x".to_owned(),
            live_url: Some("rtsp://10.0.0.1:554/y".to_owned()),
        };
        let cameras = BTreeMap::from([(camera.camera_id.clone(), camera)]);
        let bytes = to_csv(&cameras).unwrap();
        let again = Register::parse(Path::new("c.csv"), &bytes, Passwords::Refuse);
        proptest::prop_assert_eq!(again.mistakes, vec![]);
        proptest::prop_assert_eq!(again.cameras, cameras);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        drop(Register::parse(Path::new("c.csv"), &bytes, Passwords::TakeOut));
    }
}
