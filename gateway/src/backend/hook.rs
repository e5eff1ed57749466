//! One hook of the configuration: writes questions, asks them by its road, and makes something of the answers.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fanfare_proto::data::normalise_json;
use fanfare_proto::hook::{self, Question, Verdict};

use super::answer::{self, Unusable};
use super::breaker::{Breaker, Turn};
use super::failure::{Failure, Sign};
use super::grpc::GrpcRoad;
use super::headers::Passing;
use super::http::Http;
use super::{Amendment, Backend, BoxFuture, Caller, Hello, HookError, Identity};
use crate::config::section::{StatusMeaning, StatusRule};
use crate::model::time::Clock;
use crate::model::wire::WireKey;
use crate::model::{ChannelName, Permit, Renewed};
use crate::outbound::HeaderMap;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::HookLabel;
use crate::telemetry::sparing::Sparing;

/// The only transport so far.
const TRANSPORT: &str = "websocket";

#[derive(Debug)]
pub(super) struct Hook {
    pub(super) name: Arc<str>,
    pub(super) road: Road,
    pub(super) passing: Passing,
    pub(super) breaker: Breaker,
    pub(super) timeout: Duration,
    /// Payloads go in base64.
    pub(super) binary: bool,
    /// The connection's meta goes with every question.
    pub(super) with_meta: bool,
    pub(super) statuses: Vec<StatusRule>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    /// For failures: clients can bring about as many as they like.
    pub(super) sparing: Sparing,
}

/// How the backend is reached.
#[derive(Debug)]
pub(super) enum Road {
    Http(Http),
    Grpc(GrpcRoad),
}

/// A payload in one of its two fields.
#[derive(Debug, Default)]
struct Payload {
    plain: Bytes,
    base64: String,
}

impl Hook {
    /// Asks, and makes `read` of what comes back.
    async fn ask<Q: Question, T>(
        &self,
        kind: &'static str,
        caller: &Caller,
        question: Q,
        read: impl FnOnce(Option<<Q::Answer as hook::Answer>::Result>) -> Result<T, Unusable>,
    ) -> Result<T, HookError> {
        let headers = self.passing.headers(caller.brought.as_deref());
        let verdict = match self.call(kind, caller, question, headers).await {
            Ok(answer) => hook::Answer::open(answer),
            Err(failure) => self.meaning(failure).map_err(|failure| self.fail(kind, &failure))?,
        };
        let (outcome, said) = match verdict {
            Verdict::Result(result) => ("ok", read(result).map(Ok)),
            Verdict::Error(error) => ("error", answer::error(error).map(|error| Err(HookError::Refused(error)))),
            Verdict::Disconnect(disconnect) => {
                ("disconnect", answer::close(&disconnect).map(|close| Err(HookError::Closed(close))))
            }
        };
        let said = said.map_err(|wrong| self.fail(kind, &Failure::Unusable(wrong)))?;
        self.count(kind, outcome);
        said
    }

    /// One call within the hook's deadline, waiting for a place included.
    async fn call<Q: Question>(
        &self,
        kind: &'static str,
        caller: &Caller,
        question: Q,
        headers: HeaderMap,
    ) -> Result<Q::Answer, Failure> {
        // What ends things must not wait for who would rather have them go on.
        let counts = !matches!(kind, "refresh" | "sub_refresh") && !caller.user.is_anonymous();
        let user = counts.then(|| caller.user.clone());
        let mut deadline = pin!(tokio::time::sleep(self.timeout));
        let pass = tokio::select! {
            biased;
            pass = self.breaker.enter(user) => pass?,
            () = &mut deadline => return Err(Failure::Full),
        };
        let answer = tokio::select! {
            biased;
            answer = self.travel(kind, question, headers) => answer,
            () = &mut deadline => Err(Failure::Timeout(self.timeout)),
        };
        let turn = match answer.as_ref().map_or_else(Failure::sign, |_| Sign::Life) {
            Sign::Life => pass.answered(),
            Sign::Doubt => pass.failed(Some(caller.culprit())),
            Sign::Outage => pass.failed(None),
        };
        self.tell(turn);
        answer
    }

    async fn travel<Q: Question>(
        &self,
        kind: &'static str,
        question: Q,
        headers: HeaderMap,
    ) -> Result<Q::Answer, Failure> {
        match &self.road {
            Road::Http(http) => {
                // Payloads were looked at when the question was made.
                let body = hook::to_json(&question).map_err(|_| Failure::Unusable("the question is no JSON"))?;
                Ok(hook::from_json(&http.call(kind, body, headers).await?)?)
            }
            Road::Grpc(grpc) => {
                Ok(hook::from_protobuf(grpc.call(Q::METHOD, hook::to_protobuf(&question), headers).await?)?)
            }
        }
    }

    /// A status that the operator has given a meaning is an answer.
    fn meaning<T>(&self, failure: Failure) -> Result<Verdict<T>, Failure> {
        let Failure::Status(status) = failure else { return Err(failure) };
        let rule = self.statuses.iter().find(|rule| rule.status == status).ok_or(failure)?;
        Ok(match rule.meaning.clone() {
            StatusMeaning::Error { code, message, temporary } => {
                Verdict::Error(hook::Error { code, message, temporary })
            }
            StatusMeaning::Disconnect { code, reason } => Verdict::Disconnect(hook::Disconnect { code, reason }),
        })
    }

    fn fail(&self, kind: &'static str, failure: &Failure) -> HookError {
        self.count(kind, failure.outcome());
        let hook = &*self.name;
        match failure {
            // Said once, when it opened; and a user's own affair.
            Failure::Open | Failure::Share => tracing::debug!(hook, kind, %failure, "a hook has no answer"),
            _ => match self.sparing.turn(self.clock.now()) {
                Some(others) => tracing::warn!(hook, kind, %failure, others, "a hook has no answer"),
                None => tracing::debug!(hook, kind, %failure, "a hook has no answer"),
            },
        }
        HookError::Failed
    }

    fn count(&self, kind: &'static str, outcome: &'static str) {
        let label = HookLabel { hook: self.name.as_ref().to_owned(), kind, outcome };
        self.metrics.hook_calls.get_or_create(&label).inc();
    }

    fn tell(&self, turn: Turn) {
        let hook = &*self.name;
        match turn {
            Turn::Stays => {}
            Turn::Opened => tracing::error!(hook, "a hook does not answer any more, and is left alone for a while"),
            Turn::Closed => tracing::info!(hook, "a hook answers again"),
        }
    }

    fn encoding(&self) -> String {
        if self.binary { "binary" } else { "json" }.to_owned()
    }

    fn meta(&self, caller: &Caller) -> Bytes {
        if self.with_meta { caller.meta.clone() } else { Bytes::new() }
    }

    /// A client's payload for a question. Protobuf clients may say anything; a hook that takes only JSON gets only
    /// that.
    fn payload(&self, data: Bytes) -> Result<Payload, HookError> {
        if data.is_empty() {
            Ok(Payload::default())
        } else if self.binary {
            Ok(Payload { base64: STANDARD.encode(data), ..Payload::default() })
        } else {
            let plain = normalise_json(data).map_err(|_| HookError::NotJson)?;
            Ok(Payload { plain, ..Payload::default() })
        }
    }
}

fn protocol(wire: WireKey) -> String {
    match wire {
        WireKey::CentrifugeJson => "json",
        WireKey::CentrifugeProtobuf => "protobuf",
    }
    .to_owned()
}

/// A question with the fields that all have but the user, who is not known before connect.
macro_rules! question {
    ($kind:ident, $hook:expr, $caller:expr, { $($field:ident $(: $value:expr)?),* $(,)? }) => {
        hook::$kind {
            client: $caller.client.to_string(),
            transport: TRANSPORT.to_owned(),
            protocol: protocol($caller.wire),
            encoding: $hook.encoding(),
            $($field $(: $value)?,)*
        }
    };
}

impl Backend for Hook {
    fn connect<'a>(&'a self, caller: Caller, hello: Hello<'a>) -> BoxFuture<'a, Result<Option<Identity>, HookError>> {
        Box::pin(async move {
            let Payload { plain: data, base64: b64data } = self.payload(hello.data.clone())?;
            let (name, version) = (hello.name.to_owned(), hello.version.to_owned());
            // Only one-way transports, which name their channels when they connect, would have some.
            let channels = Vec::new();
            let question = question!(ConnectRequest, self, caller, { data, b64data, name, version, channels });
            let read = |result: Option<_>| result.map(|result| answer::identity(result, caller.wire)).transpose();
            self.ask("connect", &caller, question, read).await
        })
    }

    fn refresh(&self, caller: Caller) -> BoxFuture<'_, Result<Renewed, HookError>> {
        Box::pin(async move {
            let user = caller.user.as_str().to_owned();
            let question = question!(RefreshRequest, self, caller, { user, meta: self.meta(&caller) });
            self.ask("refresh", &caller, question, answer::renewed).await
        })
    }

    fn subscribe<'a>(
        &'a self,
        caller: Caller,
        channel: &'a ChannelName,
        data: Bytes,
    ) -> BoxFuture<'a, Result<Permit, HookError>> {
        Box::pin(async move {
            let Payload { plain: data, base64: b64data } = self.payload(data)?;
            let (user, channel) = (caller.user.as_str().to_owned(), channel.as_str().to_owned());
            let meta = self.meta(&caller);
            // Who brings a token is not asked about.
            let token = String::new();
            let question = question!(SubscribeRequest, self, caller, { user, channel, token, data, b64data, meta });
            let read = |result: Option<_>| answer::permit(result.unwrap_or_default(), caller.wire);
            self.ask("subscribe", &caller, question, read).await
        })
    }

    fn sub_refresh<'a>(
        &'a self,
        caller: Caller,
        channel: &'a ChannelName,
    ) -> BoxFuture<'a, Result<Renewed, HookError>> {
        Box::pin(async move {
            let (user, channel) = (caller.user.as_str().to_owned(), channel.as_str().to_owned());
            let question = question!(SubRefreshRequest, self, caller, { user, channel, meta: self.meta(&caller) });
            self.ask("sub_refresh", &caller, question, answer::sub_renewed).await
        })
    }

    fn publish<'a>(
        &'a self,
        caller: Caller,
        channel: &'a ChannelName,
        data: Bytes,
    ) -> BoxFuture<'a, Result<Amendment, HookError>> {
        Box::pin(async move {
            let Payload { plain: data, base64: b64data } = self.payload(data)?;
            let (user, channel) = (caller.user.as_str().to_owned(), channel.as_str().to_owned());
            let meta = self.meta(&caller);
            let question = question!(PublishRequest, self, caller, { user, channel, data, b64data, meta });
            let read = |result: Option<_>| answer::amendment(result.unwrap_or_default());
            self.ask("publish", &caller, question, read).await
        })
    }

    fn rpc<'a>(&'a self, caller: Caller, method: &'a str, data: Bytes) -> BoxFuture<'a, Result<Bytes, HookError>> {
        Box::pin(async move {
            let Payload { plain: data, base64: b64data } = self.payload(data)?;
            let (user, method) = (caller.user.as_str().to_owned(), method.to_owned());
            let meta = self.meta(&caller);
            let question = question!(RpcRequest, self, caller, { user, method, data, b64data, meta });
            let read = |result: Option<_>| answer::said(result.unwrap_or_default(), caller.wire);
            self.ask("rpc", &caller, question, read).await
        })
    }
}
