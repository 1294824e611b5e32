//! Everything that the files of an installation say, read and checked together.
//!
//! `serve` refuses to start on any mistake; `check` lists them all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vong_decode::{Decoder, SourceConfig, SourcesFile};
use vong_model::{Assets, Table};
use vong_sql::functions::Areas;
use vong_sql::rule::{RuleDefinition, RuleStatement, inhibition_order, parse};
use vong_stream::RulePlanner;

use crate::areas;
use crate::assets::{self, CameraLogins};
use crate::config::{Config, Diagnostic, from_toml};
use crate::tables;
use crate::vision::{self, Scenes};

/// A whole installation, ready to be built.
#[derive(Debug)]
pub struct Site {
    pub config: Config,
    pub assets: Assets,
    pub logins: CameraLogins,
    pub sources: Vec<SourceConfig>,
    /// What is where in cameras' pictures.
    pub(crate) scenes: Scenes,
    /// Every dimension table that rules can join.
    pub tables: Vec<Table>,
    /// What `st_within` knows: the table `areas`, made ready.
    pub areas: Arc<Areas>,
    pub rules: Vec<RuleStatement>,
}

impl Site {
    /// Reads the configuration at `path` and everything it names; all mistakes at once.
    pub fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let config = Config::load(path).map_err(|mistake| vec![mistake])?;
        let mut mistakes = Vec::new();
        let assets = assets::load(&config.files).unwrap_or_else(|found| {
            mistakes.extend(found);
            Assets::default()
        });
        let logins = CameraLogins::load(&config.files.camera_logins).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            CameraLogins::default()
        });
        let sources = load_sources(&config, &assets, &mut mistakes);
        let scenes = vision::load_scenes(&config.files.scenes, &assets, &mut mistakes);
        let mut tables = tables::load(&config.files.tables, &assets, &mut mistakes);
        let (table, areas) = areas::load(&config.files.map, &mut mistakes).unzip();
        tables.extend(table);
        let areas = Arc::new(areas.unwrap_or_default());
        let rules = load_rules(&config, &tables, &mut mistakes);
        if mistakes.is_empty() {
            Ok(Self { config, assets, logins, sources, scenes, tables, areas, rules })
        } else {
            Err(mistakes)
        }
    }
}

/// Every `*.toml` of the sources directory, each checked alone and all of a broker together.
fn load_sources(
    config: &Config,
    assets: &Assets,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<SourceConfig> {
    let mut sources = Vec::new();
    let directory = &config.files.sources;
    for (file, text) in files_of(directory, "toml", mistakes) {
        match from_toml::<SourcesFile>(&file, &text) {
            Ok(SourcesFile { sources: found }) => {
                mistakes.extend(
                    found.iter().filter_map(|source| unknown_broker(config, source, &file, &text)),
                );
                sources.extend(found);
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    for broker in &config.brokers {
        if let Err(e) = Decoder::new(&broker.id, &sources, assets) {
            mistakes.push(Diagnostic::of_file(directory, e.to_string()));
        }
    }
    sources
}

fn unknown_broker(
    config: &Config,
    source: &SourceConfig,
    file: &Path,
    text: &str,
) -> Option<Diagnostic> {
    if config.brokers.iter().any(|broker| broker.id == source.broker) {
        return None;
    }
    let known: Vec<&str> = config.brokers.iter().map(|broker| broker.id.as_str()).collect();
    let message = format!(
        "source '{}' names broker '{}', which vong.toml does not have",
        source.id, source.broker
    );
    Some(
        Diagnostic::of_key(file, text, "broker", message)
            .with_hint(format!("known brokers: {}", known.join(", "))),
    )
}

/// Every `*.sql` of the directories of rules and views, parsed and planned.
fn load_rules(
    config: &Config,
    tables: &[Table],
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<RuleStatement> {
    let directories = [&config.files.rules, &config.files.views];
    let [directory, _] = directories;
    let (budget, mut asked) = (config.rules.budget(), 0.0);
    let planner = match planner(tables) {
        Ok(planner) => planner,
        Err(e) => {
            mistakes.push(of_sql(directory, &e));
            return Vec::new();
        }
    };
    let mut rules: Vec<RuleStatement> = Vec::new();
    let files = directories.iter().flat_map(|directory| files_of(directory, "sql", mistakes));
    for (file, text) in files.collect::<Vec<_>>() {
        let statements = parse(&text).unwrap_or_else(|e| {
            mistakes.push(of_sql(&file, &e));
            Vec::new()
        });
        for statement in statements {
            if let RuleStatement::Alter { rule_id, .. } = &statement {
                mistakes.push(altered_in_file(&file, rule_id.as_str()));
                continue;
            }
            if let RuleStatement::Create(rule) = &statement {
                let planned = planner.plan(rule);
                match planned.and_then(|plan| budget.check(rule, &plan, asked)) {
                    Ok(cost) => asked += cost.asked_rows_per_s,
                    Err(e) => mistakes.push(of_sql(&file, &e)),
                }
            }
            if rules
                .iter()
                .any(|other| other.rule_id() == statement.rule_id() && other.action() == "create")
            {
                let message = format!("'{}' is defined twice", statement.rule_id());
                mistakes.push(Diagnostic::of_file(&file, message));
            }
            rules.push(statement);
        }
    }
    mistakes.extend(inhibitions(directory, &rules));
    rules
}

/// What is wrong with who inhibits whom: names nobody bears, and rings.
fn inhibitions(directory: &Path, rules: &[RuleStatement]) -> Vec<Diagnostic> {
    let created = rules.iter().filter_map(|statement| match statement {
        RuleStatement::Create(rule) if !rule.is_view() => Some(rule.as_ref()),
        _ => None,
    });
    let created: Vec<&RuleDefinition> = created.collect();
    let mut mistakes = Vec::new();
    for rule in &created {
        for by in rule.inhibited_by.iter().flat_map(|inhibition| &inhibition.rules) {
            if !created.iter().any(|other| other.rule_id == *by) {
                let message = format!(
                    "rule '{}' is INHIBITED BY '{by}', but there is no rule of that name",
                    rule.rule_id
                );
                mistakes.push(Diagnostic::of_file(directory, message));
            }
        }
    }
    if let Err(ring) = inhibition_order(created) {
        let ring: Vec<&str> = ring.into_iter().map(vong_model::RuleId::as_str).collect();
        let message = format!(
            "rules inhibit each other in a ring: {}; take one INHIBITED BY out",
            ring.join(" -> ")
        );
        mistakes.push(Diagnostic::of_file(directory, message));
    }
    mistakes
}

fn planner(tables: &[Table]) -> Result<RulePlanner, vong_sql::Error> {
    let planner = RulePlanner::new()?;
    for table in tables {
        planner.set_table(&Arc::new(table.clone()))?;
    }
    Ok(planner)
}

/// Rules of one file, parsed; whether they can be planned depends on the tables of the log.
pub(crate) fn rules_of_file(file: &Path) -> Result<Vec<RuleStatement>, Diagnostic> {
    let text =
        std::fs::read_to_string(file).map_err(|e| Diagnostic::of_file(file, e.to_string()))?;
    let statements = parse(&text).map_err(|e| of_sql(file, &e))?;
    for statement in &statements {
        if let RuleStatement::Alter { rule_id, .. } = statement {
            return Err(altered_in_file(file, rule_id.as_str()));
        }
    }
    Ok(statements)
}

/// Files say what there is, in one place: a change belongs into the statement it changes.
fn altered_in_file(file: &Path, rule_id: &str) -> Diagnostic {
    Diagnostic::of_file(file, format!("rule '{rule_id}' is altered in a file"))
        .with_hint("write the change into its CREATE ALERT RULE statement")
}

pub(crate) fn of_sql(file: &Path, error: &vong_sql::Error) -> Diagnostic {
    let mut told = Diagnostic::of_file(file, error.to_string());
    told.place = error.place().map(|place| (place.line as usize, place.column as usize));
    told.hint = error.hint();
    told
}

/// Files with this extension, by name; a missing directory holds none.
pub(crate) fn files_of(
    directory: &Path,
    extension: &str,
    mistakes: &mut Vec<Diagnostic>,
) -> Vec<(PathBuf, String)> {
    let listed = match std::fs::read_dir(directory) {
        Ok(listed) => listed,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(e) => {
            mistakes.push(Diagnostic::of_file(directory, e.to_string()));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|own| own == extension));
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => files.push((path, text)),
            Err(e) => mistakes.push(Diagnostic::of_file(&path, e.to_string())),
        }
    }
    files
}
