//! What to say of a key or a variable that does not exist: what was probably meant.

use std::ffi::OsStr;

use crate::config::centrifugo::{self, LATER};
use crate::config::load::paths;
use crate::config::manual::variable;
use crate::config::raw::{LISTS, NAMESPACES, RawChannelOptions, RawHook, RawHookUse, SECTIONS};

/// How alike two names must be for one to be a slip of the other, from 0 to 1.
const ALIKE_MIN: f64 = 0.75;

/// Says what is wrong with an unknown path, and the fix.
pub(crate) fn key_text(path: &str) -> String {
    let path = without_positions(path);
    if let Some(text) = hook_key_text(&path) {
        return text;
    }
    if let Some(text) = misplaced(&path) {
        return text;
    }
    // Centrifugo's sections for channels: the options in them mostly have the same names.
    let ours = path.replacen("channel.without_namespace.", "channel.default.", 1).replacen(
        "channel.namespaces.",
        "channel.namespace.",
        1,
    );
    if ours != path && is_known(&ours) {
        return format!("is Centrifugo's name: here it is {ours}");
    }
    if let Some((_, here)) = channel_option(&ours)
        .and_then(|option| centrifugo::OPTIONS_RENAMED.iter().find(|(theirs, _)| *theirs == option))
    {
        return format!("is Centrifugo's name: here it is {here} (true, or a hook's name)");
    }
    if let Some(option) = channel_option(&ours)
        && centrifugo::OPTIONS_LATER.contains(&option.split('.').next().unwrap_or(option))
    {
        return format!("is {LATER}: remove it");
    }
    if let Some(name) = centrifugo::find(&path).filter(|name| name.here != Some(path.as_str())) {
        return match (name.here, name.note) {
            (Some(here), "") => format!("is Centrifugo's name: here it is {here}"),
            (Some(here), note) => format!("is Centrifugo's name: here it is {here} ({note})"),
            (None, note) => format!("is Centrifugo's name: {note}; remove it"),
        };
    }
    match nearest(&path) {
        Some(known) => format!("there is no such key: did you mean {known}?"),
        None => "there is no such key: remove it; `print-config` shows all keys".into(),
    }
}

/// The same for a key of a hook, whose section has a name of the operator's choice.
fn hook_key_text(path: &str) -> Option<String> {
    let (name, key) = path.strip_prefix("hook.")?.split_once('.')?;
    if RawHookUse::MANUAL.keys.iter().any(|key| key.name == name) {
        return Some(format!(
            "hook.{name} names the hook that is asked, so no hook can be called so: call it [hook.app], say, and set \
             hook.{name} = \"app\""
        ));
    }
    let known = RawHook::MANUAL.keys.iter().map(|key| key.name.to_owned());
    Some(match most_alike(&snake_case(key), known, ToOwned::to_owned) {
        Some(known) => format!("there is no such key: did you mean hook.{name}.{known}?"),
        None => "there is no such key: remove it; `print-config` shows all keys".into(),
    })
}

/// What to warn of an unknown variable; `None` for those that Kubernetes sets by itself.
pub(crate) fn variable_warning(name: &str, value: &OsStr) -> Option<String> {
    if is_service_link(name, value) {
        return None;
    }
    // One underscore between levels instead of two is the likeliest slip.
    let plain = |name: &str| name.replace("__", "_");
    let known = paths().map(|path| variable(&path)).flat_map(|name| [format!("{name}_FILE"), name]);
    let best = most_alike(&plain(name), known, |known| plain(known));
    Some(match best {
        Some(known) => format!("{name} sets no key and is ignored: did you mean {known}?"),
        None => format!("{name} sets no key and is ignored"),
    })
}

/// Whether Kubernetes made the variable for a Service whose name begins like ours, as in
/// `FANFARE_GATEWAY_SERVICE_HOST` and `FANFARE_GATEWAY_PORT_8080_TCP_ADDR`.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let url = value.to_str().is_some_and(|value| ["tcp://", "udp://", "sctp://"].iter().any(|s| value.starts_with(s)));
    let protocols = ["_TCP", "_UDP", "_SCTP"];
    let numbered = name.contains("_PORT_") && protocols.iter().any(|p| name.contains(p));
    !name.contains("__")
        && (name.ends_with("_SERVICE_HOST")
            || name.ends_with("_SERVICE_PORT")
            || name.contains("_SERVICE_PORT_")
            || (name.ends_with("_PORT") && url)
            || numbered)
}

/// A section where a value is, a value where a section is, a list's section with single brackets.
fn misplaced(path: &str) -> Option<String> {
    let inside = |list: &str| path.strip_prefix(list).is_some_and(|rest| rest.starts_with('.')) && is_known(path);
    if let Some((list, each, _)) = LISTS.iter().find(|(list, ..)| path == *list || inside(list)) {
        return Some(format!("is a list: write each {each} as [[{list}]], with double brackets"));
    }
    let below = format!("{path}.");
    if SECTIONS.iter().any(|section| section.path == path) {
        return Some(format!("is a section, not a value: write [{path}], and its keys below it"));
    }
    if let Some(section) = SECTIONS.iter().find(|section| section.path.starts_with(&below)) {
        return Some(format!("is not a value: it holds sections such as [{}]", section.path));
    }
    let key = known().find(|key| path.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with('.')))?;
    Some(format!("there is no such key: {key} is a value, not a section"))
}

/// The last part of a path into channel options, ours or Centrifugo's.
fn channel_option(path: &str) -> Option<&str> {
    path.strip_prefix("channel.default.").or_else(|| path.strip_prefix("channel.namespace."))
}

/// Every path that a file may hold, positions left out.
fn known() -> impl Iterator<Item = String> {
    let of_namespaces = RawChannelOptions::MANUAL.keys.iter().map(|key| format!("{NAMESPACES}.{}", key.name));
    let of_sections =
        SECTIONS.iter().flat_map(|section| section.keys.iter().map(|key| format!("{}.{}", section.path, key.name)));
    of_sections.chain(of_namespaces)
}

fn is_known(path: &str) -> bool {
    known().any(|known| known == path)
}

fn nearest(path: &str) -> Option<String> {
    let snake = snake_case(path);
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    // The right name in the wrong section, else a slip in the whole path, else in the name.
    let namesakes = || known().filter(|known| last(known) == last(&snake));
    let by_likeness =
        namesakes().max_by(|a, b| strsim::jaro_winkler(a, &snake).total_cmp(&strsim::jaro_winkler(b, &snake)));
    by_likeness
        .or_else(|| most_alike(&snake, known(), ToOwned::to_owned))
        .or_else(|| most_alike(&last(&snake), known(), |known| last(known)))
}

/// The candidate most like a name, if it is like enough.
fn most_alike(name: &str, candidates: impl Iterator<Item = String>, part: impl Fn(&str) -> String) -> Option<String> {
    candidates
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&part(&candidate), name), candidate))
        .filter(|(alike, _)| *alike >= ALIKE_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// `allowSubscribeForClient` and `allow-subscribe-for-client` as we write them.
fn snake_case(path: &str) -> String {
    let mut snake = String::with_capacity(path.len() + 8);
    for c in path.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() && !snake.ends_with(['.', '_']) {
            snake.push('_');
        }
        snake.push(if c == '-' { '_' } else { c.to_ascii_lowercase() });
    }
    snake
}

fn without_positions(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => plain.push(c),
            _ => {}
        }
    }
    plain
}
