//! A client's side of a link: a codec in front of a session.

use std::sync::Arc;

use super::Conversation;
use crate::codec::{Codec, Decoded};
use crate::model::command::Command;
use crate::model::wire::Frame;
use crate::model::{Close, Directive};
use crate::session::{Flow, Session};

/// A codec in front of a session.
#[derive(Debug)]
pub struct Client {
    codec: Arc<dyn Codec>,
    session: Session,
    /// Boxed: few messages have more than one command.
    left: Option<Box<Left>>,
}

/// What is left of a message.
#[derive(Debug)]
struct Left {
    commands: std::vec::IntoIter<Command>,
    then: Option<Close>,
}

impl Client {
    /// Joins the two; the session writes in the codec's wire.
    #[must_use]
    pub fn new(codec: Arc<dyn Codec>, session: Session) -> Self {
        Self { codec, session, left: None }
    }
}

impl Conversation for Client {
    async fn receive(&mut self, message: Frame) -> Flow {
        let (Frame::Text(bytes) | Frame::Binary(bytes)) = message;
        let Decoded { commands, then } = self.codec.decode(bytes);
        let mut commands = commands.into_iter();
        let first = commands.next();
        let over = commands.as_slice().is_empty() && (first.is_none() || then.is_none());
        let closing = if over {
            then
        } else {
            self.left = Some(Box::new(Left { commands, then }));
            None
        };
        match (first, closing) {
            (Some(command), _) => self.session.handle(command).await,
            (None, Some(close)) => Flow::Close(close),
            (None, None) => Flow::Continue,
        }
    }

    fn has_more(&self) -> bool {
        self.left.is_some()
    }

    async fn go_on(&mut self) -> Flow {
        let Some(left) = &mut self.left else { return Flow::Continue };
        if let Some(command) = left.commands.next() {
            // The one before may have taken its time.
            return match self.session.expire() {
                Flow::Continue => self.session.handle(command).await,
                over @ Flow::Close(_) => over,
            };
        }
        let then = left.then.take();
        self.left = None;
        then.map_or(Flow::Continue, Flow::Close)
    }

    async fn obey(&mut self, directive: Directive) -> Flow {
        self.session.obey(directive).await
    }

    fn tick(&mut self) -> Flow {
        self.session.tick()
    }
}
