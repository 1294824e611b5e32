//! `configs/reference.toml`: every key with its default and what it does for the operator.
//!
//! A test compares this list with the configuration types, so a key cannot be forgotten here.

use std::fmt::Write as _;

struct Key {
    path: &'static str,
    default: &'static str,
    doc: &'static str,
}

const fn key(path: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { path, default, doc }
}

const KEYS: &[Key] = &[
    key("city.name_vi", "\"Đô thị\"", "Name of the city in the header of each screen, Vietnamese."),
    key("city.name_en", "\"City\"", "The same in English."),
    key("city.simulated", "false", "True when the data is made up: every screen then says so."),
    key("data.directory", "\"data\"", "Log, history tables and footage live below this directory."),
    key(
        "data.log_segment_mib",
        "16",
        "A log file is closed at this size. Closed files become history tables.",
    ),
    key("data.log_segment_age_s", "300", "... or at this age, whichever comes first."),
    key(
        "data.log_reserve_mib",
        "8",
        "Set aside for commands, rule changes and alerts on a full disk; 0 sets nothing aside.",
    ),
    key(
        "data.snapshot_every_s",
        "60",
        "Engine and live views write down what they know this often, so that a restart reads on from there. 0: as often as a fiftieth of the engine's time allows.",
    ),
    key(
        "data.log_keep_days",
        "30",
        "Log files older than this are deleted, once history has them; backtests reach back so far.",
    ),
    key("data.log_keep_gib", "40", "Log files beyond this size are deleted in the same way."),
    key("files.rules", "\"rules\"", "Directory of *.sql files with CREATE ALERT RULE statements."),
    key(
        "files.views",
        "\"views\"",
        "Directory of *.sql files with CREATE CONTINUOUS VIEW statements. May be missing.",
    ),
    key("files.sources", "\"sources\"", "Directory of *.toml files that map MQTT topics to rows."),
    key(
        "files.sensors",
        "\"sensors.csv\"",
        "What stands where. A missing file means: no sensors are known by place.",
    ),
    key("files.cameras", "\"cameras.csv\"", "Cameras with their RTSP addresses. May be missing."),
    key(
        "files.camera_logins",
        "\"camera-logins.toml\"",
        "Names and passwords of cameras, by camera_id; \"default\" is for all others. Keep it readable by vong alone.",
    ),
    key(
        "files.scenes",
        "\"scenes\"",
        "Directory of <camera_id>.toml files: lanes, lines and zones of cameras whose traffic is counted. May be missing.",
    ),
    key(
        "files.units",
        "\"units.csv\"",
        "Administrative units with the dates they are valid. May be missing.",
    ),
    key(
        "files.tables",
        "\"tables\"",
        "Directory of *.csv files: dimension tables that rules and SQL can join, one row a key.",
    ),
    key(
        "files.map",
        "\"map\"",
        "Directory with units.geojson, streets.geojson, river.geojson, and areas.geojson for st_within. May be missing.",
    ),
    key(
        "http.listen",
        "\"127.0.0.1:8080\"",
        "Address of screens and interfaces. Loopback only, until TLS and accounts exist.",
    ),
    key("stream.lateness_ms", "2000", "How long a window waits for rows that come late."),
    key("stream.idle_after_s", "10", "A source silent for so long no longer holds windows open."),
    key(
        "stream.dead_after_s",
        "600",
        "A source silent for so long is dead: somebody should look at it.",
    ),
    key(
        "rules.rows_per_s",
        "1000",
        "Readings a second that the installation is built for: what a rule costs is estimated with it.",
    ),
    key("rules.keys", "10000", "Sensors it is built for, or other things alerts are about."),
    key(
        "rules.asked_rows_per_s",
        "250000",
        "Rows a second that all rules with EVERY together may handle; a rule beyond it is not made.",
    ),
    key("rules.memory_mib", "256", "Memory that one rule may need; a rule beyond it is not made."),
    key("video.transport", "\"tcp\"", "How RTP travels: \"tcp\" (interleaved) or \"udp\"."),
    key("video.pre_roll_s", "10", "A clip filed for an alert starts so long before it."),
    key("video.post_roll_s", "10", "... and ends so long after it."),
    key(
        "video.clip_radius_m",
        "800.0",
        "Cameras within this distance of an alert get a clip filed.",
    ),
    key("video.clip_cameras", "2", "At most so many cameras per alert, nearest first."),
    key(
        "video.networks",
        "[\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", \"127.0.0.0/8\", \"::1/128\", \"fc00::/7\"]",
        "Cameras are connected to only inside these networks.",
    ),
    key(
        "footage.keep_days",
        "30",
        "Footage older than this is deleted, oldest first, never what is on hold; 0 keeps it until its size says so.",
    ),
    key(
        "footage.keep_gib",
        "100",
        "Footage beyond this size is deleted in the same way; 0 is no limit.",
    ),
    key(
        "footage.min_free_mib",
        "1024",
        "So much of the disk is left to the log and to others. Where it is reached the oldest footage makes room, but never the last hour.",
    ),
    key(
        "footage.queue_mib",
        "64",
        "Memory for footage that waits for the disk, of all cameras; beyond it groups of pictures are dropped and told.",
    ),
    key(
        "footage.event_memory_s",
        "30",
        "Cameras with recording \"events\" keep so many last seconds in memory, and record around alerts only.",
    ),
    key("footage.event_memory_mib", "16", "... but at most so much for each of them."),
    key(
        "footage.observation.keep_days",
        "0",
        "By class of camera, instead of keep_days; 0: as all.",
    ),
    key(
        "footage.observation.keep_gib",
        "0",
        "By class of camera, besides keep_gib; 0: no limit of its own.",
    ),
    key("footage.surveillance.keep_days", "0", "The same for this class."),
    key("footage.surveillance.keep_gib", "0", "The same for this class."),
    key("footage.plate_recognition.keep_days", "0", "The same for this class."),
    key("footage.plate_recognition.keep_gib", "0", "The same for this class."),
    key("footage.counting.keep_days", "0", "The same for this class."),
    key("footage.counting.keep_gib", "0", "The same for this class."),
    key(
        "vision.health",
        "true",
        "Whether key frames are looked at for cameras that are black, covered, moved, frozen and the like.",
    ),
    key(
        "vision.detector",
        "\"models/coco_ssdlite.onnx\"",
        "The model that tells cars, motorcycles, buses, trucks, bicycles and people apart; without the file they are told by their outlines.",
    ),
    key(
        "vision.worker_memory_mib",
        "1024",
        "Address space of each process that decodes; it dies and is started again when it wants more.",
    ),
    key(
        "vision.worker_nice",
        "10",
        "How far those of them that watch cameras stand back behind all else, 0 to 19; the one that makes pictures for screens does not.",
    ),
    key("query.concurrent", "4", "Analyst queries that run at the same time; further ones wait."),
    key("query.deadline_s", "30", "A query is stopped after this time."),
    key("query.max_rows", "1000000", "A query is stopped after so many rows of result."),
    key("query.memory_mib", "256", "Memory that all queries share."),
    key("telemetry.log_filter", "\"info\"", "What is logged, as in \"info,vong_mqtt=debug\"."),
    key("telemetry.log_json", "false", "One JSON object a line instead of text."),
];

/// The text of `configs/reference.toml`.
pub fn reference() -> String {
    let mut text = String::from(
        "# Every key of vong.toml with its default. Generated; change the code, then `cargo xtask gen`.\n\
         # Paths are relative to the directory of the file that names them.\n",
    );
    let mut section = "";
    for Key { path, default, doc } in KEYS {
        let (own_section, name) = path.split_once('.').expect("every key has a section");
        if own_section != section {
            section = own_section;
            append(&mut text, format_args!("\n[{section}]\n"));
        }
        append(&mut text, format_args!("# {doc}\n{name} = {default}\n"));
    }
    text.push_str(BROKER);
    text
}

/// Brokers are a list, shown with one member.
const BROKER: &str = r#"
# One per MQTT broker; sources name it by `id`.
[[broker]]
id = "city"
host = "127.0.0.1"
port = 1883
# "5" or "3.1.1".
protocol = "5"
# Larger messages are rejected, bytes.
max_packet = 1048576
keep_alive = "30s"
# How long the broker keeps messages for us while we are away (MQTT 5).
session_expiry = "7d"
# Kept by the broker across restarts of vong; must be unique on that broker.
client_id = "vong-city"
# Log-in, when the broker asks for it; the password stands alone in a file.
# username = "vong"
# password_file = "/etc/vong/mqtt-password"
# [broker.tls]
# ca_file = "/etc/vong/broker-ca.pem"
"#;

fn append(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a string cannot fail");
}
