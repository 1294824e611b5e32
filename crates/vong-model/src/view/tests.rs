//! What goes into `view_rows` comes out again.

use arrow::array::{BooleanArray, Float64Array, StringArray, TimestampMicrosecondArray};
use proptest::prelude::*;

use super::*;

fn layout() -> Layout {
    "at:time a:text n:int x:float b:text hash:uint ok:bool y:float".parse().unwrap()
}

type Cells = (Option<i64>, Option<String>, Option<i64>, Option<f64>, Option<u64>, Option<bool>);

fn rows(cells: &[Cells]) -> RecordBatch {
    let at = TimestampMicrosecondArray::from_iter(cells.iter().map(|c| c.0)).with_timezone("UTC");
    let texts = || Arc::new(cells.iter().map(|c| c.1.clone()).collect::<StringArray>());
    let floats = || Arc::new(cells.iter().map(|c| c.3).collect::<Float64Array>());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(at),
        texts(),
        Arc::new(cells.iter().map(|c| c.2).collect::<Int64Array>()),
        floats(),
        texts(),
        Arc::new(cells.iter().map(|c| c.4).collect::<UInt64Array>()),
        Arc::new(cells.iter().map(|c| c.5).collect::<BooleanArray>()),
        floats(),
    ];
    RecordBatch::try_new(layout().schema(), columns).unwrap()
}

fn packed(rows: &RecordBatch) -> RecordBatch {
    let [texts, floats, ints] = layout().pack(rows).unwrap();
    RecordBatch::try_from_iter([("texts", texts), ("floats", floats), ("ints", ints)]).unwrap()
}

proptest! {
    #[test]
    fn every_value_comes_back(
        cells in proptest::collection::vec(
            (any::<Option<i64>>(), any::<Option<String>>(), any::<Option<i64>>(),
             any::<Option<f64>>(), any::<Option<u64>>(), any::<Option<bool>>()), 0..20),
        from in 0..20_usize,
    ) {
        let rows = rows(&cells);
        let packed = packed(&rows);
        prop_assert_eq!(&layout().unpack(&packed).unwrap(), rows.columns());
        // Also out of the middle of a batch, where lists do not begin at zero.
        let from = from.min(rows.num_rows());
        let count = rows.num_rows() - from;
        let part = rows.slice(from, count);
        prop_assert_eq!(&layout().unpack(&packed.slice(from, count)).unwrap(), part.columns());
    }
}

#[test]
fn a_layout_is_read_back_from_its_text() {
    let text = "at:time a:text n:int x:float b:text hash:uint ok:bool y:float";
    assert_eq!(layout().to_string(), text);
    assert_eq!(layout().keys().collect::<Vec<_>>(), [1, 4]);
    for bad in ["", "a", "a:texts", "A:text", "a b:text", "a:text  b:text", ":text"] {
        assert!(bad.parse::<Layout>().is_err(), "{bad}");
    }
}

#[test]
fn what_a_row_does_not_hold_is_null() {
    let packed = packed(&rows(&[(None, None, None, Some(2.0), None, None)]));
    let longer: Layout = "a:float b:float c:float".parse().unwrap();
    let found = longer.unpack(&packed).unwrap();
    assert_eq!(found.iter().map(|c| c.null_count()).collect::<Vec<_>>(), [0, 0, 1]);
    assert!(longer.unpack(&packed.project(&[0]).unwrap()).is_err());
}
