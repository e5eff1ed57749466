//! One cookie of a request (RFC 6265, 4.2).

use axum::http::{HeaderMap, header};

/// The value of the cookie of this name. None if there is none, or several that differ: somebody who may set
/// cookies for a part of our domain may have put theirs beside ours, and nothing tells which is which.
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| unquoted(value));
    let first = values.next()?;
    values.all(|other| other == first).then_some(first)
}

fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cookie_among_others() {
        for (lines, expected) in [
            (&["token=a.b.c"][..], Some("a.b.c")),
            (&["x=1; token=a.b.c; y=2"], Some("a.b.c")),
            (&["x=1;token=\"a.b.c\""], Some("a.b.c")),
            (&["x=1", "token=a"], Some("a")),
            (&["token=a==; x"], Some("a==")),
            (&["token="], Some("")),
            (&["Token=a"], None),
            (&["xtoken=a; tokenx=b"], None),
            (&["x=\"token=a\""], None),
            (&["token=a; token=a"], Some("a")),
            (&["token=a; token=b"], None),
            (&["token=a", "token=b"], None),
            (&["token"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            assert_eq!(value(&headers, "token"), expected, "{lines:?}");
        }
    }
}
