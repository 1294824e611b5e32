//! Gives the columns a plan reads other numbers: where it is planned, those of the columns it needs;
//! where it is run, those of the stream's operator, so that rules share what they look up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

use super::relation::{Derived, On, Relation};
use super::{Conjunct, Form, Kind, Named, RulePlan, SharedAggregate, columns_of};

/// New number of each column that is read.
pub(crate) type Numbers = BTreeMap<usize, usize>;

impl RulePlan {
    /// Keeps of the joined columns only those that are read, numbered from the end of the stream's.
    pub(super) fn keep_needed(&mut self, relation: &Relation) -> Result<()> {
        let own = self.stream.columns().len();
        let mut numbers = Numbers::new();
        let mut read: Vec<usize> = self.read().into_iter().collect();
        while let Some(place) = read.pop() {
            let Some(mut derived) = relation.derived(relation.same(place)) else { continue };
            // What it is looked up by comes first.
            let needed: Vec<usize> = derived.columns().filter(|on| *on >= own).collect();
            if let Some(missing) = needed.iter().find(|on| !numbers.contains_key(on)) {
                read.extend([place, *missing]);
                continue;
            }
            derived.renumber(&numbers);
            let known = self.derived.iter().position(|known| *known == derived);
            let number = known.unwrap_or_else(|| {
                self.derived.push(derived);
                self.derived.len() - 1
            });
            numbers.insert(place, own + number);
        }
        let same = self.read().into_iter().filter(|place| relation.derived(*place).is_some());
        for place in same {
            let plain = relation.same(place);
            if plain < own {
                numbers.insert(place, plain);
            }
        }
        self.renumber(&numbers)?;
        self.tables = relation.tables();
        Ok(())
    }

    /// Every column that rows must have for it.
    fn read(&self) -> BTreeSet<usize> {
        let mut read = self.columns();
        read.extend(self.scope.iter().flat_map(|conjunct| columns_of(&conjunct.expr)));
        if let Kind::Window(plan) = &self.kind {
            let shared = plan.shared.iter().flatten();
            read.extend(shared.flat_map(|a| a.one_of.iter().map(|(column, _)| *column)));
        }
        read
    }

    /// Gives columns the numbers that stand there; others keep theirs.
    pub(crate) fn renumber(&mut self, numbers: &Numbers) -> Result<()> {
        if numbers.iter().all(|(old, new)| old == new) {
            return Ok(());
        }
        self.scope = conjuncts(&self.scope, numbers)?;
        self.keys.iter_mut().for_each(|key| *key = number(*key, numbers));
        match &mut self.kind {
            Kind::Stateless { condition, value } => {
                *condition = conjuncts(condition, numbers)?;
                *value = optional(value.as_ref(), numbers)?;
            }
            Kind::Window(plan) => {
                for aggregate in &mut plan.aggregates {
                    aggregate.arguments = all(&aggregate.arguments, numbers)?;
                    aggregate.filter = optional(aggregate.filter.as_ref(), numbers)?;
                    // Aliases of tables stand in the text, and two rules may give one to two tables.
                    let named = aggregate.arguments.iter().chain(&aggregate.filter);
                    let texts: Vec<&str> = named.map(|n| n.text.as_str()).collect();
                    aggregate.text = format!("{} of {}", aggregate.text, texts.join(", "));
                }
                if let Some(shared) = &mut plan.shared {
                    aggregates(shared, numbers)?;
                }
            }
            Kind::Sliding(plan) => {
                for call in &mut plan.calls {
                    call.argument = optional(call.argument.as_ref(), numbers)?;
                }
                plan.inputs.iter_mut().for_each(|input| *input = number(*input, numbers));
            }
            Kind::Session(plan) => aggregates(&mut plan.aggregates, numbers)?,
            Kind::Rows(view) => {
                for output in &mut view.outputs {
                    *output = expression(output, numbers)?;
                }
            }
            Kind::Absence { .. } | Kind::Periodic(_) => {}
        }
        Ok(())
    }
}

impl Derived {
    /// Columns it is looked up by.
    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> {
        self.lookup.on.iter().filter_map(|(_, on)| match on {
            On::Column(place) => Some(*place),
            On::Text(_) => None,
        })
    }

    pub(crate) fn renumber(&mut self, numbers: &Numbers) {
        for (_, on) in &mut self.lookup.on {
            if let On::Column(place) = on {
                *place = number(*place, numbers);
            }
        }
    }
}

fn number(old: usize, numbers: &Numbers) -> usize {
    numbers.get(&old).copied().unwrap_or(old)
}

/// The expression with the columns' new numbers.
pub(super) fn expression(
    expr: &Arc<dyn PhysicalExpr>,
    numbers: &Numbers,
) -> Result<Arc<dyn PhysicalExpr>> {
    let done = Arc::clone(expr).transform(|part| {
        let new = part
            .downcast_ref::<Column>()
            .map(|column| (column.name().to_owned(), number(column.index(), numbers)));
        Ok(match new {
            // Which of a rule's joins it is stands in the number.
            Some((name, new)) if name.starts_with('<') => {
                Transformed::yes(Arc::new(Column::new("<matched>", new)))
            }
            Some((name, new)) => Transformed::yes(Arc::new(Column::new(&name, new))),
            None => Transformed::no(part),
        })
    });
    done.map(|done| done.data)
}

fn named(of: &Named, numbers: &Numbers) -> Result<Named> {
    let expr = expression(&of.expr, numbers)?;
    Ok(Named { text: expr.to_string(), expr })
}

fn optional(of: Option<&Named>, numbers: &Numbers) -> Result<Option<Named>> {
    of.map(|of| named(of, numbers)).transpose()
}

fn all(of: &[Named], numbers: &Numbers) -> Result<Vec<Named>> {
    of.iter().map(|of| named(of, numbers)).collect()
}

fn conjuncts(of: &[Conjunct], numbers: &Numbers) -> Result<Vec<Conjunct>> {
    let mut out = Vec::with_capacity(of.len());
    for conjunct in of {
        let expr = expression(&conjunct.expr, numbers)?;
        let mut form = conjunct.form.clone();
        match &mut form {
            Form::OneOf { column, .. } | Form::Threshold { column, .. } => {
                *column = number(*column, numbers);
            }
            Form::Other => {}
        }
        out.push(Conjunct { text: expr.to_string(), expr, form });
    }
    out.sort_by(|a, b| a.text.cmp(&b.text));
    Ok(out)
}

fn aggregates(of: &mut [SharedAggregate], numbers: &Numbers) -> Result<()> {
    for aggregate in of {
        aggregate.argument = optional(aggregate.argument.as_ref(), numbers)?;
        aggregate.masks = all(&aggregate.masks, numbers)?;
        aggregate.one_of.iter_mut().for_each(|(column, _)| *column = number(*column, numbers));
    }
    Ok(())
}
