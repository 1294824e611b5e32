//! One connection to a broker: TCP or TLS, handshake, packets in and out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, SinkExt, StreamExt};
use rumqttc::tokio_rustls::TlsConnector;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::Framed;

use crate::codec::{Hello, Incoming, MqttCodec, Outgoing};
use crate::config::{BrokerConfig, TlsConfig};
use crate::error::Error;

/// Connecting, shaking hands, and any one write may take this long.
const PATIENCE: Duration = Duration::from_secs(10);
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Where Debian and its kin keep the certificates they trust.
const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection whose handshake is done.
pub(crate) struct Link {
    framed: Framed<Box<dyn Socket>, MqttCodec>,
    session_present: bool,
}

impl Link {
    pub(crate) async fn connect(config: &BrokerConfig) -> Result<Self, Error> {
        let BrokerConfig { host, port, .. } = config;
        let no_answer = |_elapsed| Error::NoAnswer {
            host: host.clone(),
            port: *port,
            seconds: PATIENCE.as_secs(),
        };
        timeout(PATIENCE, Self::shake_hands(config)).await.map_err(no_answer)?
    }

    async fn shake_hands(config: &BrokerConfig) -> Result<Self, Error> {
        let hello = hello(config)?;
        let socket = open(config).await?;
        let codec = MqttCodec::new(config.protocol, config.max_packet);
        let framed = Framed::with_capacity(socket, codec, READ_BUFFER_BYTES);
        let mut link = Self { framed, session_present: false };
        link.send([Outgoing::Connect(hello)]).await?;
        match link.next().await? {
            Incoming::Accepted { session_present } => Ok(Self { session_present, ..link }),
            Incoming::Refused { reason } => Err(Error::Refused { reason }),
            other => Err(Error::Protocol { problem: format!("expected CONNACK, found {other:?}") }),
        }
    }

    /// Whether the broker kept our session, and so the messages of the time we were away.
    pub(crate) fn session_present(&self) -> bool {
        self.session_present
    }

    /// The next packet. Loses nothing when dropped before it resolves.
    pub(crate) async fn next(&mut self) -> Result<Incoming, Error> {
        settle(self.framed.next().await)
    }

    /// The next packet if its bytes are here now.
    pub(crate) fn next_now(&mut self) -> Option<Result<Incoming, Error>> {
        self.framed.next().now_or_never().map(settle)
    }

    /// Writes all packets, then flushes once.
    pub(crate) async fn send(
        &mut self,
        packets: impl IntoIterator<Item = Outgoing>,
    ) -> Result<(), Error> {
        let all = async {
            for packet in packets {
                self.framed.feed(packet).await?;
            }
            self.framed.flush().await
        };
        let silent = |_elapsed| Error::Silent { seconds: PATIENCE.as_secs() };
        Ok(timeout(PATIENCE, all).await.map_err(silent)??)
    }
}

fn settle(read: Option<Result<Incoming, std::io::Error>>) -> Result<Incoming, Error> {
    match read {
        Some(Ok(incoming)) => Ok(incoming),
        Some(Err(e)) if e.kind() == std::io::ErrorKind::InvalidData => {
            Err(Error::Protocol { problem: e.to_string() })
        }
        Some(Err(e)) => Err(e.into()),
        None => Err(Error::Ended { reason: "connection closed".to_owned() }),
    }
}

fn hello(config: &BrokerConfig) -> Result<Hello, Error> {
    let password = match &config.password_file {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            let read = read.map_err(|source| Error::ReadFile {
                what: "the password file",
                path: path.clone(),
                source,
            })?;
            read.trim_end_matches(['\r', '\n']).to_owned()
        }
        None => String::new(),
    };
    Ok(Hello {
        client_id: config.client_id(),
        login: config.username.clone().map(|username| (username, password)),
        keep_alive_s: config.keep_alive_s(),
        session_expiry_s: u32::try_from(config.session_expiry.0.as_secs()).unwrap_or(u32::MAX),
    })
}

async fn open(config: &BrokerConfig) -> Result<Box<dyn Socket>, Error> {
    let BrokerConfig { host, port, tls, .. } = config;
    let reach = |source| Error::Reach { host: host.clone(), port: *port, source };
    let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(reach)?;
    stream.set_nodelay(true).map_err(reach)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let connector = TlsConnector::from(Arc::new(client_config(tls)?));
    let name = ServerName::try_from(host.clone()).map_err(|_invalid| Error::Config {
        broker: config.id.clone(),
        problem: "host is no name a certificate could carry",
    })?;
    Ok(Box::new(connector.connect(name, stream).await.map_err(reach)?))
}

fn client_config(tls: &TlsConfig) -> Result<rustls::ClientConfig, Error> {
    let ca_file = tls.ca_file.as_deref().unwrap_or_else(|| Path::new(SYSTEM_CA_FILE));
    let mut roots = rustls::RootCertStore::empty();
    let (taken, _unreadable) = roots.add_parsable_certificates(certificates(ca_file)?);
    if taken == 0 {
        return Err(refuse(ca_file, &"no usable certificate in the file"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| refuse(ca_file, &e))?
        .with_root_certificates(roots);
    match (&tls.client_cert, &tls.client_key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(chain), Some(key_file)) => {
            let key = PrivateKeyDer::from_pem_file(key_file).map_err(|e| refuse(key_file, &e))?;
            builder.with_client_auth_cert(certificates(chain)?, key).map_err(|e| refuse(chain, &e))
        }
        (Some(file), None) | (None, Some(file)) => {
            Err(refuse(file, &"client_cert and client_key go together"))
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).map_err(|e| refuse(path, &e))?;
    read.collect::<Result<Vec<_>, _>>().map_err(|e| refuse(path, &e))
}

fn refuse(path: &Path, problem: &impl ToString) -> Error {
    Error::Tls { problem: problem.to_string(), path: path.to_path_buf() }
}
