//! Node to node: orders about sessions, kept apart from channels.

use std::fmt;

use fanfare_proto::envelope::Control;

use super::{BoxFuture, BrokerError};

/// Carries orders to every node, this one included, where they arrive as
/// [`super::BrokerEvent::Control`].
///
/// A node whose link was down meanwhile gets the order when it is back, as long as the control log
/// reaches (10,000 orders, one hour): a banned user cannot stay because a link was down.
pub trait Bus: fmt::Debug + Send + Sync + 'static {
    /// Sends an order to all nodes.
    ///
    /// # Errors
    /// When it is not certain that the order is in the log; then it may or may not be carried out.
    fn send(&self, control: Control) -> BoxFuture<'_, Result<(), BrokerError>>;
}
