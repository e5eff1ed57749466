//! The options of one subscription: the channel's, but for what the application says of it.

use std::borrow::Cow;

use crate::config::section::ChannelOptions;
use crate::model::Overrides;

/// The channel's options with the overrides put over them. Copies them only where there are any.
#[must_use]
pub fn overridden(options: &ChannelOptions, overrides: Overrides) -> Cow<'_, ChannelOptions> {
    if overrides == Overrides::default() {
        return Cow::Borrowed(options);
    }
    let Overrides { presence, join_leave, force_push_join_leave, force_recovery, force_positioning } = overrides;
    Cow::Owned(ChannelOptions {
        presence: presence.unwrap_or(options.presence),
        join_leave: join_leave.unwrap_or(options.join_leave),
        force_push_join_leave: force_push_join_leave.unwrap_or(options.force_push_join_leave),
        force_recovery: force_recovery.unwrap_or(options.force_recovery),
        force_positioning: force_positioning.unwrap_or(options.force_positioning),
        ..options.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_override_changes_its_option_and_nothing_else() {
        const ALL: ChannelOptions = ChannelOptions {
            presence: true,
            join_leave: true,
            force_push_join_leave: true,
            force_recovery: true,
            force_positioning: true,
            ..ChannelOptions::CLOSED
        };
        let none = Overrides::default();
        assert!(matches!(overridden(&ALL, none), Cow::Borrowed(_)));
        let table: [(Overrides, ChannelOptions); 5] = [
            (Overrides { presence: Some(false), ..none }, ChannelOptions { presence: false, ..ALL }),
            (Overrides { join_leave: Some(false), ..none }, ChannelOptions { join_leave: false, ..ALL }),
            (
                Overrides { force_push_join_leave: Some(false), ..none },
                ChannelOptions { force_push_join_leave: false, ..ALL },
            ),
            (Overrides { force_recovery: Some(false), ..none }, ChannelOptions { force_recovery: false, ..ALL }),
            (Overrides { force_positioning: Some(false), ..none }, ChannelOptions { force_positioning: false, ..ALL }),
        ];
        for (overrides, expected) in table {
            assert_eq!(*overridden(&ALL, overrides), expected, "{overrides:?}");
        }
        let on = Some(true);
        let all = Overrides {
            presence: on,
            join_leave: on,
            force_push_join_leave: on,
            force_recovery: on,
            force_positioning: on,
        };
        assert_eq!(*overridden(&ChannelOptions::CLOSED, all), ALL);
    }
}
