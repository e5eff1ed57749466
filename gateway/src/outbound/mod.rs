//! The one way of calling others over HTTP: key sets, the application's hooks, webhooks. Each call has a deadline,
//! each answer a size; redirects are answers like others, and are not followed.

mod address;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect;
use reqwest::{Certificate, Client, Method};

use crate::model::ByteSize;

pub use address::Addresses;
pub use reqwest::Url;
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// How somebody may be called.
#[derive(Clone, Debug)]
pub struct Manner {
    /// For the whole call: name, connection, request, answer.
    pub timeout: Duration,
    /// The largest answer that is read.
    pub answer_max: ByteSize,
    /// Whether `http://` will not do.
    pub https_only: bool,
    /// Where the call may go, whatever the name says.
    pub addresses: Addresses,
}

/// Calls out, all in one manner. Connections are kept and used again. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: Client,
    manner: Manner,
}

/// What is sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// Where to.
    pub url: Url,
    /// With what.
    pub body: Body,
    /// Besides those that the body needs. Values marked as sensitive are not shown by `Debug`.
    pub headers: HeaderMap,
}

/// What a call carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing: a GET.
    None,
    /// A POST of JSON.
    Json(Bytes),
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status: 200 and the like, 3xx included.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// All of it.
    pub body: Bytes,
}

/// Why there is no answer. For logs: names neither headers nor bodies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not an `https://` URL, where only those will do; or none that can be called at all.
    #[error("it is not {0}")]
    Scheme(&'static str),
    /// Its name leads to an address where calls may not go.
    #[error("it leads to a private address")]
    Address,
    /// Not within the deadline.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// More than is read.
    #[error("its answer is over {0}")]
    TooLarge(ByteSize),
    /// Nobody there, or a wrong certificate: nothing was sent.
    #[error("it cannot be reached: {0}")]
    Unreachable(Arc<str>),
    /// The connection ended before the answer did.
    #[error("the connection broke: {0}")]
    Broken(Arc<str>),
}

impl CallError {
    /// Whether the request cannot have reached the other end: then it may be made again, whatever it does there.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Scheme(_) | Self::Address | Self::Unreachable(_))
    }
}

/// The client could not be made: TLS has no certificates to trust, say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("calls to others over HTTP cannot be made: {0}")]
pub struct SetupError(String);

impl Outbound {
    /// A client of its own.
    ///
    /// # Errors
    /// When the machine's certificates cannot be used.
    pub fn new(manner: Manner) -> Result<Self, SetupError> {
        Self::with_certificates(manner, Vec::new())
    }

    /// A client of its own that also trusts these certificate authorities (PEM): for issuers and applications
    /// with certificates of their own making.
    ///
    /// # Errors
    /// When there is no certificate in it, or the machine's cannot be used.
    pub fn trusting(manner: Manner, authorities: &[u8]) -> Result<Self, SetupError> {
        let authorities = Certificate::from_pem_bundle(authorities).map_err(|error| SetupError(causes(&error)))?;
        if authorities.is_empty() {
            return Err(SetupError("no certificate (-----BEGIN CERTIFICATE-----) is given to be trusted".into()));
        }
        Self::with_certificates(manner, authorities)
    }

    fn with_certificates(manner: Manner, authorities: Vec<Certificate>) -> Result<Self, SetupError> {
        let client = Client::builder()
            .tls_certs_merge(authorities)
            .redirect(redirect::Policy::none())
            // What the environment says of proxies is not for calls whose address we guard.
            .no_proxy()
            .dns_resolver(Arc::new(address::Guard::new(manner.addresses)))
            .connect_timeout(manner.timeout)
            .timeout(manner.timeout)
            .user_agent(concat!("fanfare/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SetupError(causes(&error)))?;
        Ok(Self { client, manner })
    }

    /// Makes a call.
    ///
    /// # Errors
    /// See [`CallError`]. A status other than 200 is an answer.
    ///
    /// # Cancel safety
    /// The call is given up; whether it reached the other end is not known.
    pub async fn call(&self, call: Call) -> Result<Answer, CallError> {
        self.check(&call.url)?;
        let request = match call.body {
            Body::None => self.client.request(Method::GET, call.url),
            Body::Json(body) => self
                .client
                .request(Method::POST, call.url)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body),
        };
        let mut response = request.headers(call.headers).send().await.map_err(|error| self.explain(&error))?;
        let most = self.manner.answer_max.bytes();
        let announced = response.content_length().unwrap_or(0);
        if usize::try_from(announced).unwrap_or(usize::MAX) > most {
            return Err(CallError::TooLarge(self.manner.answer_max));
        }
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.explain(&error))? {
            if body.len() + part.len() > most {
                return Err(CallError::TooLarge(self.manner.answer_max));
            }
            body.extend_from_slice(&part);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { status: response.status().as_u16(), headers, body: body.freeze() })
    }

    /// Whether such a URL may be called at all, as far as can be seen without calling it.
    ///
    /// # Errors
    /// [`CallError::Scheme`], [`CallError::Address`].
    pub fn check(&self, url: &Url) -> Result<(), CallError> {
        match url.scheme() {
            "https" => {}
            "http" if !self.manner.https_only => {}
            _ if self.manner.https_only => return Err(CallError::Scheme("an https:// URL")),
            _ => return Err(CallError::Scheme("an http:// or https:// URL")),
        }
        // A name is looked up by the guard; an address is not looked up at all.
        if self.manner.addresses.allow_host(url) { Ok(()) } else { Err(CallError::Address) }
    }

    fn explain(&self, error: &reqwest::Error) -> CallError {
        if error.is_timeout() {
            return CallError::Timeout(self.manner.timeout);
        }
        let causes = causes(error);
        if causes.contains(address::REFUSED) {
            CallError::Address
        } else if error.is_connect() {
            CallError::Unreachable(causes.into())
        } else {
            CallError::Broken(causes.into())
        }
    }
}

/// A header as the configuration writes it, its value kept out of logs.
///
/// # Errors
/// What is wrong with the name or the value; does not repeat the value.
pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is not a header's name"))?;
    let mut value = HeaderValue::from_str(value).map_err(|_| format!("the value of {name} cannot be in a header"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// An error and what is behind it, outermost first.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error with all its causes; reqwest tells the last one least. Without the URL, which may hold a password.
fn causes(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<_> = chain(error).skip(1).map(ToString::to_string).collect();
    if texts.is_empty() { "the request failed".to_owned() } else { texts.join(": ") }
}

#[cfg(test)]
mod tests;
