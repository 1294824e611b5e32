//! A YUV 4:2:0 picture and the few ways to put colour on it; everything is clipped to its edges.

/// A colour in BT.601 limited range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    y: u8,
    u: u8,
    v: u8,
}

impl Paint {
    /// From red, green and blue, 0 to 255 (BT.601 integer matrix).
    pub(crate) const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        let (r, g, b) = (red as i32, green as i32, blue as i32);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "16..=240")]
        const fn byte(value: i32) -> u8 {
            value as u8
        }
        Self {
            y: byte(((66 * r + 129 * g + 25 * b + 128) >> 8) + 16),
            u: byte(((-38 * r - 74 * g + 112 * b + 128) >> 8) + 128),
            v: byte(((112 * r - 94 * g - 18 * b + 128) >> 8) + 128),
        }
    }

    /// The same hue, `percent` as bright.
    pub(crate) fn shade(self, percent: u32) -> Self {
        let luma = u32::from(self.y.saturating_sub(16)) * percent / 100 + 16;
        Self { y: u8::try_from(luma.min(235)).unwrap_or(235), ..self }
    }

    fn dimmed(self, light: u32) -> Self {
        if light >= FULL_LIGHT {
            return self;
        }
        let chroma = |c: u8| {
            let from_grey = (i32::from(c) - 128) * i32::try_from(light).unwrap_or(256) / 256;
            u8::try_from(from_grey + 128).unwrap_or(128)
        };
        let luma = u32::from(self.y.saturating_sub(16)) * light / FULL_LIGHT + 16;
        Self { y: u8::try_from(luma).unwrap_or(235), u: chroma(self.u), v: chroma(self.v) }
    }
}

/// Light at noon; see [`Canvas::set_light`].
pub(crate) const FULL_LIGHT: u32 = 256;

/// A point in pixels; may lie outside the picture.
pub(crate) type Point = (i32, i32);

/// One picture: a luma plane and two chroma planes of half its width and height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    light: u32,
    luma: Vec<u8>,
    blue: Vec<u8>,
    red: Vec<u8>,
}

impl Canvas {
    /// A black picture; `width` and `height` are rounded down to even.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let side = |n: u32| usize::try_from(n & !1).unwrap_or(0);
        let (width, height) = (side(width), side(height));
        let chroma = width / 2 * (height / 2);
        Self {
            width,
            height,
            light: FULL_LIGHT,
            luma: vec![16; width * height],
            blue: vec![128; chroma],
            red: vec![128; chroma],
        }
    }

    pub(crate) fn width(&self) -> i32 {
        i32::try_from(self.width).unwrap_or(i32::MAX)
    }

    pub(crate) fn height(&self) -> i32 {
        i32::try_from(self.height).unwrap_or(i32::MAX)
    }

    /// What is painted from now on is lit by `light` of [`FULL_LIGHT`].
    pub(crate) fn set_light(&mut self, light: u32) {
        self.light = light.min(FULL_LIGHT);
    }

    /// Planes with their row lengths, in the order Y, U, V.
    pub(crate) fn planes(&self) -> [(&[u8], usize); 3] {
        let half = self.width / 2;
        [(&self.luma, self.width), (&self.blue, half), (&self.red, half)]
    }

    /// Takes over the content of a picture of the same size.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.luma.clone_from(&other.luma);
        self.blue.clone_from(&other.blue);
        self.red.clone_from(&other.red);
    }

    /// Fills columns `from..to` of rows `top..bottom`.
    pub(crate) fn rectangle(&mut self, from: Point, to: Point, paint: Paint) {
        let paint = paint.dimmed(self.light);
        for y in from.1.max(0)..to.1.min(self.height()) {
            self.span(y, from.0, to.0, paint);
        }
    }

    /// Fills a convex polygon.
    pub(crate) fn polygon(&mut self, corners: &[Point], paint: Paint) {
        let paint = paint.dimmed(self.light);
        scan(corners, self.height(), |y, from, to| self.span(y, from, to, paint));
    }

    /// Leaves `percent` of the brightness inside a convex polygon: a shadow.
    pub(crate) fn darken(&mut self, corners: &[Point], percent: u32) {
        let (width, height) = (self.width(), self.height());
        let luma = &mut self.luma;
        scan(corners, height, |y, from, to| {
            let Some(row) = row_of(luma, y, width, from, to) else { return };
            for pixel in row {
                let dark = u32::from(pixel.saturating_sub(16)) * percent / 100 + 16;
                *pixel = u8::try_from(dark).unwrap_or(*pixel);
            }
        });
    }

    /// Adds `amount` of light inside a convex polygon: a beam.
    pub(crate) fn brighten(&mut self, corners: &[Point], amount: u8) {
        let (width, height) = (self.width(), self.height());
        let luma = &mut self.luma;
        scan(corners, height, |y, from, to| {
            let Some(row) = row_of(luma, y, width, from, to) else { return };
            for pixel in row {
                *pixel = pixel.saturating_add(amount).min(225);
            }
        });
    }

    /// Mean over `2 · reach + 1` pixels each way, luma alone: a lens out of focus.
    pub(crate) fn blur(&mut self, reach: usize) {
        let width = self.width;
        for row in self.luma.chunks_exact_mut(width) {
            blur_line(row, 0, 1, width, reach);
        }
        for column in 0..width {
            blur_line(&mut self.luma, column, width, self.height, reach);
        }
    }

    fn span(&mut self, y: i32, from: i32, to: i32, paint: Paint) {
        let (width, half) = (self.width(), self.width() / 2);
        if let Some(row) = row_of(&mut self.luma, y, width, from, to) {
            row.fill(paint.y);
        }
        if y % 2 == 0 {
            let (from, to) = (from >> 1, (to + 1) >> 1);
            if let Some(row) = row_of(&mut self.blue, y / 2, half, from, to) {
                row.fill(paint.u);
            }
            if let Some(row) = row_of(&mut self.red, y / 2, half, from, to) {
                row.fill(paint.v);
            }
        }
    }
}

/// Sliding mean of `count` pixels of `plane` from `start` on, `step` apart; the rim repeats.
fn blur_line(plane: &mut [u8], start: usize, step: usize, count: usize, reach: usize) {
    let line: Vec<u32> =
        plane.iter().skip(start).step_by(step).take(count).map(|p| u32::from(*p)).collect();
    let at = |index: isize| {
        let inside = usize::try_from(index).unwrap_or(0).min(count.saturating_sub(1));
        line.get(inside).copied().unwrap_or(0)
    };
    let reach_i = isize::try_from(reach).unwrap_or(0);
    let mut sum: u32 = (-reach_i..=reach_i).map(at).sum();
    let size = u32::try_from(2 * reach + 1).unwrap_or(1);
    for (index, pixel) in (0..).zip(plane.iter_mut().skip(start).step_by(step).take(count)) {
        *pixel = u8::try_from(sum / size).unwrap_or(u8::MAX);
        sum = sum + at(index + reach_i + 1) - at(index - reach_i);
    }
}

/// The pixels `from..to` of row `y`, as far as they lie inside the plane.
fn row_of(plane: &mut [u8], y: i32, width: i32, from: i32, to: i32) -> Option<&mut [u8]> {
    let (from, to) = (from.clamp(0, width), to.clamp(0, width));
    if y < 0 || from >= to {
        return None;
    }
    let start = usize::try_from(y.checked_mul(width)?.checked_add(from)?).ok()?;
    let length = usize::try_from(to - from).ok()?;
    plane.get_mut(start..start.checked_add(length)?)
}

/// Calls `row(y, from, to)` for each row of a convex polygon between 0 and `height`.
fn scan(corners: &[Point], height: i32, mut row: impl FnMut(i32, i32, i32)) {
    let top = corners.iter().map(|c| c.1).min().unwrap_or(0).max(0);
    let bottom = corners.iter().map(|c| c.1).max().unwrap_or(0).min(height - 1);
    for y in top..=bottom {
        let (mut from, mut to) = (i64::MAX, i64::MIN);
        let mut previous = corners.last().copied().unwrap_or_default();
        for &corner in corners {
            let (a, b) =
                if previous.1 <= corner.1 { (previous, corner) } else { (corner, previous) };
            if a.1 <= y && y <= b.1 {
                let (ax, bx) = (i64::from(a.0), i64::from(b.0));
                let rise = i64::from(b.1) - i64::from(a.1);
                if rise == 0 {
                    from = from.min(ax).min(bx);
                    to = to.max(ax).max(bx);
                } else {
                    let x = ax + (bx - ax) * (i64::from(y) - i64::from(a.1)) / rise;
                    from = from.min(x);
                    to = to.max(x);
                }
            }
            previous = corner;
        }
        if from <= to {
            let clip = |x: i64| i32::try_from(x.clamp(-1, 1 << 20)).unwrap_or(0);
            row(y, clip(from), clip(to + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_outside_the_picture_are_clipped() {
        let mut canvas = Canvas::new(16, 8);
        let white = Paint::rgb(255, 255, 255);
        canvas.polygon(&[(-50, -50), (500, -20), (500, 500), (-50, 400)], white);
        assert!(canvas.planes()[0].0.iter().all(|&y| y == 235));
        canvas.rectangle((-5, -5), (0, 99), Paint::rgb(0, 0, 0));
        canvas.darken(&[(20, 0), (30, 0), (30, 9)], 10);
        assert!(canvas.planes()[0].0.iter().all(|&y| y == 235));
    }

    #[test]
    fn polygon_fills_what_lies_between_its_edges() {
        let mut canvas = Canvas::new(8, 8);
        canvas.polygon(&[(2, 2), (5, 2), (5, 5), (2, 5)], Paint::rgb(255, 255, 255));
        let lit = canvas.planes()[0].0.iter().filter(|&&y| y == 235).count();
        assert_eq!(lit, 16);
    }
}
