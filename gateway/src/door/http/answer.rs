//! From what became of a request to an HTTP answer.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use fanfare_proto::api::{
    Answer, BatchResult, BroadcastResult, ChannelRecord, ChannelsResult, Empty, Error, InfoResult, Node,
    PresenceStatsResult, PublishResult, Reply,
};
use fanfare_proto::code::ErrorCode;
use serde::Serialize;

use super::{HttpResponse, record};
use crate::api::{ApiError, NodeRecord, Response};
use crate::model::Position;
use crate::model::event::PresenceStats;

/// Why a request was not done, and whose language the answer speaks.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It was understood and refused: 200, unless the caller wants statuses.
    Refused(ApiError),
    /// 400: the body is not what the method takes.
    Malformed(String),
    /// 404.
    NoSuchMethod,
    /// 408.
    Slow,
    /// 413: over so many bytes.
    TooLarge(usize),
    /// 415.
    MediaType,
}

/// Where a refusal is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorMode {
    /// In the body only.
    Body,
    /// In the status, too: what proxies and retrying clients look at.
    Transport,
}

impl ErrorMode {
    /// As the caller wishes.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get("x-centrifugo-error-mode") {
            Some(mode) if mode.as_bytes().eq_ignore_ascii_case(b"transport") => Self::Transport,
            _ => Self::Body,
        }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

/// What a refusal is called where there is no status to tell it: in a batch.
impl From<&Refusal> for ApiError {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Refused(error) => error.clone(),
            Refusal::Malformed(wrong) => Self::bad(wrong.clone()),
            Refusal::NoSuchMethod => ErrorCode::MethodNotFound.into(),
            Refusal::Slow => Self::bad("the body took too long to arrive"),
            Refusal::TooLarge(max) => Self::too_many(format!("the body is over {max} bytes")),
            Refusal::MediaType => Self::bad("the body must be JSON: send 'Content-Type: application/json'"),
        }
    }
}

impl Refusal {
    fn status(&self, mode: ErrorMode) -> StatusCode {
        match (self, mode) {
            (Self::Refused(_), ErrorMode::Body) => StatusCode::OK,
            (Self::Refused(error), ErrorMode::Transport) => status_of(error.code),
            (Self::Malformed(_), _) => StatusCode::BAD_REQUEST,
            (Self::NoSuchMethod, _) => StatusCode::NOT_FOUND,
            (Self::Slow, _) => StatusCode::REQUEST_TIMEOUT,
            (Self::TooLarge(_), _) => StatusCode::PAYLOAD_TOO_LARGE,
            (Self::MediaType, _) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

/// The answer to whoever shows no key or a wrong one.
pub(super) fn unauthorized() -> HttpResponse {
    let error = ApiError::new(ErrorCode::Unauthorized, "send the key as 'X-API-Key: KEY'");
    let mut response = json(StatusCode::UNAUTHORIZED, &Answer::<Empty>::Error(error_on_wire(&error)));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("apikey"));
    response
}

/// The answer to everyone else.
pub(super) fn write(outcome: &Result<Response, Refusal>, mode: ErrorMode) -> HttpResponse {
    match outcome {
        Ok(Response::Publish(position)) => done(published(position.as_ref())),
        Ok(Response::Broadcast(outcomes)) => done(broadcast(outcomes)),
        Ok(Response::Subscribe | Response::Unsubscribe | Response::Disconnect | Response::Refresh) => done(Empty {}),
        Ok(Response::RevokeToken | Response::InvalidateUserTokens | Response::BlockUser | Response::UnblockUser) => {
            done(Empty {})
        }
        Ok(Response::History(page)) => done(record::page(page)),
        Ok(Response::HistoryRemove) => done(Empty {}),
        Ok(Response::Presence(members)) => done(record::presence(members)),
        Ok(Response::PresenceStats(stats)) => done(self::stats(*stats)),
        Ok(Response::Info(nodes)) => done(info(nodes)),
        Ok(Response::Channels(channels)) => done(self::channels(channels)),
        // Stands alone: that is what the libraries read.
        Ok(Response::Batch(outcomes)) => json(StatusCode::OK, &batch(outcomes)),
        Err(refusal) => {
            let status = refusal.status(mode);
            json(status, &Answer::<Empty>::Error(error_on_wire(&refusal.into())))
        }
    }
}

fn done<T: Serialize>(result: T) -> HttpResponse {
    json(StatusCode::OK, &Answer::Result(result))
}

fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    // Cannot fail: all keys are text, and a Vec grows.
    let body = serde_json::to_vec(body).expect("answers are plain JSON");
    let mut response = HttpResponse::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn published(position: Option<&Position>) -> PublishResult {
    match position {
        Some(position) => PublishResult { offset: position.offset, epoch: position.epoch.to_string() },
        None => PublishResult::default(),
    }
}

fn broadcast(outcomes: &[Result<Option<Position>, ApiError>]) -> BroadcastResult {
    let responses = outcomes.iter().map(|outcome| match outcome {
        Ok(position) => Answer::Result(published(position.as_ref())),
        Err(error) => Answer::Error(error_on_wire(error)),
    });
    BroadcastResult { responses: responses.collect() }
}

fn stats(stats: PresenceStats) -> PresenceStatsResult {
    PresenceStatsResult { num_clients: stats.clients, num_users: stats.users }
}

fn info(nodes: &[NodeRecord]) -> InfoResult {
    let nodes = nodes.iter().map(|node| Node {
        uid: node.id.clone(),
        name: node.name.clone(),
        version: node.version.clone(),
        num_clients: node.connections,
        num_users: node.users,
        num_channels: node.channels,
        num_subs: node.subscriptions,
        uptime: node.uptime_s,
    });
    InfoResult { nodes: nodes.collect() }
}

fn channels(counts: &std::collections::BTreeMap<String, u64>) -> ChannelsResult {
    let channels = counts.iter().map(|(name, num_clients)| (name.clone(), ChannelRecord { num_clients: *num_clients }));
    ChannelsResult { channels: channels.collect() }
}

fn batch(outcomes: &[Result<Response, ApiError>]) -> BatchResult<'_> {
    let replies = outcomes.iter().map(|outcome| match outcome {
        Ok(Response::Publish(position)) => Reply::Publish(published(position.as_ref())),
        Ok(Response::Broadcast(outcomes)) => Reply::Broadcast(broadcast(outcomes)),
        Ok(Response::Subscribe) => Reply::Subscribe(Empty {}),
        Ok(Response::Unsubscribe) => Reply::Unsubscribe(Empty {}),
        Ok(Response::Disconnect) => Reply::Disconnect(Empty {}),
        Ok(Response::Refresh) => Reply::Refresh(Empty {}),
        Ok(Response::RevokeToken) => Reply::RevokeToken(Empty {}),
        Ok(Response::InvalidateUserTokens) => Reply::InvalidateUserTokens(Empty {}),
        Ok(Response::BlockUser) => Reply::BlockUser(Empty {}),
        Ok(Response::UnblockUser) => Reply::UnblockUser(Empty {}),
        Ok(Response::History(page)) => Reply::History(record::page(page)),
        Ok(Response::HistoryRemove) => Reply::HistoryRemove(Empty {}),
        Ok(Response::Presence(members)) => Reply::Presence(record::presence(members)),
        Ok(Response::PresenceStats(stats)) => Reply::PresenceStats(self::stats(*stats)),
        Ok(Response::Info(nodes)) => Reply::Info(info(nodes)),
        Ok(Response::Channels(counts)) => Reply::Channels(channels(counts)),
        // The API refuses batches in batches.
        Ok(Response::Batch(_)) => Reply::Error(error_on_wire(&ErrorCode::Internal.into())),
        Err(error) => Reply::Error(error_on_wire(error)),
    });
    BatchResult { replies: replies.collect() }
}

fn error_on_wire(error: &ApiError) -> Error {
    Error { code: error.code.code(), message: error.message.to_string() }
}

/// What the code would be if it were a status.
fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::Unauthorized | ErrorCode::TokenExpired | ErrorCode::Expired => StatusCode::UNAUTHORIZED,
        ErrorCode::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorCode::UnknownChannel | ErrorCode::MethodNotFound => StatusCode::NOT_FOUND,
        ErrorCode::AlreadySubscribed | ErrorCode::LimitExceeded | ErrorCode::BadRequest | ErrorCode::NotAvailable => {
            StatusCode::BAD_REQUEST
        }
        ErrorCode::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::UnrecoverablePosition => StatusCode::RANGE_NOT_SATISFIABLE,
    }
}
