//! Hooks over gRPC: unary calls of the service that `fanfare_proto::hook` names, over one HTTP/2 connection that is
//! made at the first call and made again when it breaks.

use std::error::Error;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, ConnectError, Extensions, Request, Status};

use fanfare_proto::hook::SERVICE;

use super::failure::Failure;
use crate::model::ByteSize;
use crate::outbound::{HeaderMap, chain};

#[derive(Debug)]
pub(super) struct GrpcRoad {
    channel: Channel,
    answer_max: ByteSize,
    patience: Duration,
}

impl GrpcRoad {
    /// `url` begins with `http://` or `https://`.
    ///
    /// # Errors
    /// No URL, or no certificates to trust.
    pub(super) fn new(url: &str, answer_max: ByteSize, patience: Duration) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(url.to_owned())?
            .user_agent(concat!("fanfare/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(patience)
            .http2_max_header_list_size(HEADERS_BYTES_MAX)
            // An idle connection that a balancer has dropped in silence is noticed.
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        let endpoint = if url.starts_with("https://") {
            endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?
        } else {
            endpoint
        };
        Ok(Self { channel: endpoint.connect_lazy(), answer_max, patience })
    }

    pub(super) async fn call(&self, method: &str, body: Bytes, headers: HeaderMap) -> Result<Bytes, Failure> {
        let path =
            PathAndQuery::try_from(format!("/{SERVICE}/{method}")).expect("made of a service's and a method's name");
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(self.answer_max.bytes());
        grpc.ready().await.map_err(|error| Failure::Unreachable(causes(&error).into()))?;
        let request = Request::from_parts(MetadataMap::from_headers(headers), Extensions::default(), body);
        let answer = grpc.unary(request, path, Plain).await;
        answer.map(tonic::Response::into_inner).map_err(|status| self.explain(&status))
    }

    /// Without the status's text, which is the backend's and may repeat what it was asked.
    fn explain(&self, status: &Status) -> Failure {
        match status.code() {
            Code::DeadlineExceeded => Failure::Timeout(self.patience),
            // The same word for "nobody is there", which is tonic's own and says why, and for what a backend says.
            Code::Unavailable => match connect_error(status) {
                Some(error) => Failure::Unreachable(causes(error).into()),
                None => Failure::Broken("the gRPC status is UNAVAILABLE".into()),
            },
            // tonic's own word for a message over the limit.
            Code::OutOfRange => Failure::TooLarge(self.answer_max),
            code => Failure::GrpcStatus(format!("{code:?}").into()),
        }
    }
}

/// Largest metadata of an answer, in bytes: as much as HTTP servers commonly send.
const HEADERS_BYTES_MAX: u32 = 64 * 1024;

/// Long enough that servers do not take it for abuse (gRPC's usual limit is five minutes without calls, ten seconds
/// with).
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Why there is no connection, if that is what is wrong.
fn connect_error(status: &Status) -> Option<&(dyn Error + 'static)> {
    let ConnectError(why) = chain(status).find_map(|error| error.downcast_ref())?;
    Some(why.as_ref())
}

fn causes(error: &(dyn Error + 'static)) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Messages that are written already and read later: bytes in, bytes out.
#[derive(Clone, Copy, Debug)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = message.remaining();
        Ok(Some(message.copy_to_bytes(length)))
    }
}
