//! The whole of it on drawn streets whose truth is known.
