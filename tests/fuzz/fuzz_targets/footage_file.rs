//! A footage file of any bytes is read or refused, and nothing read lies outside of it.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vong_media::{parse_file_head, read_file_head, read_gop_head, scan_gops};

fuzz_target!(|data: &[u8]| {
    let mut read = |offset: u64, len: usize| -> Result<Bytes, std::convert::Infallible> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
        let to = from.saturating_add(len).min(data.len());
        Ok(Bytes::copy_from_slice(&data[from..to]))
    };
    drop(parse_file_head(data));
    let first = read_file_head(&mut read).map_or(0, |(_facts, first)| first);
    assert!(first <= data.len() as u64);
    let len = data.len() as u64;
    let Ok(scan) = scan_gops(&mut read, first, len);
    assert!(scan.valid_end <= len || scan.gops.is_empty());
    for gop in &scan.gops {
        assert!(gop.end_offset() <= len, "a group ends inside the file");
        let (again, frames) = read_gop_head(&mut read, gop.offset).expect("it was read before");
        assert_eq!(again, *gop);
        assert_eq!(frames.len(), gop.frames as usize);
    }
});
