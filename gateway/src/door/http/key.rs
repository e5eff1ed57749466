//! Who may call: whoever shows the key. Never taken from the URL, because URLs reach logs.

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::config::secret::Secret;

/// The key that opens the API.
pub(super) struct Key(Secret);

impl Key {
    pub(super) fn new(secret: &Secret) -> Self {
        Self(secret.clone())
    }

    /// Whether a request shows the key, as `X-API-Key: K` or as `Authorization: apikey K`. When both
    /// are there, the former counts.
    pub(super) fn opens(&self, headers: &HeaderMap) -> bool {
        let shown = match headers.get("x-api-key") {
            Some(key) => Some(key.as_bytes()),
            None => headers.get(header::AUTHORIZATION).and_then(|value| credentials(value.as_bytes())),
        };
        shown.is_some_and(|shown| self.equals(shown))
    }

    /// Takes the same time whatever is shown, be it nearly right or of another length.
    fn equals(&self, shown: &[u8]) -> bool {
        let key = self.0.expose().as_bytes();
        let padded: Vec<u8> = shown.iter().copied().chain(std::iter::repeat(0)).take(key.len()).collect();
        (padded.ct_eq(key) & shown.len().ct_eq(&key.len())).into()
    }
}

fn credentials(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked("apikey ".len())?;
    scheme.eq_ignore_ascii_case(b"apikey ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opens(key: &str, name: &'static str, value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Key::new(&Secret::new(key)).opens(&headers)
    }

    #[test]
    fn the_key_and_nothing_else() {
        assert!(opens("secret", "x-api-key", "secret"));
        for wrong in ["", "s", "secre", "secret0", "secreT", "secretsecret"] {
            assert!(!opens("secret", "x-api-key", wrong), "{wrong}");
        }
        assert!(!Key::new(&Secret::new("secret")).opens(&HeaderMap::new()));
    }

    #[test]
    fn padding_is_not_part_of_the_comparison() {
        // Header values hold no NUL, but the comparison must not depend on that.
        let key = Key::new(&Secret::new("ab\0"));
        assert!(!key.equals(b"ab") && key.equals(b"ab\0"));
    }

    #[test]
    fn the_other_header() {
        assert!(opens("secret", "authorization", "apikey secret"));
        assert!(opens("secret", "authorization", "ApiKey  secret "));
        for wrong in ["secret", "Bearer secret", "apikey", "apikey ", "apikeysecret", "apikey wrong"] {
            assert!(!opens("secret", "authorization", wrong), "{wrong}");
        }
    }
}
