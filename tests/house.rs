//! The repository keeps its own rules.

#[test]
fn no_crate_knows_what_it_must_not_know() {
    assert_eq!(xtask::arch::violations(&xtask::root()).unwrap(), Vec::<String>::new());
}

#[test]
fn every_file_is_shaped_as_agreed() {
    assert_eq!(xtask::tidy::violations(&xtask::root()).unwrap(), Vec::<String>::new());
}

#[test]
fn every_path_on_the_map_of_the_house_exists() {
    for page in ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(xtask::root().join(page)).unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        let folders = ["crates/", "configs/", "dashboards/", "docs/", "tests/", "benches/"];
        for path in quoted.filter(|path| folders.iter().any(|folder| path.starts_with(folder))) {
            let plain = path.split('*').next().unwrap_or(path);
            assert!(xtask::root().join(plain).exists(), "{page} names {path}, which is not there");
        }
    }
}
