//! Boxes, what is in them, and the choice among boxes that show the same thing.

use std::fmt;

/// A rectangle relative to the picture: 0..1 from its left and upper edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundingBox {
    pub left: f32,
    pub top: f32,
    pub width: f32,
    pub height: f32,
}

impl BoundingBox {
    /// From two corners, cut to the picture; what is no number counts as the near edge.
    pub fn between(left: f32, top: f32, right: f32, bottom: f32) -> Self {
        let cut = |side: f32| if side.is_nan() { 0.0 } else { side.clamp(0.0, 1.0) };
        let [left, top, right, bottom] = [left, top, right, bottom].map(cut);
        Self { left, top, width: (right - left).max(0.0), height: (bottom - top).max(0.0) }
    }

    pub fn right(&self) -> f32 {
        (self.left + self.width).min(1.0)
    }

    pub fn bottom(&self) -> f32 {
        (self.top + self.height).min(1.0)
    }

    /// Left, top, right, bottom.
    pub fn corners(&self) -> [f32; 4] {
        [self.left, self.top, self.right(), self.bottom()]
    }

    /// Share of the picture.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Area of what both cover.
    pub fn shared(&self, other: &Self) -> f32 {
        let width = self.right().min(other.right()) - self.left.max(other.left);
        let height = self.bottom().min(other.bottom()) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    /// Intersection over union, 0..1.
    pub fn overlap(&self, other: &Self) -> f32 {
        let shared = self.shared(other);
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    /// This box of a window of the picture, as a box of the picture.
    pub(crate) fn within(&self, window: &Self) -> Self {
        let x = |part: f32| window.left + part * window.width;
        let y = |part: f32| window.top + part * window.height;
        Self::between(x(self.left), y(self.top), x(self.right()), y(self.bottom()))
    }
}

/// What is in a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Person,
    Bicycle,
    Car,
    Motorcycle,
    Bus,
    Truck,
}

impl Class {
    /// In the order of the network's outputs.
    pub const ALL: [Self; 6] =
        [Self::Person, Self::Bicycle, Self::Car, Self::Motorcycle, Self::Bus, Self::Truck];

    /// The word for it in rows and configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Bicycle => "bicycle",
            Self::Car => "car",
            Self::Motorcycle => "motorcycle",
            Self::Bus => "bus",
            Self::Truck => "truck",
        }
    }

    /// Whether it is anything but a person.
    pub fn is_vehicle(self) -> bool {
        self != Self::Person
    }

    /// Whether one thing can only be one of both: a van is taken for a car and for a truck, but who
    /// rides a motorcycle and the motorcycle are two.
    fn excludes(self, other: Self) -> bool {
        let body = |class| matches!(class, Self::Car | Self::Bus | Self::Truck);
        self == other || (body(self) && body(other))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One road user that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    pub class: Class,
    /// How sure the network is, 0..1; no probability: see `docs/detector.md` for what it is worth.
    pub score: f32,
    pub place: BoundingBox,
}

/// Of the smaller box, the part that must lie in the other for it to be a part of the same thing.
const WITHIN: f32 = 0.8;
/// How much smaller it may be: half a person is one, a car before a lorry is not.
const PART: f32 = 0.25;

/// Whether two boxes show the same thing: they overlap by more than `overlap`, or one is a part of
/// the other, as windows show it.
fn same(one: &BoundingBox, other: &BoundingBox, overlap: f32) -> bool {
    let (small, large) = (one.area().min(other.area()), one.area().max(other.area()));
    one.overlap(other) > overlap || (small > PART * large && one.shared(other) > WITHIN * small)
}

/// Keeps the best of those that show the same thing and exclude one another. The surest first.
pub(crate) fn best(mut found: Vec<Detection>, overlap: f32) -> Vec<Detection> {
    // Equal scores fall apart by place, so that the same picture gives the same answer.
    found.sort_by(|a, b| {
        let by_score = b.score.total_cmp(&a.score);
        by_score.then(a.place.left.total_cmp(&b.place.left)).then(a.class.cmp(&b.class))
    });
    let mut kept: Vec<Detection> = Vec::new();
    for one in found {
        let known = kept.iter().any(|better| {
            better.class.excludes(one.class) && same(&better.place, &one.place, overlap)
        });
        if !known {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(class: Class, score: f32, left: f32) -> Detection {
        let place = BoundingBox { left, top: 0.1, width: 0.2, height: 0.2 };
        Detection { class, score, place }
    }

    #[test]
    fn overlap_is_shared_over_joint_area() {
        let whole = BoundingBox::between(0.0, 0.0, 0.4, 0.4);
        let half = BoundingBox::between(0.2, 0.0, 0.6, 0.4);
        assert!((whole.overlap(&half) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(whole.overlap(&BoundingBox::between(0.5, 0.5, 0.6, 0.6)), 0.0);
        let nothing = BoundingBox::between(0.5, 0.5, 0.5, 0.5);
        assert_eq!(nothing.overlap(&nothing), 0.0);
    }

    #[test]
    fn one_body_is_found_once() {
        let kept = best(vec![found(Class::Truck, 0.5, 0.1), found(Class::Car, 0.9, 0.11)], 0.5);
        assert_eq!(kept, [found(Class::Car, 0.9, 0.11)]);
    }

    #[test]
    fn a_part_is_no_second_thing_but_a_small_car_before_a_lorry_is() {
        let at = |score, bottom| {
            let place = BoundingBox::between(0.1, 0.1, 0.3, bottom);
            Detection { class: Class::Car, score, place }
        };
        assert_eq!(best(vec![at(0.9, 0.9), at(0.5, 0.35)], 0.5), [at(0.9, 0.9)]);
        assert_eq!(best(vec![at(0.5, 0.9), at(0.9, 0.35)], 0.5), [at(0.9, 0.35)]);
        assert_eq!(best(vec![at(0.9, 0.9), at(0.5, 0.2)], 0.5).len(), 2);
    }

    #[test]
    fn rider_and_motorcycle_are_two_and_so_are_neighbours() {
        let rider = vec![found(Class::Person, 0.5, 0.1), found(Class::Motorcycle, 0.9, 0.1)];
        assert_eq!(best(rider, 0.5).len(), 2);
        let neighbours = vec![found(Class::Car, 0.5, 0.1), found(Class::Car, 0.9, 0.3)];
        assert_eq!(best(neighbours, 0.5).len(), 2);
    }

    proptest! {
        #[test]
        fn what_is_kept_does_not_overlap_and_covers_the_rest(
            boxes in prop::collection::vec((0.0_f32..1.0, 0.0_f32..0.8), 0..40)
        ) {
            let all: Vec<_> =
                boxes.iter().map(|(score, left)| found(Class::Car, *score, *left)).collect();
            let kept = best(all.clone(), 0.5);
            for (place, one) in kept.iter().enumerate() {
                for other in &kept[place + 1..] {
                    prop_assert!(!same(&one.place, &other.place, 0.5));
                }
            }
            for one in all {
                let covered = kept.iter().any(|better| {
                    better.score >= one.score
                        && (*better == one || same(&better.place, &one.place, 0.5))
                });
                prop_assert!(covered);
            }
        }
    }
}
