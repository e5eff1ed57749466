//! docs/metrics.md and the code name the same metrics.

use std::collections::BTreeSet;

use fanfare_gateway::telemetry::Metrics;
use fanfare_gateway::telemetry::metrics::{
    Cause, CauseLabel, CodeLabel, HookLabel, HookNameLabel, LimitLabel, OutcomeLabel, ReasonLabel, Road, RoadLabel,
};

#[test]
fn the_page_lists_every_metric_and_no_other() {
    let metrics = Metrics::new();
    // A family without values has nothing to show.
    metrics.publications.get_or_create(&RoadLabel { road: Road::api }).inc();
    metrics.errors.get_or_create(&CodeLabel { code: 100 }).inc();
    metrics.api_requests.get_or_create(&OutcomeLabel { outcome: "ok" }).inc();
    metrics.outbox_dropped.get_or_create(&ReasonLabel { reason: "slow" }).inc();
    metrics.broker_dropped.get_or_create(&ReasonLabel { reason: "intake_full" }).inc();
    metrics.recoveries.get_or_create(&OutcomeLabel { outcome: "recovered" }).inc();
    metrics.heals.get_or_create(&OutcomeLabel { outcome: "healed" }).inc();
    metrics.jwks_fetches.get_or_create(&OutcomeLabel { outcome: "ok" }).inc();
    metrics.history_reads.get_or_create(&CauseLabel { cause: Cause::open }).inc();
    metrics.limited.get_or_create(&LimitLabel { limit: "channels" }).inc();
    metrics.refused_connections.get_or_create(&ReasonLabel { reason: "tls" }).inc();
    metrics.certificate_reloads.get_or_create(&OutcomeLabel { outcome: "ok" }).inc();
    let hook = String::from("app");
    metrics.hook_calls.get_or_create(&HookLabel { hook: hook.clone(), kind: "rpc", outcome: "ok" }).inc();
    metrics.hook_open.get_or_create(&HookNameLabel { hook }).set(1);
    metrics.webhook_requests.get_or_create(&OutcomeLabel { outcome: "ok" }).inc();
    metrics.webhook_lost.get_or_create(&ReasonLabel { reason: "queue_full" }).inc();
    metrics.count_disconnect(3008);
    let text = metrics.encode().unwrap();
    let name = |line: &str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
    let told: BTreeSet<String> = text.lines().filter(|line| !line.starts_with('#')).map(name).collect();
    let page = include_str!("../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeSet<String> = rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect();
    assert_eq!(told, listed);
}

#[test]
fn custom_close_codes_do_not_make_new_series() {
    let metrics = Metrics::new();
    for code in 4000..4500 {
        metrics.count_disconnect(code);
    }
    let text = metrics.encode().unwrap();
    assert!(text.contains("fanfare_disconnects_total{code=\"0\"} 500"), "{text}");
}
