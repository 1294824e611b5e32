//! What can fail in the simulator.

use std::net::SocketAddr;
use std::path::PathBuf;

use vong_telemetry::{Classify, Kind};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot write sample city file {}", path.display())]
    WriteFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot render table '{table}' of the sample city")]
    RenderTable {
        table: &'static str,
        #[source]
        source: csv::Error,
    },
    #[error("cannot listen for mqtt on {address}")]
    BrokerAddress {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start the thread of the embedded broker")]
    BrokerThread {
        #[source]
        source: std::io::Error,
    },
    #[error("embedded broker on {address} did not answer in time")]
    BrokerSilent { address: SocketAddr },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::WriteFile { .. } | Self::BrokerAddress { .. } | Self::BrokerSilent { .. } => {
                Kind::Unavailable
            }
            Self::RenderTable { .. } | Self::BrokerThread { .. } => Kind::Internal,
        }
    }
}
