//! Which headers a hook's target gets. Three sources, never mixed up: what the configuration writes, what the
//! client's own request brought (`header_allow`), what a client has written into its protocol (`emulated_headers`).
//! For one name the configuration wins over the transport, and the transport over the client.

use crate::config::section::HookConfig;
use crate::model::{Address, ClientHeaders, TransportHeaders};
use crate::outbound::{HeaderMap, HeaderName, HeaderValue, header};

/// What came with a connection and matters to hooks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// Where it is, if that is known.
    pub address: Option<Address>,
    /// Headers of the request that opened it, those that some hook wants.
    pub transport: TransportHeaders,
    /// The same of its connect command.
    pub client: ClientHeaders,
}

/// What a hook passes on.
#[derive(Clone, Debug)]
pub(super) struct Passing {
    fixed: HeaderMap,
    transport: Vec<HeaderName>,
    client: Vec<HeaderName>,
}

impl Passing {
    /// # Errors
    /// A name or a value that cannot be in a header; does not repeat the value.
    pub(super) fn new(config: &HookConfig) -> Result<Self, String> {
        let mut fixed = HeaderMap::new();
        for (name, value) in &config.headers {
            let (name, value) = header(name, value.expose())?;
            fixed.insert(name, value);
        }
        let names = |names: &[String]| -> Result<Vec<HeaderName>, String> {
            let name = |name: &String| HeaderName::from_bytes(name.as_bytes());
            let name = |text: &String| name(text).map_err(|_| format!("{text:?} is not a header's name"));
            names.iter().map(name).collect()
        };
        Ok(Self { fixed, transport: names(&config.header_allow)?, client: names(&config.emulated_headers)? })
    }

    /// The headers of one call.
    pub(super) fn headers(&self, brought: Option<&Brought>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(brought) = brought {
            self.add_client(&mut headers, &brought.client);
            self.add_transport(&mut headers, &brought.transport);
        }
        for (name, value) in &self.fixed {
            headers.insert(name, value.clone());
        }
        headers
    }

    fn add_client(&self, headers: &mut HeaderMap, client: &ClientHeaders) {
        for (name, value) in client.iter() {
            if let Some((name, value)) = allowed(&self.client, name, value.as_bytes()) {
                headers.insert(name, value);
            }
        }
    }

    fn add_transport(&self, headers: &mut HeaderMap, transport: &TransportHeaders) {
        // First the client's own are taken out: the transport's may come more than once.
        for (name, _) in transport.iter() {
            if self.transport.iter().any(|allowed| allowed == name) {
                headers.remove(name);
            }
        }
        for (name, value) in transport.iter() {
            if let Some((name, value)) = allowed(&self.transport, name, value) {
                headers.append(name, value);
            }
        }
    }

    pub(super) fn transport_names(&self) -> impl Iterator<Item = &str> {
        self.transport.iter().map(HeaderName::as_str)
    }

    pub(super) fn client_names(&self) -> impl Iterator<Item = &str> {
        self.client.iter().map(HeaderName::as_str)
    }
}

/// A header that is on the list, if its value can be in one; kept out of logs, because it may be a cookie.
fn allowed(list: &[HeaderName], name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let name = list.iter().find(|allowed| *allowed == name)?;
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(true);
    Some((name.clone(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::Secret;

    fn passing(fixed: &[(&str, &str)], transport: &[&str], client: &[&str]) -> Passing {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Passing::new(&HookConfig {
            headers: fixed.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect(),
            header_allow: texts(transport),
            emulated_headers: texts(client),
            ..HookConfig::example()
        })
        .unwrap()
    }

    fn brought(transport: &[(&str, &str)], client: &[(&str, &str)]) -> Brought {
        let wanted: Vec<Box<str>> = transport.iter().map(|(name, _)| name.to_lowercase().into()).collect();
        Brought {
            address: None,
            transport: TransportHeaders::pick(transport.iter().map(|(name, value)| (*name, value.as_bytes())), &wanted),
            client: ClientHeaders::new(client.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))),
        }
    }

    fn passed(passing: &Passing, brought: &Brought) -> Vec<(String, String)> {
        let headers = passing.headers(Some(brought));
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    /// CVE-2026-71485: what a client wrote was taken for what a proxy in front had vouched for.
    #[test]
    fn what_a_client_writes_is_never_passed_as_the_transports() {
        let passing = passing(&[("x-key", "k")], &["X-User-Id", "Cookie"], &["X-Device"]);
        let forged = brought(&[], &[("X-User-Id", "1"), ("cookie", "admin"), ("x-KEY", "mine"), ("X-Device", "d")]);
        let mut headers = passed(&passing, &forged);
        headers.sort();
        assert_eq!(headers, [pair("x-device", "d"), pair("x-key", "k")]);
    }

    #[test]
    fn for_one_name_the_transport_wins_and_the_configuration_over_both() {
        let both = passing(&[], &["authorization"], &["authorization"]);
        let real = brought(&[("Authorization", "real"), ("Authorization", "second")], &[("authorization", "made up")]);
        assert_eq!(passed(&both, &real), [pair("authorization", "real"), pair("authorization", "second")]);
        let alone = brought(&[], &[("authorization", "made up")]);
        assert_eq!(passed(&both, &alone), [pair("authorization", "made up")]);
        let fixed = passing(&[("authorization", "fixed")], &["authorization"], &["authorization"]);
        assert_eq!(passed(&fixed, &real), [pair("authorization", "fixed")]);
    }

    #[test]
    fn what_cannot_be_in_a_header_is_left_out() {
        let passing = passing(&[], &[], &["x-a", "x-b"]);
        let bad = brought(&[], &[("x-a", "new\r\nline: 1"), ("x-b", "fine")]);
        assert_eq!(passed(&passing, &bad), [pair("x-b", "fine")]);
        assert!(!format!("{:?}", passing.headers(Some(&bad))).contains("fine"), "values are not for logs");
    }
}
