//! Headers that came with a connection, for those who must judge by them. What the transport's own request brought
//! and what a client has written into its protocol are two types, and nothing makes one of the other: a proxy in
//! front of us vouches for the former, nobody for the latter (CVE-2026-71485).

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

/// Headers of the request that opened the connection: names in lower case, in the order in which they came. `Debug`
/// shows their names: a cookie is as good as a token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TransportHeaders(Vec<(Box<str>, Bytes)>);

/// Headers that a client has written into its own protocol, where its platform lets it set no real ones. Nothing of
/// them need be true. `Debug` shows their names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ClientHeaders(BTreeMap<Box<str>, String>);

impl TransportHeaders {
    /// Takes headers of a request, those of them that are `wanted` (lower case).
    pub fn pick<'a>(headers: impl Iterator<Item = (&'a str, &'a [u8])>, wanted: &[Box<str>]) -> Self {
        let is_wanted = |name: &str| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        let picked = headers.filter(|(name, _)| is_wanted(name));
        Self(picked.map(|(name, value)| (name.to_ascii_lowercase().into(), Bytes::copy_from_slice(value))).collect())
    }

    /// Name by name, each as often as it came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &value[..]))
    }

    /// None came, or none that anybody wants.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl ClientHeaders {
    /// Takes what a client wrote. Of two names that differ in case only one is kept.
    pub fn new(headers: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase().into(), value)).collect())
    }

    /// Keeps those that are `wanted` (lower case): a client may write many.
    #[must_use]
    pub fn pick(mut self, wanted: &[Box<str>]) -> Self {
        self.0.retain(|name, _| wanted.contains(name));
        self
    }

    /// Name by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// None came, or none that anybody wants.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for TransportHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl fmt::Debug for ClientHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}
