//! Numbers of one small grey picture.

use super::{HEIGHT, WIDTH};
use crate::luma::Luma;

/// Pixels of a block's side; blocks tile the picture.
const BLOCK: usize = 10;
const COLUMNS: usize = WIDTH / BLOCK;
const ROWS: usize = HEIGHT / BLOCK;
/// A block has lost its edges when less than this share of them is left.
const FLAT: f32 = 0.35;
/// Mean gradient below which a block has no edges to lose.
const EDGELESS: f32 = 3.0;
/// How far a shift is looked for, pixels.
const REACH: isize = 24;

/// What a picture is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measures {
    pub(super) mean: f32,
    /// Brightness of the 5th and of the 99th of 100 pixels.
    pub(super) dark_end: u8,
    pub(super) bright_end: u8,
    /// Variance of the Laplacian: fine detail (Pech-Pacheco and others, 2000).
    pub(super) detail: f32,
    /// Size of the gradient at each pixel, smoothed over 3 by 3.
    pub(super) edges: Vec<f32>,
    /// Mean brightness and mean gradient of each block.
    pub(super) blocks: Vec<f32>,
    block_edges: Vec<f32>,
}

impl Measures {
    /// `None` unless the picture has the size that is judged.
    pub(super) fn of(luma: &Luma) -> Option<Self> {
        if (luma.width(), luma.height()) != (WIDTH, HEIGHT) {
            return None;
        }
        let (dark_end, bright_end) = ends(luma.pixels());
        let grey: Vec<f32> = luma.pixels().iter().map(|pixel| f32::from(*pixel)).collect();
        let (gradient, detail) = gradient(&grey);
        Some(Self {
            mean: mean(&grey),
            dark_end,
            bright_end,
            detail,
            blocks: block_means(&grey),
            block_edges: block_means(&gradient),
            edges: smooth(&gradient),
        })
    }

    /// Moves towards `now` by `share`.
    pub(super) fn follow(&mut self, now: &Self, share: f32) {
        let Self { mean, dark_end, bright_end, detail, edges, blocks, block_edges } = self;
        (*dark_end, *bright_end) = (now.dark_end, now.bright_end);
        *mean += (now.mean - *mean) * share;
        *detail += (now.detail - *detail) * share;
        for (own, new) in
            [(edges, &now.edges), (blocks, &now.blocks), (block_edges, &now.block_edges)]
        {
            own.iter_mut().zip(new).for_each(|(own, new)| *own += (new - *own) * share);
        }
    }

    /// Share of the usual edges that lie in blocks which are flat now, 0 to 1.
    pub(super) fn edges_gone(&self, usual: &Self) -> f32 {
        let (mut gone, mut all) = (0.0, 0.0);
        for (now, usual) in self.block_edges.iter().zip(&usual.block_edges) {
            if *usual > EDGELESS {
                all += usual;
                gone += if *now < FLAT * usual { *usual } else { 0.0 };
            }
        }
        if all > 0.0 { gone / all } else { 0.0 }
    }
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

/// Brightness of the 5th and of the 99th of 100 pixels.
fn ends(pixels: &[u8]) -> (u8, u8) {
    let mut histogram = [0_usize; 256];
    for pixel in pixels {
        if let Some(count) = histogram.get_mut(usize::from(*pixel)) {
            *count += 1;
        }
    }
    let at = |share: usize| {
        let mut seen = 0;
        let reached = (0_u8..=255).zip(histogram).find(|(_, count)| {
            seen += count;
            seen * 100 >= pixels.len() * share
        });
        reached.map_or(0, |(level, _)| level)
    };
    (at(5), at(99))
}

/// Size of the gradient (central differences) and variance of the Laplacian; edges of the picture
/// count as flat.
fn gradient(grey: &[f32]) -> (Vec<f32>, f32) {
    let mut gradient = vec![0.0; grey.len()];
    let (mut sum, mut squares, mut count) = (0.0_f32, 0.0_f32, 0.0_f32);
    let rows: Vec<&[f32]> = grey.chunks_exact(WIDTH).collect();
    for (triple, out) in rows.windows(3).zip(gradient.chunks_exact_mut(WIDTH).skip(1)) {
        let [above, row, below] = triple else { continue };
        let columns = above.windows(3).zip(row.windows(3)).zip(below.windows(3));
        for (((above, row), below), out) in columns.zip(out.iter_mut().skip(1)) {
            let ([_, up, _], [left, here, right], [_, down, _]) = (above, row, below) else {
                continue;
            };
            *out = ((right - left).abs() + (down - up).abs()) / 2.0;
            let laplacian = up + down + left + right - 4.0 * here;
            sum += laplacian;
            squares += laplacian * laplacian;
            count += 1.0;
        }
    }
    let mean = sum / count;
    (gradient, squares / count - mean * mean)
}

fn smooth(values: &[f32]) -> Vec<f32> {
    let mut rows_smoothed = vec![0.0; values.len()];
    for (row, out) in values.chunks_exact(WIDTH).zip(rows_smoothed.chunks_exact_mut(WIDTH)) {
        for (three, out) in row.windows(3).zip(out.iter_mut().skip(1)) {
            *out = three.iter().sum::<f32>() / 3.0;
        }
    }
    let mut smoothed = vec![0.0; values.len()];
    let rows: Vec<&[f32]> = rows_smoothed.chunks_exact(WIDTH).collect();
    for (three, out) in rows.windows(3).zip(smoothed.chunks_exact_mut(WIDTH).skip(1)) {
        let [above, row, below] = three else { continue };
        for (((a, b), c), out) in above.iter().zip(*row).zip(*below).zip(out) {
            *out = (a + b + c) / 3.0;
        }
    }
    smoothed
}

fn block_means(values: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; COLUMNS * ROWS];
    for (y, row) in values.chunks_exact(WIDTH).enumerate() {
        for (x, cells) in row.chunks_exact(BLOCK).enumerate() {
            if let Some(sum) = sums.get_mut(y / BLOCK * COLUMNS + x) {
                *sum += cells.iter().sum::<f32>();
            }
        }
    }
    sums.into_iter().map(|sum| sum / (BLOCK * BLOCK) as f32).collect()
}

/// Correlation of two pictures of the same size, −1 to 1; 0 where one of them is flat.
pub(super) fn similarity(a: &[f32], b: &[f32]) -> f32 {
    correlation(a.iter().copied().zip(b.iter().copied()))
}

fn correlation(pairs: impl Iterator<Item = (f32, f32)>) -> f32 {
    let (mut n, mut a, mut b, mut aa, mut bb, mut ab) = (0.0_f64, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (x, y) in pairs {
        let (x, y) = (f64::from(x), f64::from(y));
        n += 1.0;
        a += x;
        b += y;
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    let variance = (n * aa - a * a) * (n * bb - b * b);
    if variance <= 0.0 { 0.0 } else { ((n * ab - a * b) / variance.sqrt()) as f32 }
}

/// By how much of width and height, percent to the right and down, `usual` must be moved to look
/// like `now`; `None` when no shift makes them alike.
pub(super) fn shift_of(now: &[f32], usual: &[f32]) -> Option<(f32, f32)> {
    let alike =
        |right: isize, down: isize| {
            let span = |shift: isize, size: usize| {
                let by = shift.unsigned_abs();
                if shift >= 0 { (by, 0, size - by) } else { (0, by, size - by) }
            };
            let (to_x, from_x, wide) = span(right, WIDTH);
            let (to_y, from_y, high) = span(down, HEIGHT);
            let row = |picture: &'_ [f32], y: usize, x: usize| {
                picture.get(y * WIDTH + x..y * WIDTH + x + wide).unwrap_or_default().to_vec()
            };
            // Every third row is enough to know a street by.
            let rows = (0..high).step_by(3);
            correlation(rows.flat_map(|y| {
                row(now, to_y + y, to_x).into_iter().zip(row(usual, from_y + y, from_x))
            }))
        };
    let shifts = (-REACH..=REACH).flat_map(|right| (-REACH..=REACH).map(move |down| (right, down)));
    let best = shifts.map(|(right, down)| (alike(right, down), right, down));
    let (likeness, right, down) = best.max_by(|a, b| a.0.total_cmp(&b.0))?;
    let percent = |shift: isize, size: usize| shift as f32 * 100.0 / size as f32;
    (likeness > 0.5).then(|| (percent(right, WIDTH), percent(down, HEIGHT)))
}
