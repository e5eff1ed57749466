//! What a suite measures: the table of settings. A setting is a key, who takes part, and a function that makes
//! one run; any experiment finds a place here.

use anyhow::{Context, Result};

use super::subject::Subject;
use crate::outcome::Outcome;
use crate::redis::Redis;
use crate::report::{GROWTH, fanout_setting};
use crate::run::connect::{self, ConnectArgs};
use crate::run::fair::{self, FairArgs};
use crate::run::fanout::{self, FanoutArgs};
use crate::run::idle::{self, IdleArgs};
use crate::run::{Target, quiet};

/// Bytes of a publication in all settings.
const PAYLOAD: usize = 128;

/// Makes one run.
pub type Measure = Box<dyn Fn(&Given<'_>) -> Result<Outcome>>;

/// What a run is given.
#[derive(Debug)]
pub struct Given<'a> {
    /// Who is measured.
    pub subject: &'a Subject,
    /// A few ports from here on are free.
    pub port: u16,
    /// Where nodes meet, if the setting asks for it.
    pub redis: Option<&'a Redis>,
}

/// Who takes part in a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// All servers, alone and in memory, and the floor.
    Everybody,
    /// All servers and both floors: one frame, and 32 frames, in each send.
    EverybodyAndFloors,
    /// All servers but the floors, which hold and check nothing.
    Servers,
    /// Fanfare and the floor.
    OursAndFloor,
    /// Fanfare.
    Ours,
}

/// One setting.
pub struct Setting {
    /// Its key in records and on the page.
    pub key: String,
    /// Who takes part.
    pub who: Who,
    /// Whether a Redis is started for each run.
    pub redis: bool,
    /// Connections that a run opens, about: their ports and entries in the kernel's tables linger.
    pub connections: usize,
    /// The run.
    pub measure: Measure,
}

impl Who {
    /// Whether this one does.
    pub fn has(self, subject: &Subject) -> bool {
        let (is_floor, is_ours) = (subject.server.starts_with("floor"), subject.server == "fanfare");
        let alone = !subject.redis;
        match self {
            Self::Everybody => alone && subject.server != "floor32",
            Self::EverybodyAndFloors => alone,
            Self::Servers => alone && !is_floor,
            Self::OursAndFloor => alone && (is_ours || subject.server == "floor"),
            Self::Ours => alone && is_ours,
        }
    }
}

impl Given<'_> {
    /// For experiments on a single server.
    pub fn target(&self) -> Target {
        let mut target = Target::named(&self.subject.server, self.port);
        (target.address, target.pid) = self.subject.running.unzip();
        target
    }

    /// Where nodes meet.
    pub fn redis(&self) -> Result<&Redis> {
        self.redis.context("this setting was started without a Redis")
    }
}

/// All settings, in the order of a run; `seconds` is how long each fan-out is measured.
pub fn settings(seconds: f64) -> Vec<Setting> {
    let fan = |key: String, who, args: FanoutArgs| {
        let connections = args.subscribers;
        Setting { key, who, redis: false, connections, measure: fanout_run(args) }
    };
    let windowed = |window: u32, subscribers: usize, who| {
        let args = FanoutArgs { window, ..fanout_args(subscribers, seconds) };
        fan(fanout_setting(window as usize, subscribers), who, args)
    };
    let paced = |subscribers: usize, rate: f64| {
        let args = FanoutArgs { rate: Some(rate), ..fanout_args(subscribers, seconds) };
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
    let others = FanoutArgs { others: 100_000, ..fanout_args(1_000, seconds) };
    settings.push(fan("others-100000".to_owned(), Who::Ours, others));
    settings
        .push(Setting { redis: true, ..single("nobody", Who::Ours, 1_000, move |given| quiet::run(given, seconds)) });
    let fair = |key: &str, subscribers: usize, stalled: usize, rate: f64, payload: usize| {
        single(key, Who::Ours, subscribers + stalled, move |given| {
            fair::run(&FairArgs {
                target: given.target(),
                subscribers,
                stalled,
                rate,
                payload,
                seconds: seconds.max(5.0),
            })
        })
    };
    settings.push(fair("fair-19000", 19_000, 0, 1.0, PAYLOAD));
    settings.push(fair("fair-stalled", 10_000, 1_000, 5.0, 1_024));
    for connections in [5_000, 19_000] {
        settings.push(single(&format!("connect-{connections}"), Who::Servers, connections, move |given| {
            connect::run(&ConnectArgs { target: given.target(), connections })
        }));
        settings.push(single(&format!("idle-{connections}"), Who::Servers, connections, move |given| {
            idle::run(&IdleArgs { target: given.target(), connections })
        }));
    }
    settings
}

fn single(
    key: &str,
    who: Who,
    connections: usize,
    measure: impl Fn(&Given<'_>) -> Result<Outcome> + 'static,
) -> Setting {
    Setting { key: key.to_owned(), who, redis: false, connections, measure: Box::new(measure) }
}

fn fanout_run(args: FanoutArgs) -> Measure {
    Box::new(move |given| fanout::run(&FanoutArgs { target: given.target(), ..args.clone() }))
}

fn fanout_args(subscribers: usize, seconds: f64) -> FanoutArgs {
    FanoutArgs {
        target: Target::named("", 0),
        subscribers,
        window: 1,
        rate: None,
        payload: PAYLOAD,
        seconds,
        http: None,
        others: 0,
        channel: "bench".to_owned(),
    }
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
        let subjects = everybody(&[]);
        let labels = |who: Who| -> Vec<&str> {
            subjects.iter().filter(|subject| who.has(subject)).map(|subject| subject.label.as_str()).collect()
        };
        assert_eq!(labels(Who::OursAndFloor), ["floor", "fanfare"]);
        assert_eq!(labels(Who::Ours), ["fanfare"]);
        assert!(!labels(Who::Everybody).contains(&"floor32") && labels(Who::EverybodyAndFloors).contains(&"floor32"));
        assert!(!labels(Who::Everybody).contains(&"nchan-redis") && labels(Who::Everybody).contains(&"nchan"));
        assert!(!labels(Who::Servers).contains(&"floor"));
    }
}
