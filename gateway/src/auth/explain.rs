//! A token in words, for people at a terminal: what it says, whose it is, and why it is not taken. The
//! verdict is that of the verifying itself; here are only the words around it. Shows what the token says of
//! itself, never keys or secrets.

use fanfare_proto::claims::{ClaimsError, ConnectClaims, Registered, SubscribeClaims};

use super::issuer::Issuer;
use super::jwt::Jwt;
use super::{Auth, ConnectionToken, Refusal, SubscriptionToken, TokenError};
use crate::config::moment::Moment;

/// What was found out on the way: a word each, and what there is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// In the order in which they are looked at.
    pub steps: Vec<(&'static str, String)>,
    /// Why it is refused, and what to do; none if it is taken.
    pub refused: Option<String>,
}

impl Explanation {
    fn say(&mut self, step: &'static str, text: impl Into<String>) {
        self.steps.push((step, text.into()));
    }
}

impl Auth {
    /// Explains a connection token, held against the given moment (seconds since 1970).
    pub async fn explain_connection(
        &self,
        token: &str,
        now_unix_s: i64,
    ) -> (Explanation, Result<ConnectionToken, TokenError>) {
        let mut explanation = self.begin(&self.connection, token, now_unix_s);
        let verdict = self.verify_connection(token, now_unix_s).await;
        if let Ok(token) = &verdict {
            explanation.say("user", user(token.user.as_str()));
            explanation.say("ends", until(token.expires_at, now_unix_s));
            let channels: Vec<_> = token.subs.keys().map(|channel| format!("{:?}", channel.as_str())).collect();
            if !channels.is_empty() {
                explanation.say("channels", channels.join(", "));
            }
            for entry in token.caps.iter().flat_map(|caps| caps.iter()) {
                let channels: Vec<_> = entry.channels.iter().map(ToString::to_string).collect();
                explanation.say("capability", format!("{}: {}", channels.join(", "), entry.allow));
            }
        }
        explanation.refused = verdict.as_ref().err().map(|error| self.why(&self.connection, token, *error, now_unix_s));
        (explanation, verdict)
    }

    /// Explains a subscription token, held against the given moment (seconds since 1970).
    pub async fn explain_subscription(
        &self,
        token: &str,
        now_unix_s: i64,
    ) -> (Explanation, Result<SubscriptionToken, TokenError>) {
        let mut explanation = self.begin(&self.subscription, token, now_unix_s);
        let verdict = self.verify_subscription(token, now_unix_s).await;
        if let Ok(token) = &verdict {
            explanation.say("user", user(token.user.as_str()));
            explanation.say("channel", format!("{:?}", token.channel));
            let client = token.client.as_ref();
            explanation
                .say("client", client.map_or("any of the user's".to_owned(), |client| format!("{client:?} only")));
            explanation.say("ends", until(token.expires_at, now_unix_s));
        }
        explanation.refused =
            verdict.as_ref().err().map(|error| self.why(&self.subscription, token, *error, now_unix_s));
        (explanation, verdict)
    }

    /// What an unverified token says.
    fn begin(&self, own: &Issuer, token: &str, now_unix_s: i64) -> Explanation {
        let mut explanation = Explanation::default();
        explanation.say("token", format!("{} bytes", token.len()));
        let Ok(jwt) = Jwt::parse(token) else { return explanation };
        let kid = jwt.kid.as_ref().map_or("no key named".to_owned(), |kid| format!("key {kid:?}"));
        explanation.say("header", format!("algorithm {:?}, {kid}", jwt.algorithm));
        let claims = registered(&jwt.payload);
        if let Some(claims) = &claims {
            explanation.say("issuer", claims.iss.as_ref().map_or("not named".to_owned(), |iss| format!("{iss:?}")));
        }
        if let Ok(issuer) = self.issuer(own, &jwt) {
            explanation.say("keys of", format!("[{}]", issuer.name()));
        }
        for (name, moment) in claims.iter().flat_map(|c| [("exp", c.exp), ("nbf", c.nbf), ("iat", c.iat)]) {
            if let Some(moment) = moment {
                explanation.say(name, at(moment, now_unix_s));
            }
        }
        explanation
    }

    fn why(&self, own: &Issuer, token: &str, error: TokenError, now_unix_s: i64) -> String {
        let jwt = Jwt::parse(token);
        let issuer = jwt.as_ref().ok().and_then(|jwt| self.issuer(own, jwt).ok()).unwrap_or(own);
        let section = issuer.name();
        match error {
            TokenError::Expired => {
                let claims = jwt.as_ref().ok().and_then(|jwt| registered(&jwt.payload)).unwrap_or_default();
                let moment = untimely(&claims, now_unix_s);
                format!("{moment}. Compare the clocks of both machines; the client is told to bring a new one (109)")
            }
            TokenError::NotConfigured => {
                format!("no key is configured: set {section}.hmac_secret, {section}.public_keys or {section}.jwks_url")
            }
            TokenError::Unavailable => {
                let trouble = issuer.trouble().unwrap_or_else(|| "see whether that answers".to_owned());
                format!("its key could not be fetched from {section}.jwks_url: {trouble}")
            }
            TokenError::Invalid(refusal) => because(refusal, issuer, token, jwt.ok().as_ref()),
        }
    }
}

fn because(refusal: Refusal, issuer: &Issuer, token: &str, jwt: Option<&Jwt<'_>>) -> String {
    let section = issuer.name();
    match refusal {
        Refusal::TooLong => format!("it is longer than {} bytes: put less into it", super::jwt::TOKEN_BYTES_MAX),
        Refusal::Malformed => malformed(token),
        Refusal::Algorithm => {
            let allowed: Vec<_> = issuer.algorithms().iter().map(|algorithm| algorithm.name()).collect();
            let named = jwt.map_or("", |jwt| jwt.algorithm.as_str());
            format!("its algorithm is {named:?}, and {section}.algorithms allows {}", allowed.join(", "))
        }
        Refusal::Critical => {
            "its header asks for an extension (crit, b64, zip or enc), and there are none here: make a plain signed \
             token"
                .into()
        }
        Refusal::Key => match jwt.and_then(|jwt| jwt.kid.as_ref()) {
            Some(kid) => format!("no key of [{section}] for its algorithm is called {kid:?} or has no name: add it"),
            None => format!("[{section}] has no key for its algorithm: add it"),
        },
        Refusal::Signature => format!(
            "no key of [{section}] has signed it: it was signed with another key, or changed since. Compare the \
             secret or key with the application's, byte by byte, and mind a line end in a file"
        ),
        Refusal::Audience => format!("its aud does not name {section}.audience"),
        Refusal::Issuer => format!("its iss is not {section}.issuer, nor that of an [[auth.issuer]]"),
        Refusal::Channel => "it names a channel that cannot exist: see the grammar of names".into(),
        Refusal::Claims(error @ ClaimsError::Claim(name)) => {
            format!("{error}: it must be {}. docs/protocol/tokens.md has all claims", shape(name))
        }
        Refusal::Claims(error) => format!("{error}. docs/protocol/tokens.md has all claims"),
    }
}

/// Which of the moments in a token is the wrong one. What no longer opens anything comes before what does not yet.
fn untimely(claims: &Registered, now_unix_s: i64) -> String {
    match (claims.exp, claims.nbf, claims.iat) {
        (Some(exp), ..) if exp <= now_unix_s => format!("it expired (exp) at {}", at(exp, now_unix_s)),
        (_, Some(nbf), _) if nbf > now_unix_s => format!("it is not valid before (nbf) {}", at(nbf, now_unix_s)),
        (.., Some(iat)) if iat > now_unix_s => format!("it was made in the future (iat), {}", at(iat, now_unix_s)),
        _ => "what it opens is over (expire_at) already".into(),
    }
}

/// What a claim must be that is not.
fn shape(claim: &str) -> &'static str {
    match claim {
        "sub" => "a text of at most 512 bytes without control characters; a number is none: write \"42\"",
        "exp" | "nbf" | "iat" | "expire_at" => "a number of seconds since 1970; a text or milliseconds are not",
        "jti" => "a text of at most 512 bytes",
        "aud" => "a text or a list of texts",
        "channels" => "a list of texts",
        "subs" => "an object of channels, each with an object of info, data and override",
        "caps" => {
            "a list of at most 64 objects with channels (a list of names, or of patterns with match: \"wildcard\") and \
             allow (a list of sub, pub, prs, hst)"
        }
        "override" => "an object of switches such as {\"presence\": {\"value\": true}}",
        "info" | "data" | "meta" => "JSON that can be sent to clients",
        "b64info" | "b64data" => "JSON in base64",
        _ => "a text",
    }
}

/// What exactly is wrong with a shape.
fn malformed(token: &str) -> String {
    let parts = token.split('.').count();
    let stray = token.chars().find(|c| !matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '_' | '.'));
    match (parts, stray) {
        (_, Some(c)) if c.is_whitespace() => "there is white space in it: cut it off where the token is read".into(),
        (_, Some('=')) => "it is padded with =: tokens are unpadded base64url (RFC 7515, 2)".into(),
        (_, Some('+' | '/')) => "it is base64, and tokens are base64url: - and _ in the place of + and /".into(),
        (_, Some(c)) => format!("{c:?} cannot be in a token"),
        (5, None) => "it has five parts, so it is encrypted (JWE): sign tokens, do not encrypt them".into(),
        (3, None) => "its header is no JSON object with an alg that is a text, or a part is no base64url".into(),
        (parts, None) => format!("it has not three parts with dots between, but {parts}: is it whole?"),
    }
}

fn registered(payload: &[u8]) -> Option<Registered> {
    let connect = ConnectClaims::parse(payload).map(|claims| claims.registered);
    connect.or_else(|_| SubscribeClaims::parse(payload).map(|claims| claims.registered)).ok()
}

fn user(id: &str) -> String {
    if id.is_empty() { "nobody: anonymous".to_owned() } else { format!("{id:?}") }
}

fn until(end: Option<i64>, now_unix_s: i64) -> String {
    end.map_or("never".to_owned(), |end| at(end, now_unix_s))
}

/// `2026-12-01T00:00:00Z, in 1h`
fn at(moment: i64, now_unix_s: i64) -> String {
    let away = std::time::Duration::from_secs(moment.abs_diff(now_unix_s));
    let away = humantime::format_duration(away);
    match moment.cmp(&now_unix_s) {
        std::cmp::Ordering::Greater => format!("{}, in {away}", Moment(moment)),
        std::cmp::Ordering::Equal => format!("{}, now", Moment(moment)),
        std::cmp::Ordering::Less => format!("{}, {away} ago", Moment(moment)),
    }
}
