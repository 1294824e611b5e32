//! Access units to fragmented MP4, key-frame index, 90 kHz timeline; pure.
