//! The prepared areas against a plain look at every edge, and through SQL.

use arrow::array::AsArray;

use super::*;
use crate::{SessionLimits, session};

/// A ring with teeth, a hole whose corners run as the ring's do, and a second part.
fn shape() -> String {
    let ring: Vec<(f64, f64)> = (0..40)
        .map(|i| {
            let (turn, radius) =
                (f64::from(i) * std::f64::consts::TAU / 40.0, f64::from(7 + i % 3));
            (105.0 + radius * turn.cos() / 10.0, 18.0 + radius * turn.sin() / 10.0)
        })
        .collect();
    let hole = [(104.9, 17.9), (105.1, 17.9), (105.1, 18.1), (104.9, 18.1)];
    let part = [(107.0, 18.0), (108.0, 18.0), (107.5, 19.0)];
    let text = |ring: &[(f64, f64)]| {
        let closed = ring.iter().chain(ring.first());
        let places: Vec<String> = closed.map(|(lon, lat)| format!("{lon} {lat}")).collect();
        format!("({})", places.join(","))
    };
    format!("MULTIPOLYGON(({},{}),({}))", text(&ring), text(&hole), text(&part))
}

fn areas() -> Arc<Areas> {
    let square = "MULTIPOLYGON(((0 0,2 0,2 2,0 2,0 0)))";
    let text = format!("area_id:key,wkt:text\nshape,\"{}\"\nsquare,\"{square}\"\n", shape());
    Arc::new(Areas::of(&Table::parse(AREAS, &text).unwrap()).unwrap())
}

#[test]
fn prepared_areas_say_what_every_edge_says() {
    let plain = MultiPolygon::<f64>::try_from_wkt_str(&shape()).unwrap();
    let area = Area::parse(&shape()).unwrap();
    let mut inside = 0;
    for step in 0..40_000_u32 {
        let lon = 103.9 + f64::from(step % 200) * 0.021_3;
        let lat = 16.9 + f64::from(step / 200) * 0.011_7;
        let expected = plain.contains(&Point::new(lon, lat));
        inside += u32::from(expected);
        assert_eq!(area.holds(lon, lat), expected, "{lon} {lat}");
    }
    assert!((3_000..30_000).contains(&inside), "{inside}");
    assert!(!area.holds(105.0, 18.0), "in the hole");
    assert!(!area.holds(f64::NAN, 18.0));
}

#[test]
fn what_is_no_polygon_is_told() {
    for wkt in ["", "POINT(1 2)", "MULTIPOLYGON(((1 2, 3", "MULTIPOLYGON(((a b)))"] {
        let table = format!("area_id:key,wkt:text\nx,\"{wkt}\"\n");
        let told = Areas::of(&Table::parse(AREAS, &table).unwrap()).unwrap_err();
        assert!(told.starts_with("area 'x' is no polygon"), "{told}");
    }
}

async fn ask(sql: &str, bound: bool) -> Vec<Option<bool>> {
    let session = session(&SessionLimits::default()).unwrap();
    session.register_udf(st_within(areas()));
    let plan = session.state().create_logical_plan(sql).await.unwrap();
    let plan = if bound { bind(plan, &areas()).unwrap().0 } else { plan };
    let shown = plan.display_indent().to_string();
    assert_eq!(shown.contains("st_within 'square'"), bound, "{shown}");
    let found = session.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
    found.iter().flat_map(|batch| batch.column(0).as_boolean().iter().collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn points_are_within_named_areas() {
    let points = "(VALUES (1.0, 1.0, 'square'), (3.0, 1.0, 'square'), (1.0, 1.0, 'shape'), \
                  (1.0, 1.0, 'none'), (NULL, 1.0, 'square'), (1.0, 1.0, NULL)) AS t(lon, lat, id)";
    let literal = format!("SELECT st_within(lon, lat, 'square') FROM {points}");
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(ask(&literal, false).await, [yes, no, yes, yes, None, yes]);
    assert_eq!(ask(&literal, true).await, [yes, no, yes, yes, None, yes]);
    let by_column = format!("SELECT st_within(lon, lat, id) FROM {points}");
    assert_eq!(ask(&by_column, false).await, [yes, no, no, None, None, None]);
}
