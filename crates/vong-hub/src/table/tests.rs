//! A snapshot plus the deltas after it is the table, however the changes fold.

use proptest::prelude::*;

use super::*;

/// A reader that holds what it was told.
#[derive(Debug, Default)]
struct Reader {
    seq: Offset,
    rows: BTreeMap<String, (Offset, Vec<FieldValue>)>,
}

impl Reader {
    fn take_snapshot(&mut self, table: &Table) {
        self.seq = table.applied();
        let row = |row: Row| (row.key.to_string(), (row.rev, row.fields.to_vec()));
        self.rows = table.rows().into_iter().map(row).collect();
    }

    fn take_delta(&mut self, table: &Table) -> (usize, u64) {
        let (ops, n) = table.changed_since(self.seq);
        self.seq = table.applied();
        let count = ops.len();
        for op in ops {
            match op {
                Op::Put(row) => {
                    self.rows.insert(row.key.to_string(), (row.rev, row.fields.to_vec()));
                }
                Op::Patch { key, rev, changes } => {
                    let row = self.rows.get_mut(&*key).expect("only known keys are patched");
                    row.0 = rev;
                    for (column, value) in changes {
                        row.1[column] = value;
                    }
                }
                Op::Remove { key, .. } => {
                    self.rows.remove(&*key);
                }
            }
        }
        (count, n)
    }

    fn same_as(&self, table: &Table) -> bool {
        let mut fresh = Reader::default();
        fresh.take_snapshot(table);
        fresh.rows == self.rows && fresh.seq == self.seq
    }
}

fn fields(values: &[i64]) -> Vec<FieldValue> {
    values.iter().map(|value| FieldValue::Int(*value)).collect()
}

#[test]
fn only_changed_fields_are_patched_and_folding_is_disclosed() {
    let mut table = Table::new(Offset(0));
    table.put("a", Offset(0), 1, fields(&[1, 1]));
    table.advance(Offset(1));
    table.put("a", Offset(1), 1, fields(&[1, 2]));
    table.put("a", Offset(2), 1, fields(&[1, 3]));
    table.advance(Offset(3));
    let (ops, n) = table.changed_since(Offset(1));
    let changes = vec![(1, FieldValue::Int(3))];
    assert_eq!(ops, [Op::Patch { key: Arc::from("a"), rev: Offset(2), changes }]);
    assert_eq!(n, 2);
    assert_eq!(table.changed_since(Offset(3)), (vec![], 0));
}

#[test]
fn row_that_stays_the_same_is_no_change() {
    let mut table = Table::new(Offset(0));
    table.put("a", Offset(0), 1, vec![FieldValue::Float(f64::NAN)]);
    table.advance(Offset(1));
    table.put("a", Offset(1), 1, vec![FieldValue::Float(f64::NAN)]);
    table.advance(Offset(2));
    assert_eq!(table.changed_since(Offset(1)).0, []);
}

#[test]
fn key_that_went_and_came_back_begins_anew() {
    let mut table = Table::new(Offset(0));
    table.put("a", Offset(0), 1, fields(&[1, 1]));
    table.advance(Offset(1));
    table.remove("a", Offset(1), EventTime(10));
    table.advance(Offset(2));
    assert_eq!(
        table.changed_since(Offset(1)).0,
        [Op::Remove { key: Arc::from("a"), rev: Offset(1) }]
    );
    table.put("a", Offset(2), 1, fields(&[1, 2]));
    table.advance(Offset(3));
    assert!(
        matches!(&table.changed_since(Offset(1)).0[..], [Op::Put(row)] if row.rev == Offset(2))
    );
    table.forget_removed(EventTime(10));
    assert_eq!(table.len(), 1, "an old tombstone does not take the new row away");
    assert_eq!(table.resume_floor(), Offset(2));
}

proptest! {
    /// Whatever happens to the keys and however rarely each reader looks, snapshot plus deltas is
    /// the table; and whoever is above the resume floor loses nothing.
    #[test]
    fn every_reader_ends_with_the_table(
        steps in prop::collection::vec(
            (0_u8..6, prop::collection::vec(0_i64..3, 3), 0_u8..8, prop::collection::vec(any::<bool>(), 4), any::<bool>()),
            1..120,
        ),
    ) {
        let mut table = Table::new(Offset(0));
        let mut readers: Vec<Reader> = (0..4).map(|_| Reader::default()).collect();
        for (offset, (key, values, what, reads, forget)) in steps.into_iter().enumerate() {
            let rev = Offset(offset as u64);
            let key = format!("k{key}");
            if what == 0 {
                table.remove(&key, rev, EventTime(offset as i64));
            } else {
                table.put(&key, rev, 1, fields(&values));
            }
            if forget {
                table.forget_removed(EventTime(offset as i64 - 5));
            }
            table.advance(rev.next());
            for (reader, _) in readers.iter_mut().zip(reads).filter(|(_, reads)| *reads) {
                if reader.seq < table.resume_floor() {
                    reader.take_snapshot(&table);
                } else {
                    let before = reader.seq;
                    let (ops, n) = reader.take_delta(&table);
                    prop_assert!(n >= ops as u64);
                    prop_assert!(n <= table.applied().0 - before.0, "one change per record here");
                }
                prop_assert!(reader.same_as(&table));
            }
        }
    }
}

#[test]
fn a_row_from_before_its_view_had_a_column_gets_it() {
    let text = |text: &str| FieldValue::text(Some(text));
    let mut table = Table::new(Offset(0));
    table.put("a", Offset(1), 1, vec![text("x")]);
    table.advance(Offset(2));
    table.put("a", Offset(2), 1, vec![text("x"), text("new")]);
    table.advance(Offset(3));
    let (ops, _) = table.changed_since(Offset(2));
    assert!(matches!(&ops[..], [Op::Patch { changes, .. }] if changes[..] == [(1, text("new"))]));
    assert_eq!(table.field("a", 1), Some(&text("new")));
}
