//! Repository checks and generators: arch, tidy, gen, check.
