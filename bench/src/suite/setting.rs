//! What a suite measures: the table of settings. A setting is a key, who takes part, and a function that makes
//! one run of any experiment.

use anyhow::Result;

use super::subject::Subject;
use crate::outcome::Outcome;
use crate::report::{GROWTH, fanout_setting};
use crate::run::Target;
use crate::run::connect::{self, ConnectArgs};
use crate::run::cross::{self, CrossArgs};
use crate::run::fair::{self, FairArgs};
use crate::run::fanout::{self, FanoutArgs};
use crate::run::idle::{self, IdleArgs};
use crate::run::publish::{self, PublishArgs, Way};
use crate::run::quiet::{self, QuietArgs};
use crate::run::storm::{self, StormArgs};

/// Bytes of a publication in all settings but one.
const PAYLOAD: usize = 128;

/// Makes one run on a server that is told how it is called and which ports it may have.
pub type Measure = Box<dyn Fn(Target) -> Result<Outcome>>;

/// Who takes part in a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// All servers, and the floor.
    Everybody,
    /// All servers, and both floors: one frame, and 32 frames, in each send.
    EverybodyAndFloors,
    /// All servers but the floors, which hold and check nothing.
    Servers,
    /// Servers that can be two nodes on one Redis, and are started here.
    Nodes,
    /// Servers that take publications over HTTP.
    Apis,
    /// The same on a Redis.
    ApisOnRedis,
    /// Fanfare and the floor.
    OursAndFloor,
    /// Fanfare.
    Ours,
}

/// Those that can be two nodes.
const NODES: [&str; 5] = ["fanfare", "nchan", "socketio", "sockudo", "centrifugo"];
/// Those that have an API over HTTP.
const APIS: [&str; 4] = ["fanfare", "nchan", "sockudo", "centrifugo"];

/// One setting.
pub struct Setting {
    /// Its key in records and on the page.
    pub key: String,
    /// Who takes part.
    pub who: Who,
    /// Connections that a run opens, about: their entries in the kernel's tables linger.
    pub connections: usize,
    /// The run.
    pub measure: Measure,
}

impl Who {
    /// Whether this one does.
    pub fn has(self, subject: &Subject) -> bool {
        let server = subject.server.as_str();
        let started_here = subject.running.is_none();
        match self {
            Self::Everybody => server != "floor32",
            Self::EverybodyAndFloors => true,
            Self::Servers => !server.starts_with("floor"),
            Self::Nodes => started_here && NODES.contains(&server),
            Self::Apis => APIS.contains(&server),
            Self::ApisOnRedis => started_here && APIS.contains(&server),
            Self::OursAndFloor => matches!(server, "fanfare" | "floor"),
            Self::Ours => server == "fanfare",
        }
    }
}

impl Setting {
    /// Whether this one would take part if it did not run already.
    pub fn misses(&self, subject: &Subject) -> bool {
        !self.who.has(subject) && self.who.has(&Subject { running: None, ..subject.clone() })
    }
}

/// All settings, in the order of a run; `seconds` is how long fan-outs and publishing are measured.
pub fn settings(seconds: f64) -> Vec<Setting> {
    let mut settings = fan_outs(seconds);
    settings.push(single("nobody", Who::Ours, 1_000, move |target| quiet::run(&QuietArgs { target, seconds })));
    settings.extend(fairness(seconds));
    settings.extend(at_rest());
    settings.push(single("cross", Who::Nodes, 100, |target| {
        cross::run(&CrossArgs { target, rate: 200.0, count: 1_200, slice: 200, payload: PAYLOAD })
    }));
    settings.extend(publishing(seconds));
    settings.push(single("storm", Who::Ours, 20_000, |target| {
        let (clients, spread, beside, rate, payload, seconds) = (10_000, 5.0, 64, 50.0, PAYLOAD, 5.0);
        storm::run(&StormArgs { target, clients, spread, beside, rate, payload, seconds })
    }));
    settings
}

/// One channel, many subscribers: at full speed, at a pace, and as their number grows.
fn fan_outs(seconds: f64) -> Vec<Setting> {
    let args = |subscribers: usize| FanoutArgs {
        target: Target::named("", 0),
        subscribers,
        window: 1,
        rate: None,
        payload: PAYLOAD,
        seconds,
        http: None,
        others: 0,
        channel: "bench".to_owned(),
    };
    let fan = |key: String, who, args: FanoutArgs| {
        let connections = args.subscribers;
        single(&key, who, connections, move |target| fanout::run(&FanoutArgs { target, ..args.clone() }))
    };
    let windowed = |window: u32, subscribers: usize, who| {
        fan(fanout_setting(window as usize, subscribers), who, FanoutArgs { window, ..args(subscribers) })
    };
    let paced = |subscribers: usize, rate: f64| {
        let args = FanoutArgs { rate: Some(rate), ..args(subscribers) };
        fan(format!("paced-{subscribers}-{rate}"), Who::Everybody, args)
    };

    let mut settings = vec![
        windowed(1, 1_000, Who::Everybody),
        windowed(32, 1_000, Who::EverybodyAndFloors),
        windowed(32, 64, Who::EverybodyAndFloors),
        paced(1_000, 10.0),
        paced(64, 100.0),
    ];
    for window in [1, 32] {
        for subscribers in GROWTH {
            if settings.iter().all(|setting| setting.key != fanout_setting(window as usize, subscribers)) {
                settings.push(windowed(window, subscribers, Who::OursAndFloor));
            }
        }
    }
    // One beside the other: what differs between them shall not be the hour.
    for others in [0, 100_000] {
        settings.push(fan(format!("others-{others}"), Who::Ours, FanoutArgs { others, ..args(1_000) }));
    }
    settings
}

/// What others feel of a busy channel and of readers that do not read.
fn fairness(seconds: f64) -> [Setting; 2] {
    let seconds = seconds.max(5.0);
    let fair = |key: &str, subscribers: usize, stalled: usize, rate: f64, payload: usize| {
        single(key, Who::Ours, subscribers + stalled, move |target| {
            fair::run(&FairArgs { target, subscribers, stalled, rate, payload, seconds })
        })
    };
    [fair("fair-19000", 19_000, 0, 1.0, PAYLOAD), fair("fair-stalled", 10_000, 1_000, 5.0, 1_024)]
}

/// Opening connections and holding them.
fn at_rest() -> Vec<Setting> {
    let both = |connections: usize| {
        let connect = move |target| connect::run(&ConnectArgs { target, connections });
        let idle = move |target| idle::run(&IdleArgs { target, connections });
        [
            single(&format!("connect-{connections}"), Who::Servers, connections, connect),
            single(&format!("idle-{connections}"), Who::Servers, connections, idle),
        ]
    };
    [5_000, 19_000].into_iter().flat_map(both).collect()
}

/// The ways in.
fn publishing(seconds: f64) -> [Setting; 3] {
    let publish = |key: &str, who, road: Way, redis: bool| {
        single(key, who, 100, move |target| {
            let (connections, under_way, calls, payload) = (16, 64, 1, PAYLOAD);
            publish::run(&PublishArgs { target, road, redis, connections, under_way, calls, payload, seconds })
        })
    };
    [
        publish("publish-http-memory", Who::Apis, Way::Http, false),
        publish("publish-http-redis", Who::ApisOnRedis, Way::Http, true),
        publish("publish-worker", Who::Ours, Way::Worker, true),
    ]
}

fn single(key: &str, who: Who, connections: usize, measure: impl Fn(Target) -> Result<Outcome> + 'static) -> Setting {
    Setting { key: key.to_owned(), who, connections, measure: Box::new(measure) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::SECTIONS;
    use crate::suite::subject::everybody;

    #[test]
    fn each_setting_is_told_on_the_page() {
        let settings = settings(1.0);
        for (at, setting) in settings.iter().enumerate() {
            assert!(settings[..at].iter().all(|other| other.key != setting.key), "{} twice", setting.key);
            let grows = [1, 32].iter().any(|window| GROWTH.iter().any(|n| fanout_setting(*window, *n) == setting.key));
            assert!(grows || SECTIONS.iter().any(|section| section.setting == setting.key), "{}", setting.key);
        }
    }

    #[test]
    fn everybody_means_each_server_once() {
        let mut subjects = everybody(&[]).unwrap();
        let servers = |subjects: &[Subject], who: Who| -> Vec<String> {
            subjects.iter().filter(|subject| who.has(subject)).map(|subject| subject.server.clone()).collect()
        };
        assert_eq!(servers(&subjects, Who::OursAndFloor), ["floor", "fanfare"]);
        assert_eq!(servers(&subjects, Who::Ours), ["fanfare"]);
        assert_eq!(servers(&subjects, Who::EverybodyAndFloors).len(), servers(&subjects, Who::Everybody).len() + 1);
        assert_eq!(servers(&subjects, Who::Servers).len(), servers(&subjects, Who::Everybody).len() - 1);
        assert!(servers(&subjects, Who::Nodes).contains(&"centrifugo".to_owned()));
        subjects.iter_mut().for_each(|subject| subject.running = Some(("127.0.0.1:1".parse().unwrap(), 1)));
        assert!(servers(&subjects, Who::Nodes).is_empty(), "who runs already runs alone");
        let centrifugo = subjects.iter().find(|subject| subject.server == "centrifugo").unwrap();
        let missing: Vec<String> =
            settings(1.0).into_iter().filter(|setting| setting.misses(centrifugo)).map(|setting| setting.key).collect();
        assert_eq!(missing, ["cross", "publish-http-redis"]);
    }
}
