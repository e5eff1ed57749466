//! The keys about hooks: which of them serves what, and how each is called.

use std::time::Duration;

use crate::config::manual::{Key, Section, Unset, show};
use crate::config::section::{HookUrl, StatusRule};
use crate::config::settings::Reader;
use crate::config::value::{HeaderTable, Value};
use crate::model::ByteSize;

section! {
    /// Hooks: the application's own backend decides (docs/operations/security/hooks.md). These keys name the
    /// hook that is asked, a section `[hook.app]` of that name says how; one hook can serve all. Unset: nobody
    /// is asked.
    RawHookUse at "hook" {
        /// Asked who a client is that connects without a token.
        connect: String, example "app";
        /// Asked whether a connection may go on that has expired. Clients then need no new tokens.
        refresh: String, example "app";
        /// Asked whether a client may have a channel, where the channel's `subscribe_hook` is true.
        subscribe: String, example "app";
        /// Asked whether a subscription may go on that has expired, where `sub_refresh_hook` is true.
        sub_refresh: String, example "app";
        /// Asked what becomes of a client's publication, where `publish_hook` is true.
        publish: String, example "app";
        /// Answers the calls of clients (`rpc`).
        rpc: String, example "app";
    }
}

section! {
    /// A hook; `app` is a name of your choice: small letters, digits, `-`, `_`, and none of the keys above.
    /// Repeat the section for each. In variables the name is in capitals: FANFARE_HOOK__APP__URL.
    RawHook at "hook.app" {
        /// Where the backend is: "http://" or "https://" for JSON, "grpc://" or "grpcs://" (over TLS) for gRPC.
        url: HookUrl, example "http://127.0.0.1:3000/hook";
        /// How long a question may take, waiting for a place among the others included; at most 30s. The
        /// client's further commands wait as long.
        timeout: Duration, default "1s";
        /// Headers that go with each call: `headers = { X-Key = "..." }`. In a variable JSON; better set by
        /// FANFARE_HOOK__APP__HEADERS_FILE than here.
        headers: HeaderTable, example "{}";
        /// Headers of the client's own request that are passed on, such as "Cookie". Trust them no further
        /// than whatever stands in front of the gateway.
        header_allow: Vec<String>, default "[]";
        /// Headers that a client may write into its connect command and that are passed on. It can write
        /// what it likes. Where both lists name a header, that of the request wins.
        emulated_headers: Vec<String>, default "[]";
        /// Payloads go as base64 (`b64data`) and need not be JSON.
        binary: bool, default "false";
        /// The `meta` of the connection goes with each question.
        include_connection_meta: bool, default "false";
        /// Largest answer that is read.
        answer_max: ByteSize, default "1MiB";
        /// Calls under way at once. As many again wait; who comes then is refused.
        concurrency_max: usize, default "256";
        /// So many calls in a row without an answer, and the backend is left alone.
        breaker_failures: usize, default "10";
        /// For so long; then one call finds out.
        breaker_pause: Duration, default "5s";
        /// What HTTP statuses other than 200 mean: "404 error 1404 not found", "429 temporary 1429 slow down",
        /// "403 disconnect 4403 banned". All others are failures: error 100.
        status_to_code: Vec<StatusRule>, default "[]";
    }
}
