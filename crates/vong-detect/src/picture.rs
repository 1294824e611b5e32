//! A decoded picture, and its way into the network: a window of it, scaled to a square.
//!
//! The network was trained on pictures stretched to 300 x 300 without regard to their shape, so
//! this stretches too. Scaling is by Lanczos' filter, which keeps small cars sharp (of those of the
//! labelled road it finds a third more than a triangle does) and which widens when the picture
//! shrinks, so that no pixel of a large picture is passed over.

use crate::{BoundingBox, Error};

/// Half the width of the filter, in the wider of source and target pixels.
const LOBES: f64 = 3.0;

/// Rows of pixels from the top, three bytes each: red, green, blue.
#[derive(Clone, Copy, Debug)]
pub struct RgbPicture<'a> {
    width: u32,
    height: u32,
    data: &'a [u8],
}

impl<'a> RgbPicture<'a> {
    /// `data` is `height` rows of `width` pixels without padding.
    ///
    /// # Errors
    /// There are no pixels, or more or fewer bytes than the size says.
    pub fn new(width: u32, height: u32, data: &'a [u8]) -> Result<Self, Error> {
        let expected = u64::from(width) * u64::from(height) * 3;
        let found = data.len() as u64;
        if expected == 0 || expected != found {
            return Err(Error::Picture { width, height, expected, found });
        }
        Ok(Self { width, height, data })
    }

    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn height(&self) -> u32 {
        self.height
    }

    /// The window as `side` x `side` values from -1 to 1: all red ones, all green ones, all blue
    /// ones.
    pub(crate) fn scaled(&self, window: &BoundingBox, side: u32) -> Vec<f32> {
        let columns = Taps::new(self.width, window.left, window.right(), side);
        let rows = Taps::new(self.height, window.top, window.bottom(), side);
        let side = side as usize;
        let mut squeezed = Vec::with_capacity(rows.source.len() * side * 3);
        let row_bytes = self.width as usize * 3;
        for row in self.data.chunks_exact(row_bytes).take(rows.source.end).skip(rows.source.start) {
            for taps in &columns.taps {
                let mut sums = [0.0_f32; 3];
                let pixels = row.get(taps.first * 3..).unwrap_or_default();
                for (pixel, weight) in pixels.as_chunks::<3>().0.iter().zip(&taps.weights) {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += f32::from(*value) * weight;
                    }
                }
                squeezed.extend(sums);
            }
        }
        let mut scaled = vec![0.0; 3 * side * side];
        for (colour, plane) in scaled.chunks_exact_mut(side * side).enumerate() {
            for (taps, line) in rows.taps.iter().zip(plane.chunks_exact_mut(side)) {
                let first = taps.first.saturating_sub(rows.source.start);
                let sources = squeezed.chunks_exact(side * 3).skip(first);
                for (source, weight) in sources.zip(&taps.weights) {
                    for (sum, pixel) in line.iter_mut().zip(source.as_chunks::<3>().0) {
                        *sum += pixel.get(colour).copied().unwrap_or_default() * weight;
                    }
                }
            }
        }
        for value in &mut scaled {
            // The filter swings over at hard edges.
            *value = value.clamp(0.0, 255.0) * (2.0 / 255.0) - 1.0;
        }
        scaled
    }
}

/// Which source pixels make one, and how much of each.
struct Tap {
    first: usize,
    weights: Vec<f32>,
}

/// Those of one direction, and the source pixels they reach.
struct Taps {
    taps: Vec<Tap>,
    source: std::ops::Range<usize>,
}

impl Taps {
    /// From `length` pixels, of which the part `begin..end` (0..1) becomes `side` pixels.
    fn new(length: u32, begin: f32, end: f32, side: u32) -> Self {
        let (length, side) = (f64::from(length), f64::from(side));
        let (begin, end) = (f64::from(begin) * length, f64::from(end) * length);
        let step = (end - begin) / side;
        let wide = step.max(1.0);
        let reach = LOBES * wide;
        let last = length - 1.0;
        let mut taps = Vec::new();
        let mut place = 0.5;
        while place < side {
            // Pixel centres lie at halves.
            let centre = begin + place * step - 0.5;
            let from = (centre - reach).ceil().clamp(0.0, last);
            let to = (centre + reach).floor().clamp(from, last);
            let mut weights = Vec::new();
            let mut source = from;
            while source <= to {
                weights.push(lanczos((source - centre) / wide));
                source += 1.0;
            }
            let sum: f64 = weights.iter().sum();
            // The pixel under the centre is always among them, so the sum is well above nothing.
            let weights = weights.iter().map(|weight| (weight / sum) as f32).collect();
            taps.push(Tap { first: from as usize, weights });
            place += 1.0;
        }
        let start = taps.first().map_or(0, |tap| tap.first);
        let end = taps.iter().map(|tap| tap.first + tap.weights.len()).max().unwrap_or(start);
        Self { taps, source: start..end }
    }
}

/// Lanczos' kernel: a sinc under the middle of a wider one.
/// Source: C. E. Duchon, "Lanczos Filtering in One and Two Dimensions" (1979).
fn lanczos(x: f64) -> f64 {
    if x.abs() >= LOBES {
        return 0.0;
    }
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { x.sin() / x };
    let x = x * std::f64::consts::PI;
    sinc(x) * sinc(x / LOBES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: BoundingBox = BoundingBox { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };

    #[test]
    fn size_and_bytes_must_agree() {
        assert!(RgbPicture::new(2, 2, &[0; 12]).is_ok());
        let error = RgbPicture::new(2, 2, &[0; 11]).expect_err("a byte is missing").to_string();
        assert_eq!(error, "a picture of 2 x 2 has 12 bytes, this one has 11");
        assert!(RgbPicture::new(0, 2, &[]).is_err());
    }

    #[test]
    fn the_same_size_stays_as_it_is_in_planes() {
        let data: Vec<u8> = (0..48).map(|value| value * 5).collect();
        let picture = RgbPicture::new(4, 4, &data).expect("a picture");
        let scaled = picture.scaled(&WHOLE, 4);
        for (place, pixel) in data.chunks(3).enumerate() {
            for (colour, value) in pixel.iter().enumerate() {
                let expected = f32::from(*value) / 127.5 - 1.0;
                assert!((scaled[colour * 16 + place] - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn shrinking_passes_no_pixel_over() {
        // One white pixel in each 8 x 8 block of black ones, wherever it is.
        for white in 0..64 {
            let mut data = vec![0_u8; 64 * 64 * 3];
            for (place, pixel) in data.chunks_mut(3).enumerate() {
                let (row, column) = (place / 64, place % 64);
                if row % 8 * 8 + column % 8 == white {
                    pixel.fill(255);
                }
            }
            let picture = RgbPicture::new(64, 64, &data).expect("a picture");
            let scaled = picture.scaled(&WHOLE, 8);
            let mean = scaled.iter().sum::<f32>() / scaled.len() as f32;
            assert!(mean > -1.0 + 0.5 * 2.0 / 64.0, "pixel {white}: mean {mean}");
        }
    }

    #[test]
    fn a_window_shows_its_part() {
        let mut data = vec![0_u8; 40 * 20 * 3];
        for (place, pixel) in data.chunks_mut(3).enumerate() {
            if place % 40 >= 20 {
                pixel.fill(255);
            }
        }
        let picture = RgbPicture::new(40, 20, &data).expect("a picture");
        let right = picture.scaled(&BoundingBox::between(0.6, 0.0, 1.0, 1.0), 30);
        assert!(right.iter().all(|value| *value > 0.999));
        let left = picture.scaled(&BoundingBox::between(0.0, 0.5, 0.4, 1.0), 30);
        assert!(left.iter().all(|value| *value < -0.999));
    }

    #[test]
    fn any_size_can_be_scaled() {
        for (width, height) in [(1, 1), (1, 700), (2, 3), (1_921, 7)] {
            let data = vec![200_u8; width as usize * height as usize * 3];
            let picture = RgbPicture::new(width, height, &data).expect("a picture");
            for window in crate::Tiling::ThreeByTwo.windows() {
                let scaled = picture.scaled(&window, 300);
                assert_eq!(scaled.len(), 3 * 300 * 300);
                let grey = 200.0 / 127.5 - 1.0;
                assert!(scaled.iter().all(|value| (value - grey).abs() < 1e-3));
            }
        }
    }
}
