//! The manual, made of [`SECTIONS`]: as a configuration file, and as docs.

use std::fmt::Write;

use crate::config::centrifugo::{self, NAMES, OPTIONS_LATER, OPTIONS_NEW, OPTIONS_RENAMED};
use crate::config::load::DEV;
use crate::config::manual::{Key, Section, Unset};
use crate::config::raw::{HOOK, HOOKS, LISTS, NAMESPACES, RawChannelOptions, RawHookUse, SECTIONS};
use crate::config::settings::{Origin, Settings};
use crate::config::value::EXAMPLE_SECRET;

const HEAD: &str = "\
# Every key of the gateway's configuration. `#key = value` shows what a key is when it is not set, or,
# where the text says what it is then, an example; take the `#` away to set it.
#
# A key can also be set by the environment: FANFARE_ and its path in capitals, levels joined by two
# underscores (FANFARE_CLIENT__PING_INTERVAL=10s). With _FILE at the end the variable names a file that
# holds the value (FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE=/run/secrets/token). Lists are JSON.
# Flags win over the environment, the environment over the file.
";

/// Every key with its default, as a file that changes nothing.
#[must_use]
pub fn defaults() -> String {
    file(HEAD, &Settings::default())
}

/// Every key, those that are set uncommented and with the place where they are; secrets masked.
#[must_use]
pub fn effective(settings: &Settings) -> String {
    let head = "# What is set, and where; keys after a `#` have their defaults. Secrets are masked.\n";
    file(head, settings)
}

fn file(head: &str, settings: &Settings) -> String {
    let mut out = head.to_owned();
    for section in SECTIONS {
        if is_list(section) {
            list(&mut out, section, settings);
        } else if section.path == HOOK {
            hooks(&mut out, section, settings);
        } else {
            out.push('\n');
            comment(&mut out, section.about);
            let _ = writeln!(out, "[{}]", section.path);
            keys(&mut out, section.keys, section.path, settings, true);
        }
    }
    out
}

fn is_list(section: &Section) -> bool {
    LISTS.iter().any(|(list, ..)| section.path == *list)
}

/// The given tables; without any, one as an example, commented out as a whole.
fn list(out: &mut String, section: &Section, settings: &Settings) {
    let list = section.path;
    // A namespace has the keys of `channel.default`, too.
    let more = if list == NAMESPACES { RawChannelOptions::MANUAL.keys } else { &[] };
    let given = (0..).map(|index| format!("{list}[{index}]")).take_while(|path| settings.get(path).is_some());
    let given: Vec<String> = given.collect();
    out.push('\n');
    comment(out, section.about);
    for path in &given {
        let _ = writeln!(out, "[[{list}]]");
        keys(out, section.keys, path, settings, false);
        keys(out, more, path, settings, false);
    }
    if given.is_empty() {
        let _ = writeln!(out, "#[[{list}]]");
        keys(out, section.keys, list, settings, true);
        keys(out, more, list, settings, false);
    }
}

/// The given ones; without any, an empty one as an example.
fn hooks(out: &mut String, section: &Section, settings: &Settings) {
    let is_key = |name: &String| RawHookUse::MANUAL.keys.iter().any(|key| key.name == name);
    let mut given: Vec<String> = settings.tables_of(HOOKS).into_iter().filter(|name| !is_key(name)).collect();
    out.push('\n');
    comment(out, section.about);
    let explained = given.is_empty();
    if explained {
        given.extend(HOOK.rsplit('.').next().map(str::to_owned));
    }
    for name in given {
        let path = format!("{HOOKS}.{name}");
        let _ = writeln!(out, "[{path}]");
        keys(out, section.keys, &path, settings, explained);
    }
}

fn keys(out: &mut String, keys: &[Key], path: &str, settings: &Settings, explained: bool) {
    for key in keys {
        if explained {
            comment(out, key.about);
        }
        let shown = settings.get(&format!("{path}.{}", key.name)).and_then(|setting| {
            let value = (key.show)(&setting.value)?;
            Some(format!("{} = {value} # {}", key.name, origin(&setting.origin)))
        });
        let _ = match shown {
            Some(line) => writeln!(out, "{line}"),
            None => writeln!(out, "#{} = {}", key.name, key.shown()),
        };
    }
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::File { .. } | Origin::Dev => origin.to_string(),
        Origin::Variable(_) | Origin::VariableFile(_) | Origin::Flag(_) => format!("by {origin}"),
    }
}

fn comment(out: &mut String, lines: &[&str]) {
    for line in lines {
        let _ = writeln!(out, "#{}", line.trim_end());
    }
}

/// docs/config.md, whole.
#[must_use]
pub fn markdown() -> String {
    let dev = Settings::from_toml(DEV, |_| Origin::Dev).expect("a constant, read by tests");
    let mut out = MARKDOWN_HEAD.to_owned();
    for section in SECTIONS {
        let brackets = if is_list(section) { ("[[", "]]") } else { ("[", "]") };
        let about: Vec<&str> = section.about.iter().map(|line| line.trim()).collect();
        let _ = writeln!(out, "\n## `{}{}{}`\n\n{}\n", brackets.0, section.path, brackets.1, about.join("\n"));
        let _ = writeln!(out, "| key | default | meaning |\n| --- | --- | --- |");
        for key in section.keys {
            let default = match key.unset {
                Unset::Default(_) => format!("`{}`", key.shown()),
                // What nobody may take over is no example.
                Unset::Example(example) if example == EXAMPLE_SECRET => "unset".to_owned(),
                Unset::Example(_) => format!("unset; e.g. `{}`", key.shown()),
            };
            let in_dev = dev.get(&format!("{}.{}", section.path, key.name)).and_then(|set| (key.show)(&set.value));
            let in_dev = in_dev.map(|value| format!("; `{value}` in `dev`")).unwrap_or_default();
            let _ = writeln!(out, "| `{}` | {default}{in_dev} | {} |", key.name, key.prose());
        }
    }
    out
}

const MARKDOWN_HEAD: &str = "\
# Configuration

<!-- Made of the comments in gateway/src/config/raw.rs and raw/: change them, then run
     `UPDATE_DOCS=1 cargo test -p fanfare-gateway --test cli`. -->

`fanfare-gateway print-config` prints every key with its default as a file to start from
(deploy/config/gateway.toml is one), `check-config` tells all that is wrong with yours without starting
anything, and `print-config -c gateway.toml` shows what is set, and where.

The later one wins, key by key; a list wins as a whole:

| layer | example |
| --- | --- |
| the defaults below | |
| the defaults of `dev`, where they differ | |
| the file, TOML, of `-c` | `ping_interval = \"10s\"` under `[client]` |
| the environment | `FANFARE_CLIENT__PING_INTERVAL=10s` |
| flags | `--listen`, `--internal-listen`, `--broker` |

- **Durations** are texts with units: `\"25s\"`, `\"500ms\"`, `\"1h30m\"`. **Sizes** are `\"64KiB\"`, `\"1MiB\"` or a number of bytes.
- **Variables** are `FANFARE_` and the path in capitals, levels joined by two underscores. Lists are JSON:
  `FANFARE_CLIENT__ALLOWED_ORIGINS='[\"https://example.com\"]'`,
  `FANFARE_CHANNEL__NAMESPACE='[{\"name\":\"chat\",\"allow_subscribe_for_client\":true}]'`.
  A variable that is set but empty stops the start.
- **Secrets from files:** with `_FILE` at its end a variable names a file that holds the value, as in
  `FANFARE_AUTH__TOKEN__HMAC_SECRET_FILE=/run/secrets/token`. One newline at the file's end is taken off.
  `X` and `X_FILE` together stop the start.
- **Unknown keys** in the file stop the start; unknown `FANFARE_*` variables are warned of and ignored.
- **Exit codes:** 0 fine, 1 failure, 2 wrong usage, 78 bad configuration.

Coming from Centrifugo? [from-centrifugo.md](from-centrifugo.md) has the table of names.
";

/// The tables of docs/from-centrifugo.md.
#[must_use]
pub fn centrifugo_tables() -> String {
    let mut out = String::from("| Centrifugo | Fanfare | |\n| --- | --- | --- |\n");
    for name in NAMES {
        let here = match name.here {
            Some(here) if here == name.theirs => "the same".to_owned(),
            Some(here) => format!("`{here}`"),
            None => "-".to_owned(),
        };
        let _ = writeln!(out, "| `{}` | {here} | {} |", name.theirs, name.note);
    }
    out.push_str("\n| option of a channel or namespace | Fanfare |\n| --- | --- |\n");
    for key in RawChannelOptions::MANUAL.keys {
        let text = if OPTIONS_NEW.contains(&key.name) { "new here" } else { "the same" };
        let _ = writeln!(out, "| `{}` | {text} |", key.name);
    }
    for (option, here) in OPTIONS_RENAMED {
        let _ = writeln!(out, "| `{option}` | `{here}` |");
    }
    for option in OPTIONS_LATER {
        let _ = writeln!(out, "| `{option}` | {} |", centrifugo::LATER);
    }
    out
}
