//! Looking closer: the picture in overlapping windows, each as large to the network as the whole.
//!
//! The network sees 300 x 300 pixels, so a car that takes a hundredth of the picture's width is
//! three pixels to it. A window makes what is in it larger and costs one more inference.

use crate::BoundingBox;

/// How much neighbouring windows share, as part of a window: what one cuts, the other has whole.
const SHARED: f32 = 0.2;
/// A box that ends this near to a window's edge, as part of the window, was cut by it.
const EDGE: f32 = 0.02;

/// Windows that are looked at besides the whole picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tiling {
    /// None: one inference.
    #[default]
    Whole,
    /// Two side by side: three inferences.
    TwoByOne,
    /// Two rows of two: five inferences.
    TwoByTwo,
    /// Two rows of three: seven inferences.
    ThreeByTwo,
}

impl Tiling {
    pub const ALL: [Self; 4] = [Self::Whole, Self::TwoByOne, Self::TwoByTwo, Self::ThreeByTwo];

    /// The word for it in configuration and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::TwoByOne => "2x1",
            Self::TwoByTwo => "2x2",
            Self::ThreeByTwo => "3x2",
        }
    }

    /// Inferences for one picture.
    pub fn inferences(self) -> usize {
        self.windows().len()
    }

    /// The whole picture first, then the windows.
    pub(crate) fn windows(self) -> Vec<BoundingBox> {
        let (columns, rows) = match self {
            Self::Whole => (1, 1),
            Self::TwoByOne => (2, 1),
            Self::TwoByTwo => (2, 2),
            Self::ThreeByTwo => (3, 2),
        };
        let mut windows = vec![BoundingBox::between(0.0, 0.0, 1.0, 1.0)];
        if self == Self::Whole {
            return windows;
        }
        for (top, bottom) in spans(rows) {
            windows.extend(
                spans(columns).map(|(left, right)| BoundingBox::between(left, top, right, bottom)),
            );
        }
        windows
    }
}

/// `count` equal spans over 0..1, each sharing the same part with its neighbours.
fn spans(count: u8) -> impl Iterator<Item = (f32, f32)> {
    let step = 1.0 - SHARED;
    let length = 1.0 / (1.0 + step * f32::from(count - 1));
    (0..count).map(move |place| {
        let begin = f32::from(place) * step * length;
        (begin, begin + length)
    })
}

/// Whether a box of a window is cut by an edge of it that is not an edge of the picture.
pub(crate) fn is_cut(place: &BoundingBox, window: &BoundingBox) -> bool {
    let (left, top) = (window.left > 0.0, window.top > 0.0);
    let (right, bottom) = (window.right() < 1.0 - EDGE, window.bottom() < 1.0 - EDGE);
    (left && place.left < EDGE)
        || (top && place.top < EDGE)
        || (right && place.right() > 1.0 - EDGE)
        || (bottom && place.bottom() > 1.0 - EDGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_picture_and_share_a_fifth() {
        for (tiling, count) in Tiling::ALL.into_iter().zip([1, 3, 5, 7]) {
            let windows = tiling.windows();
            assert_eq!(windows.len(), count);
            let last = windows.last().expect("at least the whole");
            assert!((last.right() - 1.0).abs() < 1e-6 && (last.bottom() - 1.0).abs() < 1e-6);
        }
        let windows = Tiling::TwoByOne.windows();
        let shared = windows[1].right() - windows[2].left;
        assert!((shared / windows[1].width - SHARED).abs() < 1e-5, "{shared}");
    }

    #[test]
    fn only_inner_edges_cut() {
        let window = Tiling::TwoByOne.windows()[1];
        let at = |left, right| BoundingBox::between(left, 0.4, right, 0.6);
        assert!(!is_cut(&at(0.0, 0.2), &window), "the picture's own edge");
        assert!(is_cut(&at(0.8, 1.0), &window));
        assert!(!is_cut(&at(0.8, 0.97), &window));
    }
}
