//! The one binary: reads the configuration, builds, supervises; decides nothing.
