//! What is read, how it is written back, and which faults are told where.

use expect_test::{Expect, expect};

use super::*;
use crate::assets::{Assets, Place, Sensor, Unit};

fn check(text: &str, expected: &Expect) {
    let found = match Table::parse("t", text) {
        Ok(table) => table.to_text(),
        Err(fault) => {
            let hint = fault.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{fault}{hint}")
        }
    };
    expected.assert_eq(&found);
}

#[test]
fn a_table_is_read_and_written_in_one_form() {
    check(
        "sensor_id,metric:text,high,active,ward\nB, x,3.50,true,00102\nA,\"y, z\",4,,\n",
        &expect![[r#"
            sensor_id:key,metric:text,high:number,active:boolean,ward:text
            A,"y, z",4,,
            B,x,3.5,true,00102
        "#]],
    );
    check(
        "sensor_id:key,metric:key,high:number\nb,x,\na,y,-0.5\na,x,1e3\n",
        &expect![[r#"
            sensor_id:key,metric:key,high:number
            a,x,1000
            a,y,-0.5
            b,x,
        "#]],
    );
    check(
        "only_key\n",
        &expect![[r#"
        only_key:key
    "#]],
    );
}

#[test]
fn what_is_written_is_read_to_the_same() {
    let text = "k,n,t\nđ,0.1,\"say \"\"ơi\"\"\"\nz,-1e-9,\"two\nlines\"\n";
    let table = Table::parse("t", text).unwrap();
    let again = Table::parse("t", &table.to_text()).unwrap();
    assert_eq!(again, table);
    assert_eq!(again.to_text(), table.to_text());
}

#[test]
fn faults_name_line_column_and_what_to_do() {
    check(
        "",
        &expect![
            "line 1, column 1: the table has no header (the first line names the columns, as in sensor_id,high,low)"
        ],
    );
    check(
        "a,high\nx,1\ny,\"3,5\"\n",
        &expect![
            "line 3, column 3: '3,5' in column 'high' is not a number (write high:text in the header when the column holds other things too)"
        ],
    );
    check(
        "a,b\n\"x, y\",true\nz,yes\n",
        &expect![
            "line 3, column 3: 'yes' in column 'b' is neither true nor false (write b:text in the header when the column holds other things too)"
        ],
    );
    check(
        "a,b\nx,1\ny\n",
        &expect![[
            r#"line 3, column 1: the line has 1 fields, the header 2; a comma inside a field needs "quotes""#
        ]],
    );
    check("a,b\nx,1\nx,2\n", &expect!["line 3, column 1: key 'x' stands in line 2 already"]);
    check("a,b\n,1\n", &expect!["line 2, column 1: key column 'a' is empty"]);
    check(
        "a,b\nx,\n",
        &expect![
            "line 1, column 3: no field of column 'b' says what it is (write b:number, b:text or b:boolean)"
        ],
    );
    check(
        "a,b:int\nx,1\n",
        &expect![
            "line 1, column 3: 'int' is no type of column 'b' (types are key, text, number and boolean)"
        ],
    );
    check(
        "a,b:number,c:key\n",
        &expect![
            "line 1, column 12: key column 'c' stands behind another column (key columns come first)"
        ],
    );
    check(
        "a,A b\n",
        &expect![
            "line 1, column 3: the name 'A b' of a column is not made of a-z, 0-9 and _, beginning with a letter"
        ],
    );
    check("a,a\n", &expect!["line 1, column 3: two columns are named 'a'"]);
    check(
        "a:number\n",
        &expect!["line 1, column 1: the first column is the key of the table, which is a text"],
    );
    check(
        "a,n:number\nx,inf\n",
        &expect![
            "line 2, column 3: 'inf' in column 'n' is not a number (write n:text in the header when the column holds other things too)"
        ],
    );
}

#[test]
fn rows_are_found_by_their_whole_key() {
    let table = Table::parse("t", "a:key,b:key,v\nx,2,1\nx,1,2\ny,1,3\n").unwrap();
    let value = |key: &[&str]| {
        let row = table.row_of(key)?;
        Some(table.column("v")?.as_primitive::<Float64Type>().value(row))
    };
    assert_eq!(value(&["x", "2"]), Some(1.0));
    assert_eq!(value(&["x", "1"]), Some(2.0));
    assert_eq!(value(&["y", "1"]), Some(3.0));
    assert_eq!(value(&["y", "2"]), None);
    assert_eq!(value(&["x"]), None);
}

#[test]
fn a_unit_code_stands_once_as_it_was_last() {
    let unit = |name: &str, from: &str| Unit {
        unit_code: "00101".into(),
        name_vi: name.to_owned(),
        name_en: name.to_owned(),
        level: "commune".to_owned(),
        parent_code: None,
        valid_from: from.to_owned(),
        valid_to: None,
    };
    let sensor = Sensor {
        sensor_id: "WL-1".into(),
        kind: "water_level".to_owned(),
        name_vi: "Trạm, số 1".to_owned(),
        name_en: "Station 1".to_owned(),
        place: Place { lon: 105.9, lat: 18.34 },
        unit_code: "00101".into(),
    };
    let assets = Assets {
        sensors: [(sensor.sensor_id.clone(), sensor)].into(),
        units: vec![unit("new", "2025-07-01"), unit("old", "2019-01-01")],
        ..Assets::default()
    };
    let texts: Vec<String> = of_assets(&assets).iter().map(Table::to_text).collect();
    expect![[r#"
        sensor_id:key,kind:text,name_vi:text,name_en:text,lon:number,lat:number,unit_code:text
        WL-1,water_level,"Trạm, số 1",Station 1,105.9,18.34,00101

        camera_id:key,name_vi:text,name_en:text,lon:number,lat:number,heading_deg:number,fov_deg:number,range_m:number,class:text,unit_code:text

        unit_code:key,name_vi:text,name_en:text,level:text,parent_code:text,valid_from:text,valid_to:text
        00101,new,new,commune,,2025-07-01,
    "#]]
    .assert_eq(&texts.join("\n"));
    for (table, text) in of_assets(&assets).iter().zip(&texts) {
        assert_eq!(&Table::parse(table.name(), text).unwrap(), table);
    }
}
