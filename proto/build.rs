//! Compiles the schemas with protox, so that nothing but cargo is needed.

use prost_build::Config;
use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut schemas = protox::Compiler::new(["schema"])?;
    schemas.open_files(["client.proto", "envelope.proto", "hook.proto"])?;
    let mut config = Config::new();
    config.bytes(["."]).btree_map(["."]).skip_debug(WITH_TOKENS);
    derive_json(&mut config, &schemas.descriptor_pool(), ".fanfare.client", client_rules);
    derive_json(&mut config, &schemas.descriptor_pool(), ".centrifugal.centrifugo.proxy", hook_rules);
    config.compile_fds(schemas.file_descriptor_set())?;
    println!("cargo::rerun-if-changed=schema");
    Ok(())
}

/// Messages that hold tokens: `centrifuge::masked` shows them without.
const WITH_TOKENS: [&str; 4] = [
    ".fanfare.client.ConnectRequest",
    ".fanfare.client.SubscribeRequest",
    ".fanfare.client.RefreshRequest",
    ".fanfare.client.SubRefreshRequest",
];

/// The client protocol and the hooks have a JSON form with the schema's names; `centrifuge::json::field` and
/// `hook::field` have its rules.
fn derive_json(
    config: &mut Config,
    schemas: &DescriptorPool,
    package: &str,
    rules: fn(&FieldDescriptor) -> &'static str,
) {
    config.message_attribute(package, "#[derive(serde::Serialize, serde::Deserialize)]\n#[serde(default)]");
    let messages = schemas.all_messages().filter(|message| package.ends_with(message.package_name()));
    for field in messages.flat_map(|message| message.fields().collect::<Vec<_>>()) {
        config.field_attribute(format!(".{}", field.full_name()), format!("#[serde({})]", rules(&field)));
    }
}

/// Answers whose fields are there also when they are empty or zero, as Centrifugo writes them: official
/// clients take what is not there for `undefined`.
const WRITTEN_WHOLE: &[&str] = &["PresenceResult", "PresenceStatsResult", "HistoryResult"];

fn client_rules(field: &FieldDescriptor) -> &'static str {
    if WRITTEN_WHOLE.contains(&field.parent_message().name()) {
        return r#"deserialize_with = "crate::centrifuge::json::field::or_default""#;
    }
    match field.kind() {
        Kind::Bytes => {
            r#"with = "crate::centrifuge::json::field::raw", skip_serializing_if = "bytes::Bytes::is_empty""#
        }
        Kind::Message(_) if !field.is_list() && !field.is_map() => {
            r#"deserialize_with = "crate::centrifuge::json::field::message", skip_serializing_if = "Option::is_none""#
        }
        _ => {
            r#"deserialize_with = "crate::centrifuge::json::field::or_default", skip_serializing_if = "crate::centrifuge::json::field::is_default""#
        }
    }
}

fn hook_rules(field: &FieldDescriptor) -> &'static str {
    match field.kind() {
        Kind::Bytes => r#"with = "crate::hook::field::raw", skip_serializing_if = "bytes::Bytes::is_empty""#,
        Kind::Message(_) if !field.is_list() && !field.is_map() => {
            r#"deserialize_with = "crate::hook::field::message", skip_serializing_if = "Option::is_none""#
        }
        Kind::Message(_) if field.is_list() => {
            r#"deserialize_with = "crate::hook::field::messages", skip_serializing_if = "crate::hook::field::is_default""#
        }
        // Backends look the user up by it, also where it is empty: that is the anonymous one.
        _ if field.name() == "user" && field.parent_message().name().ends_with("Request") => {
            r#"deserialize_with = "crate::hook::field::or_default""#
        }
        _ => {
            r#"deserialize_with = "crate::hook::field::or_default", skip_serializing_if = "crate::hook::field::is_default""#
        }
    }
}
