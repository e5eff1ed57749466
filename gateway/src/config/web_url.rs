//! URLs of others who are called.

use std::fmt;

use crate::config::secret::Secret;

/// A URL that may hold a password or a key. `Debug` and [`Self::masked`] leave out what may be one.
#[derive(Clone, PartialEq, Eq)]
pub struct WebUrl(Secret);

impl WebUrl {
    /// Takes it as it was written; whether it can be called is looked at where its key is checked.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// The whole of it, for the one who calls.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Without user and password, query and all that may be a secret.
    #[must_use]
    pub fn masked(&self) -> String {
        let whole = self.expose();
        let text = whole.split(['?', '#']).next().unwrap_or_default();
        let rest_is_hidden = text.len() < whole.len();
        let (scheme, rest) = text.split_once("://").unwrap_or(("***", ""));
        let host = rest.split('/').next().unwrap_or_default();
        let path = &rest[host.len()..];
        let (user, host) = host.rsplit_once('@').map_or(("", host), |(_, host)| ("***@", host));
        format!("{scheme}://{user}{host}{path}{}", if rest_is_hidden { "?***" } else { "" })
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (url, shown) in [
            ("https://me:hunter2@app:1/x?key=hunter2", "https://***@app:1/x?***"),
            ("http://app/x", "http://app/x"),
            ("http://a@b@app#hunter2", "http://***@app?***"),
            ("http://app?u=hunter2@x/y", "http://app?***"),
            ("hunter2", "***://"),
        ] {
            assert_eq!(format!("{:?}", WebUrl::new(url)), shown);
        }
    }
}
