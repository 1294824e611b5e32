//! The repository keeps its own rules.

#[test]
fn no_crate_knows_what_it_must_not_know() {
    assert_eq!(xtask::arch::violations(&xtask::root()).unwrap(), Vec::<String>::new());
}

#[test]
fn every_file_is_shaped_as_agreed() {
    assert_eq!(xtask::tidy::violations(&xtask::root()).unwrap(), Vec::<String>::new());
}
