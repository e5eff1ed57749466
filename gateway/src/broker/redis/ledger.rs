//! Revocations in Redis: one script writes them down, logs and announces them; whoever needs all of them
//! reads four keys.

use std::collections::HashMap;

use fanfare_proto::envelope::{Control, IssuedBefore, Revocation, What};
use fanfare_proto::limits::REVOCATIONS_MAX;
use fanfare_proto::script::REVOKE_FULL;
use fanfare_proto::script::revoke::Call;

use super::RedisBroker;
use crate::broker::ledger::{Ledger, LedgerError};
use crate::broker::{BoxFuture, BrokerError};
use crate::redis_link::{LinkState, pipe};

/// Names and when they may be forgotten, as text: `inf` for never.
type Names = Vec<(String, String)>;

impl RedisBroker {
    async fn write_revocation(&self, control: Control, now_unix_s: i64) -> Result<(), LedgerError> {
        let call = Call::new(&self.keys, control, now_unix_s).ok_or(LedgerError::Senseless)?;
        let keys: Vec<&str> = call.keys.iter().map(String::as_str).collect();
        let arguments: Vec<&[u8]> = call.arguments.iter().map(Vec::as_slice).collect();
        let answer: String =
            self.link.run_script(&self.scripts.revoke, &keys, &arguments).await.map_err(BrokerError::from)?;
        if answer == REVOKE_FULL { Err(LedgerError::Full) } else { Ok(()) }
    }

    async fn read_revocations(&self, now_unix_s: i64) -> Result<Vec<Revocation>, BrokerError> {
        let mut ask = pipe();
        // One moment: a name of one key has its number in another.
        ask.atomic();
        for key in [self.keys.revoked_tokens(), self.keys.blocked_users(), self.keys.revoked_users()] {
            let living = ask.cmd("ZRANGEBYSCORE").arg(key).arg(format!("({now_unix_s}")).arg("+inf");
            living.arg("WITHSCORES").arg("LIMIT").arg(0).arg(REVOCATIONS_MAX);
        }
        ask.cmd("HGETALL").arg(self.keys.revoked_before());
        let (tokens, blocked, users, before): (Names, Names, Names, HashMap<String, i64>) =
            self.link.admin(&ask).await?;
        let issued_before =
            |user: String| before.get(&user).map(|time| What::IssuedBefore(IssuedBefore { user, time: *time }));
        let all = tokens.into_iter().map(|(id, end)| (Some(What::Token(id)), end));
        let all = all.chain(blocked.into_iter().map(|(user, end)| (Some(What::Block(user)), end)));
        let all = all.chain(users.into_iter().map(|(user, end)| (issued_before(user), end)));
        Ok(all.filter_map(|(what, end)| Some(Revocation { what: Some(what?), expire_at: ends(&end) })).collect())
    }
}

/// 0 for never, and for what nobody can read: rather remembered too long than forgotten.
fn ends(score: &str) -> i64 {
    // Scores are written as whole numbers by all who keep to the layout, and by Redis up to 2^53.
    score.parse().unwrap_or(0)
}

impl Ledger for RedisBroker {
    fn write(&self, control: Control, now_unix_s: i64) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(self.write_revocation(control, now_unix_s))
    }

    fn read(&self, now_unix_s: i64) -> BoxFuture<'_, Result<Vec<Revocation>, BrokerError>> {
        Box::pin(self.read_revocations(now_unix_s))
    }

    fn unsettled(&self) -> BoxFuture<'_, ()> {
        // From now on, not from when it is first waited for.
        let mut changes = self.link.changes();
        Box::pin(async move {
            loop {
                changes.next().await;
                if self.link.state() == LinkState::Up {
                    return;
                }
            }
        })
    }
}
