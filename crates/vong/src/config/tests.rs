//! A mistake is told with its place; the reference names every key.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Config, RulesConfig, from_toml, reference};

fn check(text: &str, expected: &str) {
    let told = match from_toml::<Config>(Path::new("vong.toml"), text) {
        Ok(_) => "ok".to_owned(),
        Err(diagnostic) => diagnostic.to_string(),
    };
    assert_eq!(
        told.lines().next().unwrap_or_default().split(", expected").next().unwrap(),
        expected
    );
}

#[test]
fn a_mistake_is_told_with_its_place() {
    check("[http]\nlisten = \"127.0.0.1:9000\"\n", "ok");
    check("[http]\nlissten = \"127.0.0.1:9000\"\n", "vong.toml:2:1: unknown field `lissten`");
    check("[city]\nname_vi = 7\n", "vong.toml:2:11: invalid type: integer `7`");
}

#[test]
fn an_unknown_key_gets_the_nearest_known_one() {
    let told =
        from_toml::<Config>(Path::new("vong.toml"), "[footage]\nmin_free_mb = 1\n").unwrap_err();
    assert_eq!(told.hint.as_deref(), Some("did you mean `min_free_mib`?"));
}

#[test]
fn a_listener_for_other_machines_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vong.toml");
    std::fs::write(&path, "[http]\nlisten = \"0.0.0.0:8080\"\n").unwrap();
    let told = Config::load(&path).unwrap_err();
    assert_eq!(told.place, Some((2, 1)));
    assert!(told.message.contains("reachable from other machines"), "{told}");
}

#[test]
fn the_reference_holds_every_key_with_its_default() {
    let mut referenced: Config = from_toml(Path::new("reference.toml"), &reference()).unwrap();
    assert_eq!(referenced.brokers.len(), 1);
    referenced.brokers.clear();
    assert_eq!(referenced, Config::default());
    let keys = |table: &toml::Table| -> BTreeSet<String> {
        let sections =
            table.iter().filter_map(|(section, value)| Some((section, value.as_table()?)));
        sections
            .flat_map(|(section, inner)| inner.keys().map(move |k| format!("{section}.{k}")))
            .collect()
    };
    let written: toml::Table = toml::from_str(&reference()).unwrap();
    let known = toml::Table::try_from(Config::default()).unwrap();
    assert_eq!(keys(&written), keys(&known));
}

#[test]
fn rules_cost_what_the_engine_takes_for_usual() {
    assert_eq!(RulesConfig::default().budget(), vong_stream::RuleBudget::default());
}
