//! Analyst SQL over history and live tail.
