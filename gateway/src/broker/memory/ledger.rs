//! Revocations of a node that is alone: they end with it, as everything does that it holds.

use std::collections::BTreeMap;

use fanfare_proto::envelope::{Control, IssuedBefore, Order, Revocation, What};
use fanfare_proto::limits::REVOCATIONS_MAX;

use super::MemoryBroker;
use crate::broker::ledger::{Ledger, LedgerError};
use crate::broker::{BoxFuture, BrokerError, BrokerEvent};

/// Written-down revocations, one of each kind and name.
#[derive(Debug, Default)]
pub(super) struct Book {
    tokens: BTreeMap<String, Revocation>,
    users: BTreeMap<String, Revocation>,
    blocked: BTreeMap<String, Revocation>,
}

impl Book {
    fn write(&mut self, order: Option<&Order>, now_unix_s: i64) -> Result<(), LedgerError> {
        let Some(Order::Revocation(written @ Revocation { what: Some(what), .. })) = order else {
            return Err(LedgerError::Senseless);
        };
        let mut written = written.clone();
        let (book, name) = match what {
            What::Token(id) => (&mut self.tokens, id),
            What::IssuedBefore(IssuedBefore { user, .. }) => (&mut self.users, user),
            What::Block(user) => (&mut self.blocked, user),
            What::Unblock(user) => {
                self.blocked.remove(user);
                return Ok(());
            }
        };
        book.retain(|_, old| lives(old, now_unix_s));
        let known = book.get(name);
        if known.is_none() && book.len() >= REVOCATIONS_MAX {
            return Err(LedgerError::Full);
        }
        if let (What::IssuedBefore(_), Some(known)) = (what, known) {
            keep_both(&mut written, known);
        }
        book.insert(name.clone(), written);
        Ok(())
    }
}

/// The later moment and the longer time: what was revoked stays so.
fn keep_both(written: &mut Revocation, known: &Revocation) {
    if let (Some(What::IssuedBefore(new)), Some(What::IssuedBefore(old))) = (&mut written.what, &known.what) {
        new.time = new.time.max(old.time);
    }
    let forever = written.expire_at == 0 || known.expire_at == 0;
    written.expire_at = if forever { 0 } else { written.expire_at.max(known.expire_at) };
}

fn lives(revocation: &Revocation, now_unix_s: i64) -> bool {
    revocation.expire_at == 0 || revocation.expire_at > now_unix_s
}

impl Ledger for MemoryBroker {
    fn write(&self, control: Control, now_unix_s: i64) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            // The place first: what is written down is told, in the same order.
            let place = self.place(0).await?;
            let mut book = self.ledger.lock();
            book.write(control.order.as_ref(), now_unix_s)?;
            place.send(BrokerEvent::Control(Box::new(control)));
            Ok(())
        })
    }

    fn read(&self, now_unix_s: i64) -> BoxFuture<'_, Result<Vec<Revocation>, BrokerError>> {
        let book = self.ledger.lock();
        let all = [&book.tokens, &book.users, &book.blocked].into_iter().flat_map(BTreeMap::values);
        let all = all.filter(|revocation| lives(revocation, now_unix_s)).cloned().collect();
        Box::pin(std::future::ready(Ok(all)))
    }

    fn unsettled(&self) -> BoxFuture<'_, ()> {
        // Nobody else writes.
        Box::pin(std::future::pending())
    }
}
