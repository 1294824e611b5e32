//! The one SQL dialect: session factory, functions, rule DDL parser, limits.
