//! A client calls the application.

use std::sync::Arc;

use bytes::Bytes;
use fanfare_proto::code::ErrorCode;

use super::{Refusal, Session};
use crate::model::event::Reply;

impl Session {
    /// Error 108 without a hook: the gateway has no methods of its own.
    pub(super) async fn rpc(&mut self, id: u32, method: &str, data: Bytes) -> Result<(), Refusal> {
        let shared = Arc::clone(&self.shared);
        let hook = shared.hooks.rpc().ok_or(ErrorCode::NotAvailable)?;
        let data = self.waiting(hook.rpc(self.caller(), method, data)).await?;
        self.reply(id, &Reply::Rpc { data });
        Ok(())
    }
}
