//! Which vehicle is what a picture model sees: the one that was there when the picture was taken.
//!
//! A model answers late, so where vehicles were is kept for a few seconds.

use std::collections::VecDeque;

use super::objects::Kind;
use super::tracks::Track;
use crate::model::Detection;

/// Left, top, right, bottom, as shares of the picture's width and height.
pub(crate) type Region = [f32; 4];

/// Pictures that are remembered: six seconds of ten a second.
const REMEMBERED: usize = 60;
/// A picture so near to the one the model saw will do, 90 kHz: a tenth of a second.
const NEAR_90K: u64 = 9_000;
/// Share of their union in which a vehicle and what the model sees must overlap.
const LEAST_OVERLAP: f32 = 0.3;

/// Where vehicles were in the last pictures.
#[derive(Debug, Default)]
pub(crate) struct Sights {
    pictures: VecDeque<(i64, Vec<(u64, Region)>)>,
}

impl Sights {
    pub(crate) fn mark(&mut self, pts_90k: i64, tracks: &[Track]) {
        let seen = tracks.iter().filter(|track| track.is_seen());
        self.pictures.push_back((pts_90k, seen.map(|track| (track.id, track.region)).collect()));
        if self.pictures.len() > REMEMBERED {
            self.pictures.pop_front();
        }
    }

    /// Tells tracks of what kind they are; how many were told.
    pub(crate) fn recognise(
        &self,
        pts_90k: i64,
        seen: &[Detection],
        tracks: &mut [Track],
    ) -> usize {
        let nearest = self.pictures.iter().min_by_key(|(pts, _)| pts.abs_diff(pts_90k));
        let Some((_, there)) = nearest.filter(|(pts, _)| pts.abs_diff(pts_90k) <= NEAR_90K) else {
            return 0;
        };
        let mut told = 0;
        for (id, detection) in matched(there, seen) {
            let track = tracks.iter_mut().find(|track| track.id == id);
            if let Some((track, kind)) = track.zip(Kind::of_name(&detection.kind)) {
                track.recognise(kind, detection.score);
                told += 1;
            }
        }
        told
    }
}

/// Pairs vehicles with detections, the largest overlap first, each at most once.
fn matched<'d>(there: &[(u64, Region)], seen: &'d [Detection]) -> Vec<(u64, &'d Detection)> {
    let mut pairs = Vec::new();
    for (v, (id, region)) in there.iter().enumerate() {
        for (d, detection) in seen.iter().enumerate() {
            let overlap = overlap(region, &detection.region);
            if overlap >= LEAST_OVERLAP {
                pairs.push((overlap, v, d, *id, detection));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut matched: Vec<(usize, usize, u64, &Detection)> = Vec::new();
    for (_, v, d, id, detection) in pairs {
        if matched.iter().all(|(vehicle, other, ..)| *vehicle != v && *other != d) {
            matched.push((v, d, id, detection));
        }
    }
    matched.into_iter().map(|(_, _, id, detection)| (id, detection)).collect()
}

/// What two regions share, as a share of what they cover together (intersection over union).
fn overlap(a: &Region, b: &Region) -> f32 {
    let area =
        |[left, top, right, bottom]: &Region| (right - left).max(0.0) * (bottom - top).max(0.0);
    let shared = [a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])];
    let (shared, together) = (area(&shared), area(a) + area(b));
    if together > shared { shared / (together - shared) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detection(kind: &str, region: Region) -> Detection {
        Detection { kind: kind.to_owned(), score: 0.5, region }
    }

    #[test]
    fn overlap_is_what_is_shared_of_what_both_cover() {
        let one = [0.0, 0.0, 0.2, 0.2];
        assert_eq!(overlap(&one, &one), 1.0);
        assert!((overlap(&one, &[0.1, 0.0, 0.3, 0.2]) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(overlap(&one, &[0.5, 0.5, 0.6, 0.6]), 0.0);
        assert_eq!(overlap(&[0.0; 4], &[0.0; 4]), 0.0, "nothing and nothing");
        assert_eq!(overlap(&[f32::NAN; 4], &one), 0.0);
    }

    #[test]
    fn each_vehicle_and_each_detection_is_paired_once_by_the_largest_overlap() {
        let there = [(7, [0.0, 0.0, 0.2, 0.2]), (8, [0.05, 0.0, 0.25, 0.2])];
        let seen = [
            detection("bus", [0.05, 0.0, 0.25, 0.2]),
            detection("car", [0.0, 0.0, 0.2, 0.2]),
            detection("truck", [0.16, 0.0, 0.36, 0.2]),
        ];
        let pairs: Vec<_> =
            matched(&there, &seen).iter().map(|(id, d)| (*id, d.kind.clone())).collect();
        assert_eq!(pairs, [(7, "car".to_owned()), (8, "bus".to_owned())]);
        assert!(matched(&there[..1], &seen[2..]).is_empty(), "a ninth is too little");
    }
}
