//! Who and what is no longer let in. Written down for those who come later, and told to all nodes, which
//! end what is there.

use fanfare_proto::envelope::{IssuedBefore, Revocation, What};
use fanfare_proto::limits::{REVOKED_ID_BYTES_MAX, UNIX_SECONDS_MAX};

use super::{Api, ApiError};

impl Api {
    pub(super) async fn revoke_token(&self, uid: String, expire_at: i64) -> Result<(), ApiError> {
        check_id("uid", &uid)?;
        self.write(What::Token(uid), expire_at).await
    }

    /// Without a moment: all that were made until now. Tokens count in whole seconds, so those of the
    /// present second go, too; a token that was made in it after the call has to be made anew.
    pub(super) async fn invalidate_user_tokens(
        &self,
        user: String,
        issued_before: i64,
        expire_at: i64,
    ) -> Result<(), ApiError> {
        check_id("user", &user)?;
        let time = match issued_before {
            0 => self.now_unix_s() + 1,
            time => check_time("issued_before", time)?,
        };
        self.write(What::IssuedBefore(IssuedBefore { user, time }), expire_at).await
    }

    pub(super) async fn block_user(&self, user: String, expire_at: i64) -> Result<(), ApiError> {
        check_id("user", &user)?;
        self.write(What::Block(user), expire_at).await
    }

    pub(super) async fn unblock_user(&self, user: String) -> Result<(), ApiError> {
        check_id("user", &user)?;
        self.write(What::Unblock(user), 0).await
    }

    async fn write(&self, what: What, expire_at: i64) -> Result<(), ApiError> {
        if expire_at != 0 && check_time("expire_at", expire_at)? <= self.now_unix_s() {
            return Err(ApiError::bad("expire_at: has passed, so that nothing would be done"));
        }
        Ok(self.node.revoke(Revocation { what: Some(what), expire_at }).await?)
    }

    fn now_unix_s(&self) -> i64 {
        self.node.clock().unix_ms().div_euclid(1000)
    }
}

/// Every node keeps it, so it must be short. Empty is nobody: tokens without an id and anonymous users
/// cannot be told from each other.
fn check_id(field: &str, id: &str) -> Result<(), ApiError> {
    match id.len() {
        0 => Err(ApiError::bad(format!("{field}: cannot be empty"))),
        1..=REVOKED_ID_BYTES_MAX => Ok(()),
        bytes => Err(ApiError::too_many(format!("{field}: {bytes} bytes are over {REVOKED_ID_BYTES_MAX}"))),
    }
}

/// Milliseconds, most often, are what is out of range.
fn check_time(field: &str, seconds: i64) -> Result<i64, ApiError> {
    if (1..=UNIX_SECONDS_MAX).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(ApiError::bad(format!("{field}: must be seconds since 1970, before the year 10000")))
    }
}
