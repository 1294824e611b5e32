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
/// Mean square of the Laplacian below which a block has no detail to lose.
const DETAILLESS: f32 = 30.0;
/// Shares of pictures with less and with more detail in what is usual.
const FORGET: f32 = 0.5;
const REMEMBER: f32 = 0.03;
/// How far a shift is looked for, pixels.
const REACH: isize = 24;

/// What a picture is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measures {
    pub(super) mean: f32,
    /// Brightness of the 10th and of the 95th of 100 pixels: a caption takes less than the rest.
    pub(super) dark_end: u8,
    pub(super) bright_end: u8,
    /// Size of the gradient at each pixel, smoothed over 3 by 3.
    pub(super) edges: Vec<f32>,
    /// Mean brightness and mean gradient of each block.
    pub(super) blocks: Vec<f32>,
    block_edges: Vec<f32>,
    /// Mean square of the Laplacian of each block: fine detail (Pech-Pacheco and others, 2000).
    block_detail: Vec<f32>,
}

impl Measures {
    /// `None` unless the picture has the size that is judged.
    pub(super) fn of(luma: &Luma) -> Option<Self> {
        if (luma.width(), luma.height()) != (WIDTH, HEIGHT) {
            return None;
        }
        let (dark_end, bright_end) = ends(luma.pixels());
        let grey: Vec<f32> = luma.pixels().iter().map(|pixel| f32::from(*pixel)).collect();
        let (gradient, laplacian) = gradient(&grey);
        Some(Self {
            mean: mean(&grey),
            dark_end,
            bright_end,
            blocks: block_means(&grey),
            block_edges: block_means(&gradient),
            block_detail: block_means(&laplacian),
            edges: smooth(&gradient),
        })
    }

    /// Moves towards `now` by `share`.
    pub(super) fn follow(&mut self, now: &Self, share: f32) {
        let Self { mean, dark_end, bright_end, edges, blocks, block_edges, block_detail } = self;
        (*dark_end, *bright_end) = (now.dark_end, now.bright_end);
        *mean += (now.mean - *mean) * share;
        for (own, new) in block_detail.iter_mut().zip(&now.block_detail) {
            // Detail that is not there all the time is that of who passes by.
            *own += (new - *own) * if new < own { FORGET } else { REMEMBER };
        }
        for (own, new) in
            [(edges, &now.edges), (blocks, &now.blocks), (block_edges, &now.block_edges)]
        {
            own.iter_mut().zip(new).for_each(|(own, new)| *own += (new - *own) * share);
        }
    }

    /// Share of the blocks with edges which are flat now, 0 to 1. Blocks count alike, so that a
    /// caption, which nothing covers, weighs no more than the place it takes.
    pub(super) fn edges_gone(&self, usual: &Self) -> f32 {
        let edged = self.block_edges.iter().zip(&usual.block_edges).filter(|(_, u)| **u > EDGELESS);
        let (mut gone, mut all) = (0.0, 0.0);
        for (now, usual) in edged {
            all += 1.0;
            gone += f32::from(u8::from(*now < FLAT * usual));
        }
        if all > 0.0 { gone / all } else { 0.0 }
    }

    /// What is left of the usual fine detail in the middle one of the blocks that have any; 1 when
    /// none has.
    pub(super) fn detail_left(&self, usual: &Self) -> f32 {
        let blocks = self.block_detail.iter().zip(&usual.block_detail);
        let detailed = blocks.filter(|(_, usual)| **usual > DETAILLESS);
        let mut left: Vec<f32> = detailed.map(|(now, usual)| now / usual).collect();
        left.sort_by(f32::total_cmp);
        left.get(left.len() / 2).copied().unwrap_or(1.0)
    }
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

/// Brightness of the 10th and of the 95th of 100 pixels.
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
    (at(10), at(95))
}

/// Size of the gradient (central differences) and square of the Laplacian at each pixel; the rim of
/// the picture counts as flat.
fn gradient(grey: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut gradient, mut laplacian) = (vec![0.0; grey.len()], vec![0.0; grey.len()]);
    let rows: Vec<&[f32]> = grey.chunks_exact(WIDTH).collect();
    let out_rows = gradient.chunks_exact_mut(WIDTH).zip(laplacian.chunks_exact_mut(WIDTH)).skip(1);
    for (triple, (sizes, squares)) in rows.windows(3).zip(out_rows) {
        let [above, row, below] = triple else { continue };
        let columns = above.windows(3).zip(row.windows(3)).zip(below.windows(3));
        let out = sizes.iter_mut().zip(squares).skip(1);
        for (((above, row), below), (size, square)) in columns.zip(out) {
            let ([_, up, _], [left, here, right], [_, down, _]) = (above, row, below) else {
                continue;
            };
            *size = ((right - left).abs() + (down - up).abs()) / 2.0;
            let bend = up + down + left + right - 4.0 * here;
            *square = bend * bend;
        }
    }
    (gradient, laplacian)
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

/// How alike the edges of two pictures are, −1 to 1; captions, which stay when all else moves, stand
/// at the rim and do not count.
pub(super) fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let rim = HEIGHT / 10 * WIDTH;
    let inner = |edges: &'_ [f32]| edges.get(rim..edges.len() - rim).unwrap_or_default().to_vec();
    similarity(&inner(a), &inner(b))
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
