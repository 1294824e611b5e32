//! `vong check`: does the installation hold, and if not, where.

use std::path::Path;
use std::process::ExitCode;

use vong_sql::rule::Purpose;

use crate::cli::{say, tell};
use crate::site::Site;

pub(crate) fn run(config: &Path) -> ExitCode {
    match Site::load(config) {
        Ok(Site { config, assets, logins: _, sources, scenes, tables, areas: _, rules }) => {
            let views = rules.iter().filter(|rule| rule.purpose() == Purpose::View).count();
            let summary = format!(
                "ok: {} brokers, {} sources, {} rules, {views} views, {} tables, {} sensors, {} \
                 cameras ({} with a scene), {} units",
                config.brokers.len(),
                sources.len(),
                rules.len() - views,
                tables.len(),
                assets.sensors.len(),
                assets.cameras.len(),
                scenes.len(),
                assets.units.len()
            );
            say(&summary).unwrap_or(ExitCode::FAILURE)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                tell(&mistake.to_string());
            }
            tell(&format!(
                "{} mistake{}",
                mistakes.len(),
                if mistakes.len() == 1 { "" } else { "s" }
            ));
            ExitCode::FAILURE
        }
    }
}
