//! What `print-config` prints is what is read.

use super::*;

#[test]
fn the_printed_file_changes_nothing_and_every_line_in_it_is_good() {
    let printed = print::defaults();
    let default = good("", &[]).config;
    assert_eq!(good(&printed, &[]).config, default);
    // With all examples taken up it is still a good file; defaults remain what they are.
    let key = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') && !rest.is_empty() => rest.to_owned(),
        _ => line.to_owned(),
    };
    let all: String = printed.lines().map(|line| format!("{}\n", own(&key(line)))).collect();
    let config = good(&all, &[]).config;
    assert_eq!((config.client.ping_interval, config.broker), (default.client.ping_interval, default.broker));
    assert_eq!((config.server.node_name.as_str(), config.channel.namespaces.len()), ("gateway-1", 1));
    let keys = all.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    let of_the_namespace = raw::RawChannelOptions::MANUAL.keys.len();
    assert_eq!(keys, SECTIONS.iter().map(|section| section.keys.len()).sum::<usize>() + of_the_namespace);
}

#[test]
fn the_effective_file_says_what_is_set_and_where() {
    let file = "
        [client]
        ping_interval = \"90s\"
        [[channel.namespace]]
        name = \"chat\"
        exclude_publisher = true
    ";
    let environment = [("FANFARE_API__KEY", "hunter2"), ("FANFARE_BROKER__URL", "redis://u:hunter2@redis:6379/1")];
    let loaded = good(file, &environment);
    let printed = print::effective(&loaded.settings);
    let set: Vec<&str> = printed.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty()).collect();
    let file_name = match loaded.settings.origin("client.ping_interval") {
        Some(Origin::File { name, .. }) => name.clone(),
        other => panic!("{other:?}"),
    };
    let expected = [
        format!("ping_interval = \"1m30s\" # {file_name}:3"),
        format!("name = \"chat\" # {file_name}:5"),
        format!("exclude_publisher = true # {file_name}:6"),
        "key = \"***\" # by FANFARE_API__KEY".to_owned(),
        "url = \"redis://***@redis:6379/1\" # by FANFARE_BROKER__URL".to_owned(),
    ];
    assert_eq!(set, expected);
    assert!(toml::from_str::<toml::Table>(&printed).is_ok());
}
