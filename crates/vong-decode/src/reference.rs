//! The reference of `configs/sources/*.toml`, every key with its meaning and default.
//!
//! It is itself a valid file: a test parses and compiles it, so that it cannot go stale.

/// The reference as TOML text.
pub fn reference() -> &'static str {
    include_str!("reference.toml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SourcesFile;
    use crate::decoder::Decoder;
    use vong_model::Assets;

    #[test]
    fn the_reference_compiles_and_names_every_key() {
        let file: SourcesFile = toml::from_str(reference()).unwrap();
        Decoder::new("city", &file.sources, &Assets::default()).unwrap();
        let written = toml::to_string(&file).unwrap();
        let keys = written.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key);
        for key in keys.map(str::trim) {
            assert!(reference().contains(&format!("{key} = ")), "{key}");
        }
    }

    #[test]
    fn defaults_are_as_documented() {
        let minimal = "[[source]]\nid = 'a'\nbroker = 'city'\ntopic = 'a/{sensor_id}'\n[[source.field]]\nmetric = 'm'\npointer = ''\n";
        let minimal: SourcesFile = toml::from_str(minimal).unwrap();
        let written = toml::to_string(&minimal).unwrap();
        for line in written.lines().filter(|line| line.contains(" = ") && !line.contains("''")) {
            let (key, value) = line.split_once(" = ").unwrap();
            if ["id", "broker", "topic", "metric", "pointer"].contains(&key) {
                continue;
            }
            assert!(
                reference().lines().any(|l| l.starts_with(&format!("{key} = {value}"))),
                "the reference shows another default than {line}"
            );
        }
    }
}
