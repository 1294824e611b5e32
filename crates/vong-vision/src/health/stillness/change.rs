//! What differs from one picture of a camera to the next, cell by cell, and which cells hold its
//! clock.

use super::super::{HEIGHT, WIDTH};
use crate::luma::Luma;

/// Pixels of a cell's side.
const CELL: usize = 5;
const COLUMNS: usize = WIDTH / CELL;
const ROWS: usize = HEIGHT / CELL;
/// Rows of cells at the top and at the bottom where cameras write their captions.
const CAPTION_ROWS: usize = 2;
/// Cells there that may change while nothing on the street does.
const CAPTION_CELLS: usize = 20;
/// Levels by which the mean of a cell differs when something moved there. An encoder that is coarser
/// than for the picture before changes single pixels by more, but cells by less.
const MOVED_LEVELS: i32 = 2;
/// Levels by which one pixel differs when a digit changed.
const FLICKER_LEVELS: u8 = 8;
/// Share of a new pair of pictures in what is known of each cell.
const FOLLOW: f32 = 0.02;
/// Pairs of pictures from which a clock is learned.
const LEARNING: u32 = 60;
/// A clock changes in more than this share of them, and at one side of it there is at once what
/// changes in less than this share: the date, or the plate it is written on. Vehicles and leaves at
/// the rim are neither so steady nor so sharply bounded.
const TICKS: f32 = 0.98;
const STEADY: f32 = 0.5;

/// What differs between two pictures.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Something moved on the street.
    pub(super) moved: bool,
    /// Share of the street's other pixels that differ at all.
    pub(super) noise: f32,
    /// Cells in or beside which a pixel differs clearly: a digit that changes may do so in any part
    /// of it.
    pub(super) flickered: Vec<bool>,
}

impl Change {
    /// Both pictures must have the size that is judged.
    pub(super) fn between(last: &Luma, now: &Luma) -> Self {
        let mut cells = vec![Cell::default(); COLUMNS * ROWS];
        for (y, (before, after)) in last.rows().zip(now.rows()).enumerate() {
            for (x, (before, after)) in before.iter().zip(after).enumerate() {
                if let Some(cell) = cells.get_mut(y / CELL * COLUMNS + x / CELL) {
                    cell.add(*before, *after);
                }
            }
        }
        let (caption, street): (Vec<_>, Vec<_>) =
            cells.iter().enumerate().partition(|(at, _)| is_caption(*at));
        let moved = |cells: &[(usize, &Cell)]| cells.iter().filter(|(_, c)| c.has_moved()).count();
        let still = street.iter().filter(|(_, cell)| !cell.has_moved());
        let (pixels, differing) = still.fold((0, 0), |(pixels, differing), (_, cell)| {
            (pixels + CELL * CELL, differing + cell.differing)
        });
        Self {
            moved: moved(&street) > 0 || moved(&caption) > CAPTION_CELLS,
            noise: differing as f32 / pixels.max(1) as f32,
            flickered: flickered(&cells),
        }
    }
}

fn flickered(cells: &[Cell]) -> Vec<bool> {
    let clearly = |at: usize| cells.get(at).is_some_and(|cell| cell.most > FLICKER_LEVELS);
    let near = |at: usize| {
        let (row, column) = (at / COLUMNS, at % COLUMNS);
        let pair = row / CAPTION_ROWS * CAPTION_ROWS..(row / CAPTION_ROWS + 1) * CAPTION_ROWS;
        let mut columns = column.saturating_sub(1)..(column + 2).min(COLUMNS);
        columns.any(|column| pair.clone().any(|row| clearly(row * COLUMNS + column)))
    };
    (0..cells.len()).map(near).collect()
}

/// What differs in one cell.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// Sum of what was added to its pixels.
    sum: i32,
    differing: usize,
    most: u8,
}

impl Cell {
    fn add(&mut self, before: u8, after: u8) {
        self.sum += i32::from(after) - i32::from(before);
        self.differing += usize::from(before != after);
        self.most = self.most.max(before.abs_diff(after));
    }

    fn has_moved(&self) -> bool {
        self.sum.unsigned_abs() as usize > MOVED_LEVELS.unsigned_abs() as usize * CELL * CELL
    }
}

fn is_caption(at: usize) -> bool {
    let row = at / COLUMNS;
    row < CAPTION_ROWS || row + CAPTION_ROWS >= ROWS
}

/// How often each cell changes while the camera lives.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    restless: Vec<f32>,
    pairs: u32,
}

impl Cells {
    /// Takes in a pair of pictures that shows some life.
    pub(super) fn learn(&mut self, flickered: &[bool]) {
        self.restless.resize(flickered.len(), 0.0);
        self.pairs = self.pairs.saturating_add(1);
        let share = FOLLOW.max(1.0 / self.pairs as f32);
        for (own, flickered) in self.restless.iter_mut().zip(flickered) {
            *own += (f32::from(u8::from(*flickered)) - *own) * share;
        }
    }

    /// Whether the camera writes a clock into its picture.
    pub(super) fn has_clock(&self) -> bool {
        self.clock().next().is_some()
    }

    /// Whether the clock went on.
    pub(super) fn clock_ticked(&self, flickered: &[bool]) -> bool {
        self.clock().any(|at| flickered.get(at).copied().unwrap_or(false))
    }

    /// Cells of the clock, or of what looks like one.
    fn clock(&self) -> impl Iterator<Item = usize> {
        let learned = self.pairs >= LEARNING;
        (0..self.restless.len()).filter(move |at| learned && is_caption(*at) && self.is_clock(*at))
    }

    fn is_clock(&self, at: usize) -> bool {
        let (row, column) = (at / COLUMNS, at % COLUMNS);
        let of = |column: usize| self.restless.get(row * COLUMNS + column).copied().unwrap_or(0.0);
        let ends = |column: usize| of(column) <= TICKS;
        let left = (0..column).rev().find(|column| ends(*column));
        let right = (column + 1..COLUMNS).find(|column| ends(*column));
        let is_steady = |column: usize| of(column) < STEADY;
        of(column) > TICKS && (left.is_some_and(is_steady) || right.is_some_and(is_steady))
    }
}
