//! A client's side of a link: a codec in front of a session.

use std::sync::Arc;

use super::Conversation;
use crate::codec::Codec;
use crate::model::Directive;
use crate::model::wire::Frame;
use crate::session::{Flow, Session};

/// Commands of one message that are carried out before other connections of the thread get their turn.
const BURST: usize = 64;

/// A codec in front of a session.
#[derive(Debug)]
pub struct Client {
    codec: Arc<dyn Codec>,
    session: Session,
}

impl Client {
    /// Joins the two; the session writes in the codec's wire.
    #[must_use]
    pub fn new(codec: Arc<dyn Codec>, session: Session) -> Self {
        Self { codec, session }
    }
}

impl Conversation for Client {
    async fn receive(&mut self, message: Frame) -> Flow {
        let (Frame::Text(bytes) | Frame::Binary(bytes)) = message;
        let decoded = self.codec.decode(bytes);
        for (i, command) in decoded.commands.into_iter().enumerate() {
            if i % BURST == BURST - 1 {
                tokio::task::yield_now().await;
            }
            let flow = self.session.handle(command).await;
            if flow != Flow::Continue {
                return flow;
            }
        }
        decoded.then.map_or(Flow::Continue, Flow::Close)
    }

    async fn obey(&mut self, directive: Directive) -> Flow {
        self.session.obey(directive).await
    }

    fn tick(&mut self) -> Flow {
        self.session.tick()
    }
}
