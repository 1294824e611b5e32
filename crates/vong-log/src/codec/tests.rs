//! Bodies come back equal and hold no more than their rows; hostile ones are errors.

use arrow::array::AsArray;

use super::*;
use crate::conformance::readings;

fn large() -> RecordBatch {
    let names: Vec<String> = (0..2_000).map(|i| format!("SENSOR-{i:04}")).collect();
    let rows: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 0.5)).collect();
    readings(&rows)
}

fn encoded(batch: RecordBatch) -> Encoded {
    encode(Entry::new(Stream::Readings, batch)).unwrap()
}

#[test]
fn body_of_a_slice_is_no_larger_than_its_rows() {
    let slice = encoded(large().slice(700, 3));
    let small = encoded(readings(&[("SENSOR-0700", 0.5), ("SENSOR-0701", 0.5), ("X", 0.5)]));
    assert!(slice.body.len() < small.body.len() + 256, "{} bytes", slice.body.len());
    assert_eq!(slice.batch, large().slice(700, 3));
    let held = slice.batch.column(0).to_data().buffers()[0].capacity();
    assert!(held <= slice.body.len().next_multiple_of(64), "{held} bytes kept alive");
    let sensors = slice.batch.column_by_name("sensor_id").unwrap();
    let sensors = sensors.as_dictionary::<Int32Type>();
    assert_eq!(sensors.values().len(), 3, "unused dictionary values are left out");
}

/// What stands in logs was written by the library's own writer, and is to stay what it was.
#[test]
fn bodies_of_every_stream_are_those_of_the_library() {
    let by_library = |batch: &RecordBatch| {
        let writer =
            StreamWriter::try_new_with_options(Vec::new(), batch.schema_ref(), options().unwrap());
        let mut writer = writer.unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap()
    };
    let empty = Stream::ALL.iter().map(|stream| (*stream, RecordBatch::new_empty(stream.schema())));
    let readings = [large(), large().slice(0, 40), readings(&[("TR-001", 1.5), ("TR-002", 2.5)])];
    for (stream, batch) in empty.chain(readings.map(|batch| (Stream::Readings, batch))) {
        let batch = compact_dictionaries(&batch).unwrap();
        for held_bytes in [0, SMALL_BYTES] {
            let body = to_ipc(stream, &batch, held_bytes).unwrap();
            assert!(body == by_library(&batch), "{stream:?}, {} rows", batch.num_rows());
        }
    }
}

#[test]
fn dictionary_columns_come_back_equal() {
    for batch in [large(), readings(&[]), readings(&[("TR-001", 1.5)]), large().slice(5, 0)] {
        let body = encoded(batch.clone()).body;
        let found = from_ipc(Stream::Readings, Buffer::from(body.as_slice())).unwrap();
        assert_eq!(found, batch);
        assert!(Arc::ptr_eq(found.schema_ref(), &Stream::Readings.schema()));
    }
}

#[test]
fn null_keys_stay_null_when_the_dictionary_is_cut() {
    let column: DictionaryArray<Int32Type> =
        vec![Some("a"), None, Some("b"), Some("c"), None].into_iter().collect();
    let slice: ArrayRef = Arc::new(column.slice(1, 2));
    let compacted = compact_dictionary(&slice).unwrap().unwrap();
    let compacted = compacted.as_dictionary::<Int32Type>();
    assert_eq!(compacted.values().len(), 1);
    let texts: Vec<_> = compacted.downcast_dict::<StringArray>().unwrap().into_iter().collect();
    assert_eq!(texts, [None, Some("b")]);
}

#[test]
fn hostile_bodies_are_errors() {
    let body = encoded(readings(&[("TR-001", 1.0), ("TR-002", 2.0)])).body;
    for length in 0..body.len() - 8 {
        let cut = Buffer::from(&body[..length]);
        assert!(from_ipc(Stream::Readings, cut).is_err(), "cut at {length}");
    }
    assert!(from_ipc(Stream::Clips, Buffer::from(body.as_slice())).is_err());
}

#[test]
fn batch_without_the_newest_column_gets_it_as_null() {
    let stream = Stream::Readings;
    let schema = Arc::new(arrow::datatypes::Schema::new(vec![
        Field::new("a", DataType::Int32, false),
        Field::new("b", DataType::Utf8, true),
    ]));
    let old = readings(&[("TR-001", 1.0)]);
    let mut fields = old.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("added_later", DataType::Utf8, true)));
    let newer = Arc::new(arrow::datatypes::Schema::new(fields));
    let widened = widen(&newer, &old).unwrap();
    assert_eq!(widened.num_columns(), old.num_columns() + 1);
    assert!(widened.columns().last().unwrap().is_null(0));
    assert!(widen(&schema, &old).is_err());
    assert!(validate(Entry::new(stream, widened)).is_err());
}
