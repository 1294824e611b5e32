//! Where cameras may be: an address outside these networks is never connected to.
//!
//! A name is resolved once per session and the session talks to that address alone, so that a name
//! that answers differently the second time (DNS rebinding) leads nowhere else.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use url::{Host, Url};

use crate::error::Error;

/// RFC 1918, loopback, and RFC 4193. Link-local addresses are left out: they belong to no site.
pub const PRIVATE: [&str; 6] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7"];

/// A name service that does not answer within this time is not there.
const NAME_LIMIT: Duration = Duration::from_secs(5);

/// A list of networks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Networks {
    allowed: Vec<IpNet>,
}

/// One entry that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no network; write an address and its length, as in 192.168.0.0/16")]
pub struct NoNetwork(pub String);

impl Default for Networks {
    fn default() -> Self {
        let allowed = PRIVATE.iter().filter_map(|text| text.parse().ok()).collect();
        Self { allowed }
    }
}

impl TryFrom<Vec<String>> for Networks {
    type Error = NoNetwork;

    fn try_from(texts: Vec<String>) -> Result<Self, NoNetwork> {
        Self::parse(&texts)
    }
}

impl From<Networks> for Vec<String> {
    fn from(networks: Networks) -> Self {
        networks.allowed.iter().map(ToString::to_string).collect()
    }
}

impl Networks {
    /// # Errors
    /// The first entry that is no network in CIDR notation.
    pub fn parse(texts: &[String]) -> Result<Self, NoNetwork> {
        let network = |text: &String| {
            let single = text.parse::<IpAddr>().map(IpNet::from);
            single
                .or_else(|_no_address| text.parse())
                .map_err(|_no_network| NoNetwork(text.clone()))
        };
        Ok(Self { allowed: texts.iter().map(network).collect::<Result<_, _>>()? })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        // ::ffff:10.0.0.1 is 10.0.0.1 for whoever connects to it.
        let address = address.to_canonical();
        self.allowed.iter().any(|network| network.contains(&address))
    }

    /// `url` with its host replaced by an address of it that lies in these networks.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Name`], [`Error::OutsideNetworks`].
    pub(crate) async fn pin(&self, text: &str) -> Result<Url, Error> {
        let mut url = Url::parse(text).map_err(|why| Error::Address(why.to_string()))?;
        if url.scheme() != "rtsp" {
            return Err(Error::Address("it must begin with rtsp://".to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Address(
                "it carries a log-in, which every listing would show; put it into camera-logins.toml"
                    .to_owned(),
            ));
        }
        let address = match url.host() {
            None => return Err(Error::Address("it names no host".to_owned())),
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(name)) => self.resolve(name).await?,
        };
        if !self.contains(address) {
            let allowed: Vec<String> = self.allowed.iter().map(ToString::to_string).collect();
            return Err(Error::OutsideNetworks { address, allowed: allowed.join(", ") });
        }
        let replaced = url.set_ip_host(address);
        replaced.map_err(|()| Error::Address("its host cannot be replaced".to_owned()))?;
        Ok(url)
    }

    /// An address of `name` inside these networks, else any, which is then refused by its number.
    async fn resolve(&self, name: &str) -> Result<IpAddr, Error> {
        let failed = |why: String| Error::Name { name: name.to_owned(), why };
        let found = tokio::time::timeout(NAME_LIMIT, tokio::net::lookup_host((name, 0))).await;
        let found = found.map_err(|_elapsed| failed("no answer".to_owned()))?;
        let found: Vec<IpAddr> =
            found.map_err(|why| failed(why.to_string()))?.map(|socket| socket.ip()).collect();
        let inside = found.iter().copied().find(|address| self.contains(*address));
        inside.or_else(|| found.first().copied()).ok_or_else(|| failed("no address".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(networks: &Networks, url: &str, expected: &str) {
        let told = match networks.pin(url).await {
            Ok(pinned) => pinned.to_string(),
            Err(e) => e.to_string(),
        };
        assert!(told.contains(expected), "{url}: {told}");
    }

    #[tokio::test]
    async fn only_addresses_inside_the_networks_are_connected_to() {
        let private = Networks::default();
        check(&private, "rtsp://192.168.1.20:554/s", "rtsp://192.168.1.20:554/s").await;
        check(&private, "rtsp://localhost/s", "/s").await;
        check(&private, "rtsp://8.8.8.8/s", "8.8.8.8 is in none of").await;
        check(&private, "rtsp://169.254.169.254/latest", "is in none of").await;
        check(&private, "rtsp://[::ffff:8.8.8.8]/s", "is in none of").await;
        check(&private, "rtsp://[::ffff:10.0.0.1]/s", "rtsp://[::ffff:a00:1]/s").await;
        check(&private, "http://10.0.0.1/s", "must begin with rtsp://").await;
        check(&private, "rtsp://u:p@10.0.0.1/s", "camera-logins.toml").await;
        check(&private, "rtsp://no-such-host.invalid/s", "no-such-host.invalid").await;
        let one = Networks::parse(&["10.1.2.0/24".to_owned(), "10.9.9.9".to_owned()]).unwrap();
        check(&one, "rtsp://10.1.2.7/s", "rtsp://10.1.2.7/s").await;
        check(&one, "rtsp://10.9.9.9/s", "rtsp://10.9.9.9/s").await;
        check(&one, "rtsp://127.0.0.1/s", "127.0.0.1 is in none of").await;
        assert_eq!(
            Networks::parse(&["10.1.2.0/33".to_owned()]).unwrap_err().to_string(),
            "'10.1.2.0/33' is no network; write an address and its length, as in 192.168.0.0/16"
        );
    }
}
