//! Chance as a function: the same arguments give the same number on every machine.
//!
//! Uses integers and the four basic operations of IEEE 754 only, which are exact by the standard;
//! `sin`, `exp` and their kin differ in the last bit from one C library to the next.

/// Mixes three counters into 64 evenly spread bits
/// (finaliser of SplitMix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators").
pub(crate) fn hash(seed: u64, stream: u64, counter: u64) -> u64 {
    let mut state = mix(seed ^ 0x9E37_79B9_7F4A_7C15);
    state = mix(state ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
    mix(state ^ counter.wrapping_mul(0x8CB9_2BA7_2F3D_8DD7))
}

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Evenly spread in `[0, 1)`.
pub(crate) fn unit(seed: u64, stream: u64, counter: u64) -> f64 {
    // 53 bits: every value is exact in a double
    (hash(seed, stream, counter) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Evenly spread in `[-1, 1)`.
pub(crate) fn signed(seed: u64, stream: u64, counter: u64) -> f64 {
    unit(seed, stream, counter) * 2.0 - 1.0
}

/// A chance value spread like a bell over about `[-1, 1]`, standard deviation 0.33.
pub(crate) fn bell(seed: u64, stream: u64, counter: u64) -> f64 {
    let halves = hash(seed, stream, counter);
    let part = |shift: u32| ((halves >> shift) & 0xFFFF) as f64 / 32_768.0 - 1.0;
    (part(0) + part(16) + part(32)) / 3.0
}

/// Rises from 0 at `x = 0` to 1 at `x = 1` with level ends; clamped outside.
pub(crate) fn smoothstep(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

pub(crate) fn lerp(from: f64, to: f64, share: f64) -> f64 {
    from + (to - from) * share
}

/// A periodic hill: 0 at whole numbers, 1 half-way between.
pub(crate) fn wave(cycles: f64) -> f64 {
    let phase = cycles - cycles.floor();
    smoothstep(1.0 - (2.0 * phase - 1.0).abs())
}

/// Smooth chance along a line, in `[-1, 1]`, changing over a distance of about 1.
pub(crate) fn along(seed: u64, stream: u64, x: f64) -> f64 {
    let cell = x.floor();
    let share = x - cell;
    let at = |step: f64| signed(seed, stream, lattice(cell + step, 0.0, 0.0));
    let (a, b, c, d) = (at(-1.0), at(0.0), at(1.0), at(2.0));
    // Catmull-Rom spline through the lattice values: no flat spots at the lattice
    let slope = share * (c - a + share * (2.0 * a - 5.0 * b + 4.0 * c - d));
    let cubic = share * share * share * (3.0 * (b - c) + d - a);
    (b + 0.5 * (slope + cubic)).clamp(-1.0, 1.0)
}

/// Smooth chance in a plane and time, in `[0, 1]`, changing over distances of about 1.
pub(crate) fn field(seed: u64, stream: u64, x: f64, y: f64, t: f64) -> f64 {
    let (cell_x, cell_y, cell_t) = (x.floor(), y.floor(), t.floor());
    let (sx, sy, st) = (smoothstep(x - cell_x), smoothstep(y - cell_y), smoothstep(t - cell_t));
    let at = |dx: f64, dy: f64, dt: f64| {
        unit(seed, stream, lattice(cell_x + dx, cell_y + dy, cell_t + dt))
    };
    let plane = |dt: f64| {
        let low = lerp(at(0.0, 0.0, dt), at(1.0, 0.0, dt), sx);
        let high = lerp(at(0.0, 1.0, dt), at(1.0, 1.0, dt), sx);
        lerp(low, high, sy)
    };
    lerp(plane(0.0), plane(1.0), st)
}

/// A counter for a lattice point; the arguments are whole numbers.
fn lattice(x: f64, y: f64, t: f64) -> u64 {
    let bits = |v: f64| (v as i64).cast_unsigned() & 0x1F_FFFF;
    bits(x) | (bits(y) << 21) | (bits(t) << 42)
}

/// Rounds to `decimals` places, so that what is written is short and the same everywhere.
pub(crate) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = match decimals {
        0 => 1.0,
        1 => 10.0,
        2 => 100.0,
        3 => 1_000.0,
        _ => 1_000_000.0,
    };
    let rounded = (value * scale).round() / scale;
    if rounded == 0.0 { 0.0 } else { rounded } // no minus zero in files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_the_same_on_every_machine() {
        assert_eq!(hash(1, 2, 3), 2_588_344_185_862_182_269);
    }

    #[test]
    fn unit_is_spread_evenly() {
        let mean = (0..10_000).map(|k| unit(7, 1, k)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.01, "mean {mean}");
    }

    #[test]
    fn fields_are_continuous() {
        for k in 0..400_u32 {
            let x = f64::from(k) * 0.05 - 10.0;
            assert!((field(3, 1, x, 0.3, 0.7) - field(3, 1, x + 1e-6, 0.3, 0.7)).abs() < 1e-4);
            assert!((along(3, 2, x) - along(3, 2, x + 1e-6)).abs() < 1e-4);
        }
    }
}
