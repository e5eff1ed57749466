//! A publication that is told more than once: in replies to many clients that recover, each in a frame
//! of its own. It is encoded once for each wire and form, and shared.

use std::sync::OnceLock;

use bytes::Bytes;

use super::wire::{Form, WireKey};
use super::{Position, Publication};

/// A publication with a position, and its encoded forms as far as anybody has asked for them.
#[derive(Debug)]
pub struct Retained {
    publication: Publication,
    position: Position,
    written: [[OnceLock<Bytes>; Form::COUNT]; WireKey::COUNT],
}

impl Retained {
    /// Keeps a publication; none if it has no position.
    #[must_use]
    pub fn new(publication: Publication) -> Option<Self> {
        let position = publication.position.clone()?;
        Some(Self { publication, position, written: Default::default() })
    }

    /// What was said.
    #[must_use]
    pub fn publication(&self) -> &Publication {
        &self.publication
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Size of what was said, in bytes: payload, infos and tags, without any wire's own.
    #[must_use]
    pub fn size(&self) -> usize {
        self.publication.size()
    }

    /// As codecs put it into larger messages on a wire; `write` makes it the first time.
    pub fn written(&self, wire: WireKey, form: Form, write: impl FnOnce(&Publication) -> Bytes) -> &Bytes {
        self.written[wire.index()][form.index()].get_or_init(|| write(&self.publication))
    }
}
