//! Latest-value views, snapshot and numbered deltas, slow-client policy; transport-free.
