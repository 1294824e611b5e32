//! The reference boxes the network's outputs are relative to, and how an output becomes a box.
//!
//! Source: W. Liu et al., "SSD: Single Shot MultiBox Detector" (ECCV 2016), section 2.2, with the
//! parameters of TensorFlow's `ssd_anchor_generator` and `faster_rcnn_box_coder` for
//! `ssdlite_mobilenet_v2_coco`: six grids, scales from 0.2 to 0.95 in equal steps, aspect ratios 1,
//! 2, 1/2, 3, 1/3, one more square of the geometric mean of a grid's scale and the next; three boxes
//! only on the finest grid. The model's file carries its own reference boxes; a test compares.

use crate::BoundingBox;

/// Cells a side of the six grids.
const GRIDS: [u16; 6] = [19, 10, 5, 3, 2, 1];
const SMALLEST: f32 = 0.2;
const LARGEST: f32 = 0.95;
/// How far the network's numbers are stretched: centres by 10, sides by 5.
const CENTRE_SCALE: f32 = 10.0;
const SIDE_SCALE: f32 = 5.0;

/// A reference box, relative to the picture; reaches beyond it at its edges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Anchor {
    pub(crate) centre_x: f32,
    pub(crate) centre_y: f32,
    pub(crate) width: f32,
    pub(crate) height: f32,
}

/// All reference boxes in the order of the network's outputs: grids, rows, columns, shapes.
pub(crate) fn anchors() -> Vec<Anchor> {
    let mut found = Vec::new();
    for (level, cells) in (0_u8..).zip(GRIDS) {
        let shapes = shapes(level);
        for row in 0..cells {
            for column in 0..cells {
                let at = |cell: u16| (f32::from(cell) + 0.5) / f32::from(cells);
                found.extend(shapes.iter().map(|(width, height)| Anchor {
                    centre_x: at(column),
                    centre_y: at(row),
                    width: *width,
                    height: *height,
                }));
            }
        }
    }
    found
}

/// Width and height of the boxes of one grid.
fn shapes(level: u8) -> Vec<(f32, f32)> {
    let shape = |scale: f32, aspect: f32| (scale * aspect.sqrt(), scale / aspect.sqrt());
    if level == 0 {
        return vec![shape(0.1, 1.0), shape(SMALLEST, 2.0), shape(SMALLEST, 0.5)];
    }
    let scale = scale_of(level);
    let between = (scale * scale_of(level + 1)).sqrt();
    // 0.3333, not a third: so the model was trained.
    let mut shapes: Vec<_> = [1.0, 2.0, 0.5, 3.0, 0.3333].map(|aspect| shape(scale, aspect)).into();
    shapes.push(shape(between, 1.0));
    shapes
}

fn scale_of(level: u8) -> f32 {
    if level > 5 { 1.0 } else { SMALLEST + (LARGEST - SMALLEST) * f32::from(level) / 5.0 }
}

impl Anchor {
    /// The box that the network's numbers (y, x, height, width) mean, cut to the picture.
    pub(crate) fn decode(&self, [y, x, height, width]: [f32; 4]) -> BoundingBox {
        let centre_x = self.centre_x + x / CENTRE_SCALE * self.width;
        let centre_y = self.centre_y + y / CENTRE_SCALE * self.height;
        let width = self.width * (width / SIDE_SCALE).exp();
        let height = self.height * (height / SIDE_SCALE).exp();
        BoundingBox::between(
            centre_x - width / 2.0,
            centre_y - height / 2.0,
            centre_x + width / 2.0,
            centre_y + height / 2.0,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_for_each_output() {
        assert_eq!(anchors().len(), 1_917);
        let first = anchors()[0];
        assert_eq!((first.width, first.height), (0.1, 0.1));
        assert!((first.centre_x - 0.5 / 19.0).abs() < 1e-6);
    }

    #[test]
    fn an_output_moves_and_stretches_its_box() {
        let anchor = Anchor { centre_x: 0.5, centre_y: 0.5, width: 0.2, height: 0.4 };
        let same = anchor.decode([0.0; 4]);
        assert_eq!(same, BoundingBox::between(0.4, 0.3, 0.6, 0.7));
        // Half its height down, and twice as wide.
        let moved = anchor.decode([5.0, 0.0, 0.0, 5.0 * 2.0_f32.ln()]);
        let expected = BoundingBox::between(0.3, 0.5, 0.7, 0.9);
        assert!(moved.overlap(&expected) > 0.999, "{moved:?}");
    }

    #[test]
    fn nothing_reaches_beyond_the_picture() {
        let anchor = Anchor { centre_x: 0.0, centre_y: 1.0, width: 0.5, height: 0.5 };
        for wild in [f32::NAN, f32::INFINITY, -1e30, 1e30] {
            let found = anchor.decode([wild; 4]);
            assert!(
                found.corners().iter().all(|side| (0.0..=1.0).contains(side)),
                "{wild}: {found:?}"
            );
        }
    }
}
