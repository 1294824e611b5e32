//! Sequencer, watermarks, shared rule operator, backtest.
