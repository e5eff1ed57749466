//! The sizes that both ends rely on. What an operator may change has its default here and its key in
//! the gateway's configuration.

/// Longest channel name, in bytes. Names are ASCII, so also in characters.
pub const CHANNEL_NAME_BYTES_MAX: usize = 255;

/// Deepest nesting of published JSON. serde_json's own default, and the depth at which several
/// official clients' parsers give up.
pub const DATA_DEPTH_MAX: usize = 128;

/// Most commands in one message. An empty command is one byte in Protobuf and some hundred in memory: a
/// message full of them must not cost its size a hundred times over. Far above what clients batch.
pub const COMMANDS_PER_MESSAGE_MAX: usize = 4096;

/// Default for the largest message from a client, in bytes (`client.message_size_limit`).
pub const MESSAGE_BYTES_DEFAULT: usize = 64 * 1024;

/// Default for the largest body of a server API request, in bytes (`api.body_size_limit`).
pub const API_BODY_BYTES_DEFAULT: usize = 1024 * 1024;

/// Most channels of one broadcast through the server API. A request holds a worker for one trip to the
/// broker for each, so the bound is on time, not on memory; larger audiences share a channel.
pub const API_BROADCAST_CHANNELS_MAX: usize = 10_000;

/// Most calls in one batch of the server API; the same reason.
pub const API_BATCH_CALLS_MAX: usize = 1_000;

/// Most bytes of publications, or of members, that one answer of the server API holds, whatever the
/// channel keeps: a page of some thousand usual ones, and little enough that a few such answers at once
/// do not fill a small machine. More comes in several pages.
pub const API_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How many calls of a parallel batch, or publications of a broadcast, are under way at once. Enough to
/// hide the trip to the broker, few enough that one request does not crowd out others.
pub const API_CONCURRENCY_MAX: usize = 16;

/// Longest idempotency key, in bytes. Room for two UUIDs and a name.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// Longest version epoch, in bytes.
pub const VERSION_EPOCH_BYTES_MAX: usize = 128;

/// Longest stream epoch that a client may name, in bytes. Ours are far shorter; a longer one names none.
pub const EPOCH_BYTES_MAX: usize = 64;

/// Largest order to sessions (disconnect, subscribe, ...), in bytes as sent to the nodes. The control log
/// keeps thousands of them, so they must stay small.
pub const ORDER_BYTES_MAX: usize = 64 * 1024;

/// Default for what may wait for a slow reader, in bytes (`client.queue_max_size`).
pub const OUTBOX_BYTES_DEFAULT: usize = 1024 * 1024;

/// Default for the channels of one connection (`client.channel_limit`).
pub const CHANNELS_PER_CONNECTION_DEFAULT: usize = 128;

/// Longest client name that a connect command may carry, in characters; the rest is cut.
pub const CLIENT_NAME_CHARS_MAX: usize = 16;

/// Longest client version, in characters; the rest is cut.
pub const CLIENT_VERSION_CHARS_MAX: usize = 64;

/// Most capabilities of one connection: entries of `caps` in a token or a hook's answer. Each command looks them through, so they must stay few.
pub const CAPABILITIES_MAX: usize = 64;

/// Most channels, and patterns of channels, in all of them together.
pub const CAPABILITY_CHANNELS_MAX: usize = 256;

/// The latest moment that anybody may name: the end of the year 9999, in seconds since 1970. A larger
/// number is most often a time in milliseconds.
pub const UNIX_SECONDS_MAX: i64 = 253_402_300_799;

/// Longest token id or user id that can be revoked or blocked, in bytes: every node keeps all of them.
pub const REVOKED_ID_BYTES_MAX: usize = 512;

/// Most revocations of one kind (token ids, users' tokens, blocked users) at a time. Some ten megabytes
/// on each node; those with an end make room when it comes.
pub const REVOCATIONS_MAX: usize = 100_000;

/// Longest close reason: what a WebSocket close frame has room for, in bytes (RFC 6455, 5.5).
pub const CLOSE_REASON_BYTES_MAX: usize = 123;

const _: () = assert!(CHANNEL_NAME_BYTES_MAX < MESSAGE_BYTES_DEFAULT);
const _: () =
    assert!(MESSAGE_BYTES_DEFAULT * 2 <= OUTBOX_BYTES_DEFAULT, "an outbox holds at least two of the largest messages");
