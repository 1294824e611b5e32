//! Files that are made from code are what the code makes. `cargo xtask gen` rewrites them.

use std::fmt::Write as _;
use std::path::Path;

use arrow::datatypes::DataType;
use ts_rs::{Config, TS};
use vong_model::{ColumnRole, Stream};
use vong_wire::{http, live, video};

/// Compares `path` with `fresh`, or rewrites it when asked to bless.
fn check(path: &str, fresh: &str) {
    let full = xtask::root().join(path);
    let stale = std::fs::read_to_string(&full).unwrap_or_default();
    if std::env::var_os("VONG_BLESS").is_some() {
        std::fs::create_dir_all(full.parent().unwrap_or_else(|| Path::new("."))).unwrap();
        std::fs::write(&full, fresh).unwrap();
        return;
    }
    assert!(stale == fresh, "{path} is stale; run `cargo xtask gen`");
}

#[test]
fn generated_configuration_reference_is_fresh() {
    check("configs/reference.toml", &vong::config::reference());
}

#[test]
fn generated_source_reference_is_fresh() {
    check("docs/generated/sources.toml", vong_decode::reference());
}

#[test]
fn generated_openapi_document_is_fresh() {
    let document = vong_http::openapi_document();
    check(
        "docs/generated/openapi.json",
        &format!("{}\n", serde_json::to_string_pretty(&document).unwrap()),
    );
}

#[test]
fn generated_table_reference_is_fresh() {
    let mut text = String::from(
        "# Tables\n\nEach stream of the log is a table; every table also has `log_offset`, the place of the row in the log.\n\
         A *dimension* says what a row is about: a rule's condition on it selects rows. A *measure* says what was found.\n",
    );
    for stream in Stream::ALL {
        write!(
            text,
            "\n## {}\n\n{}\n\n| column | type | role | meaning |\n|---|---|---|---|\n",
            stream.name(),
            stream.doc()
        )
        .unwrap();
        for column in stream.columns() {
            let role = match column.role {
                ColumnRole::Time => "time",
                ColumnRole::Dimension => "dimension",
                ColumnRole::Measure => "measure",
                ColumnRole::Provenance => "provenance",
            };
            let null = if column.nullable { ", may be null" } else { "" };
            let kind = format!("{:?}", column.column_type).to_lowercase();
            writeln!(text, "| `{}` | {kind}{null} | {role} | {} |", column.name, column.doc)
                .unwrap();
        }
    }
    write!(
        text,
        "\n## video_gops\n\nA group of pictures that is recorded and can be played. Not a stream: rules cannot read it, and it has no `log_offset`.\n\n| column | type | meaning |\n|---|---|---|\n"
    )
    .unwrap();
    for (name, data_type, nullable, doc) in vong_query::gop_columns() {
        let null = if *nullable { ", may be null" } else { "" };
        let kind = match data_type {
            DataType::Timestamp(..) => "time".to_owned(),
            DataType::Dictionary(..) => "key".to_owned(),
            other => other.to_string().to_lowercase(),
        };
        writeln!(text, "| `{name}` | {kind}{null} | {doc} |").unwrap();
    }
    check("docs/generated/tables.md", &text);
}

#[test]
fn generated_wire_types_are_fresh() {
    let config = Config::default();
    let mut text = String::from(
        "// The messages between server and screens, generated from crates/vong-wire; `cargo xtask gen` rewrites them.\n\n\
         export type Fields = Record<string, unknown>;\n",
    );
    writeln!(text, "\nexport const PROTOCOL = '{}';", live::PROTOCOL).unwrap();
    writeln!(text, "\nexport const VIDEO_PROTOCOL = '{}';", video::VIDEO_PROTOCOL).unwrap();
    let mut add = |declaration: String| writeln!(text, "\nexport {declaration}").unwrap();
    for declaration in [
        live::View::decl(&config),
        live::Since::decl(&config),
        live::ClientMessage::decl(&config),
        live::Row::decl(&config),
        live::OpKind::decl(&config),
        live::Op::decl(&config),
        live::GapReason::decl(&config),
        live::ByeCode::decl(&config),
        live::ServerMessage::decl(&config),
        live::ViewSnapshot::decl(&config),
        http::SqlRequest::decl(&config),
        http::ClipFacts::decl(&config),
        http::ClipGap::decl(&config),
        http::ClipGroupFacts::decl(&config),
        http::Problem::decl(&config),
        http::CommandRequest::decl(&config),
        http::CommandAccepted::decl(&config),
        http::About::decl(&config),
        http::SensorInfo::decl(&config),
        http::CameraInfo::decl(&config),
        http::ReviewCase::decl(&config),
        http::ReviewClip::decl(&config),
        http::FrameTable::decl(&config),
        http::FootageGap::decl(&config),
        http::Readiness::decl(&config),
        video::VideoMode::decl(&config),
        video::VideoStreamName::decl(&config),
        video::VideoForm::decl(&config),
        video::VideoCodec::decl(&config),
        video::VideoTile::decl(&config),
        video::VideoClientMessage::decl(&config),
        video::VideoModeReason::decl(&config),
        video::VideoRefusal::decl(&config),
        video::VideoServerMessage::decl(&config),
    ] {
        add(declaration);
    }
    check("dashboards/console/src/lib/wire.ts", &text);
}

#[test]
fn generated_sample_data_is_fresh() {
    for (name, content) in vong_sim::files::sample_data().unwrap() {
        check(&format!("sample-data/{name}"), &content);
    }
}
