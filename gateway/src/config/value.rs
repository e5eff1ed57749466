//! What a key's value can be: how it is read from a file and from a variable, how it is shown.
//!
//! A variable's or a flag's text is read by [`Value::from_text`]; a file's value by
//! [`Value::from_toml`], which for most kinds is a quoted text of the same form.

use std::net::SocketAddr;
use std::time::Duration;

use fanfare_proto::hook::event::Name;

use crate::config::duration::{parse_duration, parse_size, show_duration};
use crate::config::moment::Moment;
use crate::config::secret::Secret;
use crate::config::section::auth::{Algorithm, ClaimPath, KeyFile};
use crate::config::section::{
    AddressHeader, BrokerUrl, DataFormat, DeltaType, HookChoice, HookUrl, LogFormat, ProxyProtocol, PublishAck,
    RecoveryMode, StatusMeaning, StatusRule, TlsVersion,
};
use crate::config::web_url::WebUrl;
use crate::model::{ByteSize, Network, NotANetwork};

/// What stands for a secret wherever it would be shown.
pub(crate) const MASK: &str = "***";

/// What the manual shows for a secret. Refused, because everybody knows it.
pub(crate) const EXAMPLE_SECRET: &str = "change-me";

/// Why a value is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It does not look like [`Value::FORM`].
    Form,
    /// Something else, said in full.
    Because(String),
}

/// A kind of value.
pub(crate) trait Value: Sized {
    /// What it looks like, after "is not ".
    const FORM: &'static str;
    /// Never shown, neither in full nor in a complaint.
    const SECRET: bool = false;

    /// Reads a variable or a flag.
    fn from_text(text: &str) -> Result<Self, Wrong>;

    /// Reads a file's value.
    fn from_toml(value: &toml::Value) -> Result<Self, Wrong> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            _ => Err(Wrong::Form),
        }
    }

    /// Writes it as in a file; secrets masked.
    fn show(&self) -> String;
}

impl Value for bool {
    const FORM: &'static str = "true or false";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|_| Wrong::Form)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, Wrong> {
        value.as_bool().ok_or(Wrong::Form)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for usize {
    const FORM: &'static str = "a whole number";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|_| Wrong::Form)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, Wrong> {
        value.as_integer().and_then(|number| Self::try_from(number).ok()).ok_or(Wrong::Form)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for f64 {
    const FORM: &'static str = "a number such as 0.1";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|_| Wrong::Form)
    }

    #[allow(clippy::cast_precision_loss, reason = "ratios, not counts")]
    fn from_toml(value: &toml::Value) -> Result<Self, Wrong> {
        value.as_float().or(value.as_integer().map(|number| number as Self)).ok_or(Wrong::Form)
    }

    fn show(&self) -> String {
        toml::Value::Float(*self).to_string()
    }
}

impl Value for String {
    const FORM: &'static str = "a text";

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text.is_empty() { Err(Wrong::Because("is empty: leave it out instead".into())) } else { Ok(text.to_owned()) }
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Value for Secret {
    const FORM: &'static str = "a text";
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        match text {
            "" => Err(Wrong::Because("is empty: give it a value, or leave it out".into())),
            EXAMPLE_SECRET => Err(Wrong::Because("is still the example: take a secret of your own".into())),
            MASK => Err(Wrong::Because("is the mask that print-config shows: give the secret itself".into())),
            text => Ok(Self::new(text)),
        }
    }

    fn show(&self) -> String {
        quoted(MASK)
    }
}

impl Value for Duration {
    const FORM: &'static str = r#"a duration such as "25s", "500ms" or "1h30m""#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        parse_duration(text).ok_or(Wrong::Form)
    }

    fn show(&self) -> String {
        quoted(&show_duration(*self))
    }
}

impl Value for ByteSize {
    const FORM: &'static str = r#"a size such as "64KiB", "1MiB" or a number of bytes"#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        parse_size(text).ok_or(Wrong::Form)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, Wrong> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            other => usize::from_toml(other).map(Self),
        }
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for SocketAddr {
    const FORM: &'static str = r#"an address such as "0.0.0.0:8080" or "[::]:8080""#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|_| Wrong::Form)
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for Network {
    const FORM: &'static str = r#"a range of addresses such as "10.0.0.0/8" or "fd00::/8""#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|wrong| match wrong {
            NotANetwork::Form => Wrong::Form,
            NotANetwork::Beyond(meant) => Wrong::Because(format!(
                "{text:?} names one address and says how many bits of it count: write \"{meant}\""
            )),
        })
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for BrokerUrl {
    const FORM: &'static str = r#""memory://" or "redis://host:port/db""#;
    /// It may hold a password.
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        if text == "memory://" {
            return Ok(Self::Memory);
        }
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        match scheme {
            "redis" => check_redis(text).map(|()| Self::Redis(text.to_owned())),
            "rediss" => Err(later("TLS to Redis")),
            "redis+sentinel" | "rediss+sentinel" => Err(later("Redis Sentinel")),
            "redis+cluster" | "rediss+cluster" => Err(later("Redis Cluster")),
            "nats" => Err(later("NATS")),
            _ => Err(Wrong::Form),
        }
    }

    fn show(&self) -> String {
        quoted(&self.masked())
    }
}

impl Value for HookUrl {
    const FORM: &'static str = r#"a URL such as "http://127.0.0.1:3000/hook" or "grpc://127.0.0.1:9000""#;
    /// It may hold a password.
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Self::parse(text).ok_or(Wrong::Form)
    }

    fn show(&self) -> String {
        quoted(&self.masked())
    }
}

impl Value for WebUrl {
    const FORM: &'static str = "a text";
    /// It may hold a password.
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        String::from_text(text).map(Self::new)
    }

    fn show(&self) -> String {
        quoted(&self.masked())
    }
}

impl Value for HookChoice {
    const FORM: &'static str = r#"true, false or a hook's name such as "app""#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        match text {
            "" => Err(Wrong::Form),
            "false" => Ok(Self::Off),
            "true" => Ok(Self::Usual),
            name => Ok(Self::Named(name.to_owned())),
        }
    }

    fn from_toml(value: &toml::Value) -> Result<Self, Wrong> {
        match value {
            toml::Value::Boolean(false) => Ok(Self::Off),
            toml::Value::Boolean(true) => Ok(Self::Usual),
            toml::Value::String(text) => Self::from_text(text),
            _ => Err(Wrong::Form),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "false".to_owned(),
            Self::Usual => "true".to_owned(),
            Self::Named(name) => quoted(name),
        }
    }
}

impl Value for StatusRule {
    const FORM: &'static str = r#"a rule such as "404 error 1404 not found" or "403 disconnect 4403 banned""#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let mut words = text.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (status, what, code, said) = (word(), word(), word(), word().to_owned());
        let status = status.parse().ok().filter(|status| (100..=599).contains(status) && *status != 200);
        let code: Option<u32> = code.parse().ok();
        let meaning = match (what, code) {
            ("error" | "temporary", Some(code @ 400..=1999)) => {
                StatusMeaning::Error { code, message: said, temporary: what == "temporary" }
            }
            ("disconnect", Some(code @ 4000..=4999)) => StatusMeaning::Disconnect { code, reason: said },
            _ => return Err(Wrong::Form),
        };
        Ok(Self { status: status.ok_or(Wrong::Form)?, meaning })
    }

    fn show(&self) -> String {
        let (what, code, said) = match &self.meaning {
            StatusMeaning::Error { code, message, temporary: false } => ("error", code, message),
            StatusMeaning::Error { code, message, temporary: true } => ("temporary", code, message),
            StatusMeaning::Disconnect { code, reason } => ("disconnect", code, reason),
        };
        quoted(format!("{} {what} {code} {said}", self.status).trim_end())
    }
}

/// Headers with their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderTable(pub(crate) Vec<(String, Secret)>);

impl Value for HeaderTable {
    const FORM: &'static str = r#"a table such as { X-Key = "..." } (in a variable: JSON)"#;
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let value = serde_json::from_str::<toml::Value>(text).map_err(|_| Wrong::Form)?;
        Self::from_toml(&value)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, Wrong> {
        let toml::Value::Table(table) = value else { return Err(Wrong::Form) };
        let read = |(name, value): (&String, &toml::Value)| Ok((name.clone(), Secret::from_toml(value)?));
        table.iter().map(read).collect::<Result<_, Wrong>>().map(Self)
    }

    fn show(&self) -> String {
        let names: Vec<String> =
            self.0.iter().map(|(name, _)| format!("{} = {}", quoted(name), quoted(MASK))).collect();
        if names.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", names.join(", ")) }
    }
}

/// The driver's own complaint is left out: it may quote the URL, which may hold a password.
fn check_redis(url: &str) -> Result<(), Wrong> {
    use redis::IntoConnectionInfo;
    let wrong = |_| Wrong::Because(r#"is not a good Redis URL: write "redis://host:port/db""#.into());
    url.into_connection_info().map(|_| ()).map_err(wrong)
}

fn later(what: &str) -> Wrong {
    Wrong::Because(format!(r#"is not possible: {what} is not built yet; write "redis://host:port/db" or "memory://""#))
}

impl Value for Moment {
    const FORM: &'static str = r#"a moment such as "2026-12-01T00:00:00Z", or seconds since 1970"#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Self::parse(text).ok_or(Wrong::Form)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, Wrong> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            // As TOML writes moments itself, and seconds.
            toml::Value::Datetime(_) | toml::Value::Integer(_) => Self::from_text(&value.to_string()),
            _ => Err(Wrong::Form),
        }
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for ClaimPath {
    const FORM: &'static str = r#"a claim such as "sub" or "user.id""#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        Self::parse(text).ok_or(Wrong::Form)
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for KeyFile {
    const FORM: &'static str = r#"a file such as "app.pem", or with the key's name "2026-11=app.pem""#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let (kid, path) = match text.split_once('=') {
            // An empty name is none, for paths that have the sign themselves.
            Some((kid, path)) => (Some(kid).filter(|kid| !kid.is_empty()), path),
            None => (None, text),
        };
        if path.is_empty() {
            return Err(Wrong::Form);
        }
        Ok(Self { path: path.to_owned(), kid: kid.map(str::to_owned) })
    }

    fn show(&self) -> String {
        quoted(&match &self.kid {
            Some(kid) => format!("{kid}={}", self.path),
            None if self.path.contains('=') => format!("={}", self.path),
            None => self.path.clone(),
        })
    }
}

/// A closed list of words.
macro_rules! words {
    ($type:ty, $form:literal, $($word:literal => $value:path),+) => {
        impl Value for $type {
            const FORM: &'static str = $form;

            fn from_text(text: &str) -> Result<Self, Wrong> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(Wrong::Form),
                }
            }

            fn show(&self) -> String {
                quoted(match self {
                    $($value => $word,)+
                })
            }
        }
    };
}

words!(LogFormat, r#""text" or "json""#, "text" => Self::Text, "json" => Self::Json);
words!(
    AddressHeader,
    r#""x-forwarded-for", "forwarded", "x-real-ip" or "off""#,
    "x-forwarded-for" => Self::XForwardedFor,
    "forwarded" => Self::Forwarded,
    "x-real-ip" => Self::XRealIp,
    "off" => Self::Off
);
words!(ProxyProtocol, r#""off" or "required""#, "off" => Self::Off, "required" => Self::Required);
words!(TlsVersion, r#""1.2" or "1.3""#, "1.2" => Self::V1_2, "1.3" => Self::V1_3);
words!(DataFormat, r#""json" or "binary""#, "json" => Self::Json, "binary" => Self::Binary);
words!(RecoveryMode, r#""stream" or "cache""#, "stream" => Self::Stream, "cache" => Self::Cache);
words!(PublishAck, r#""stored" or "replicated""#, "stored" => Self::Stored, "replicated" => Self::Replicated);
words!(DeltaType, r#""fossil""#, "fossil" => Self::Fossil);
words!(
    Algorithm,
    r#""HS256", "HS384", "HS512", the same with "RS", "PS" and "ES", or "EdDSA""#,
    "HS256" => Self::Hs256,
    "HS384" => Self::Hs384,
    "HS512" => Self::Hs512,
    "RS256" => Self::Rs256,
    "RS384" => Self::Rs384,
    "RS512" => Self::Rs512,
    "PS256" => Self::Ps256,
    "PS384" => Self::Ps384,
    "PS512" => Self::Ps512,
    "ES256" => Self::Es256,
    "ES384" => Self::Es384,
    "ES512" => Self::Es512,
    "EdDSA" => Self::EdDsa
);

impl Value for Name {
    const FORM: &'static str = r#"the name of an event such as "channel_occupied""#;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        // What is never asked for is no wish.
        text.parse().ok().filter(|name| Self::ALL.contains(name)).ok_or(Wrong::Form)
    }

    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

impl<T: Value> Value for Vec<T> {
    const FORM: &'static str = r#"a list such as ["a", "b"] (in a variable: the same, as JSON)"#;
    const SECRET: bool = T::SECRET;

    fn from_text(text: &str) -> Result<Self, Wrong> {
        let value = serde_json::from_str::<toml::Value>(text).map_err(|_| Wrong::Form)?;
        Self::from_toml(&value)
    }

    fn from_toml(value: &toml::Value) -> Result<Self, Wrong> {
        let toml::Value::Array(items) = value else { return Err(Wrong::Form) };
        let read = |item: &toml::Value| {
            T::from_toml(item).map_err(|wrong| match wrong {
                Wrong::Form => Wrong::Because(format!("{item} in the list is not {}", T::FORM)),
                because @ Wrong::Because(_) => because,
            })
        };
        items.iter().map(read).collect()
    }

    fn show(&self) -> String {
        let items: Vec<String> = self.iter().map(Value::show).collect();
        format!("[{}]", items.join(", "))
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
