//! The claim `caps`, as the session keeps it.

use fanfare_proto::claims::{self, Action, Matching};

use crate::model::Rights;
use crate::model::capability::{Capabilities, Capability, Pattern};

/// None if nothing was claimed.
#[must_use]
pub fn read(claimed: Vec<claims::Capability>) -> Option<Box<Capabilities>> {
    Capabilities::new(claimed.into_iter().map(entry).collect())
}

fn entry(claimed: claims::Capability) -> Capability {
    let pattern = |text: String| match claimed.matching {
        Matching::Exact => Pattern::Exact(text.into()),
        Matching::Wildcard => Pattern::Wildcard(text.into()),
    };
    let right = |action| match action {
        Action::Subscribe => Rights::SUBSCRIBE,
        Action::Publish => Rights::PUBLISH,
        Action::Presence => Rights::PRESENCE,
        Action::History => Rights::HISTORY,
    };
    Capability {
        channels: claimed.channels.into_iter().map(pattern).collect(),
        allow: claimed.allow.into_iter().map(right).collect(),
    }
}
