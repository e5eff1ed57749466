//! From prepared messages to commands, and from Redis' answers to receipts.
//!
//! Where a script is needed, messages go in small transactions: nothing comes between the messages of one,
//! so that a script which the server has forgotten is missing for all of them or for none, and what is
//! sent again does not overtake anything.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use deadpool_redis::Connection;
use fanfare_proto::keys::Keys;
use fanfare_proto::rules::CommonRules;
use fanfare_proto::script::publish::{Answer, Call, SCRIPT};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value, from_redis_value};
use tokio::time::{Instant, timeout_at};

use super::super::{Fault, Position, PublishError, Receipt};
use super::Job;
use super::failure::{self, Failure};
use super::prepare::Ready;

/// Messages of one transaction, and their bytes: how long Redis serves nobody else.
const TRANSACTION_MAX: usize = 64;
const TRANSACTION_BYTES_MAX: usize = 256 * 1024;

static HASH: LazyLock<String> = LazyLock::new(|| redis::Script::new(SCRIPT).get_hash().to_owned());

/// How one message goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing is kept of it.
    Publish,
    /// By the script, which the server knows.
    Hash,
    /// By the script, which the server has to learn.
    Text,
}

/// Sends over one connection.
pub(super) struct Sender<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) keys: &'a Keys,
    pub(super) address: &'a str,
    pub(super) deadline: Instant,
}

impl Sender<'_> {
    /// Sends the messages in their order and writes their answers into the jobs of their numbers. After
    /// something that may pass by itself the rest is not sent, and the error answers for it: it must not
    /// overtake what failed.
    pub(super) async fn send(
        &mut self,
        ready: &[(usize, Ready)],
        jobs: &mut [Job],
        common: CommonRules,
    ) -> Result<(), Failure> {
        let mut stopped = Ok(());
        let mut rest = ready;
        while !rest.is_empty() && stopped.is_ok() {
            let (part, later) = rest.split_at(part(rest));
            rest = later;
            stopped = self.send_part(part, jobs).await;
        }
        let waiting =
            ready.iter().filter(|(index, message)| message.replicated && matches!(jobs[*index].answer, Some(Ok(_))));
        let waiting: Vec<usize> = waiting.map(|(index, _)| *index).collect();
        let replicated = match waiting.as_slice() {
            [] => Ok(()),
            waiting => self.wait(waiting, jobs, common).await,
        };
        stopped.and(replicated)
    }

    async fn send_part(&mut self, part: &[(usize, Ready)], jobs: &mut [Job]) -> Result<(), Failure> {
        for (index, _) in part {
            jobs[*index].sent = true;
        }
        let everything: Vec<&(usize, Ready)> = part.iter().collect();
        let answers = self.run(&everything, ways(part)).await?;
        let (missing, answers): (Vec<_>, Vec<_>) =
            everything.into_iter().zip(answers).partition(|(_, answer)| is_no_script(answer));
        let stopped = self.record(answers, jobs);
        if missing.is_empty() {
            return stopped;
        }
        // Nothing was done about these. The first one brings the script along.
        let again: Vec<&(usize, Ready)> = missing.into_iter().map(|(message, _)| message).collect();
        let ways = (0..again.len()).map(|n| if n == 0 { Way::Text } else { Way::Hash }).collect();
        let answers = self.run(&again, ways).await?;
        stopped.and(self.record(again.into_iter().zip(answers).collect(), jobs))
    }

    /// Writes answers down; an error if one of them may pass by itself.
    fn record(&self, answers: Vec<(&(usize, Ready), RedisResult<Value>)>, jobs: &mut [Job]) -> Result<(), Failure> {
        let mut stopped = Ok(());
        for ((index, _), answer) in answers {
            let receipt = answer.and_then(receipt).map_err(|error| Failure::of(self.address, &error));
            jobs[*index].answer = Some(match receipt {
                Ok(receipt) => Ok(receipt),
                Err(failure) => {
                    let error = failure.error.clone();
                    if error.is_retryable() && stopped.is_ok() {
                        stopped = Err(failure);
                    }
                    Err(error)
                }
            });
        }
        stopped
    }

    async fn run(&mut self, part: &[&(usize, Ready)], ways: Vec<Way>) -> Result<Vec<RedisResult<Value>>, Failure> {
        let mut pipeline = Pipeline::with_capacity(part.len());
        pipeline.ignore_errors();
        if part.len() > 1 && ways.iter().any(|way| *way != Way::Publish) {
            pipeline.atomic();
        }
        for ((_, message), way) in part.iter().zip(ways) {
            pipeline.add_command(self.command(message, way));
        }
        let answers: Vec<RedisResult<Value>> =
            within(self.deadline, self.address, pipeline.query_async(self.connection)).await?;
        if answers.len() == part.len() {
            return Ok(answers);
        }
        let text = format!("the broker at {} gave {} answers to {}", self.address, answers.len(), part.len());
        Err(Failure::broken(PublishError::unknown(Fault::Broker, text)))
    }

    fn command(&self, message: &Ready, way: Way) -> Cmd {
        let call = Call {
            keys: self.keys,
            channel: &message.channel,
            envelope: message.envelope.clone(),
            retention: message.retention,
            key: message.key.as_ref().map(|(key, window)| (key.as_str(), *window)),
            version: message.version.as_ref().map(|version| (version.number, version.epoch.as_str())),
            fresh_epoch: &message.fresh_epoch,
        };
        let script = |verb: &str, source: &str| {
            let keys = call.keys();
            let mut command = redis::cmd(verb);
            command.arg(source).arg(keys.len()).arg(keys);
            for argument in call.arguments() {
                command.arg(&argument[..]);
            }
            command
        };
        match way {
            Way::Publish => {
                let mut command = redis::cmd("PUBLISH");
                command.arg(call.name()).arg(&call.envelope[..]);
                command
            }
            Way::Hash => script("EVALSHA", &HASH),
            Way::Text => script("EVAL", SCRIPT),
        }
    }

    /// Waits until replicas have all that was sent over this connection.
    async fn wait(&mut self, waiting: &[usize], jobs: &mut [Job], common: CommonRules) -> Result<(), Failure> {
        let wanted = common.replicas.max(1);
        let left = self.deadline.saturating_duration_since(Instant::now());
        // 0 would be for ever.
        let patience = Duration::from_millis(common.replicated_timeout_ms).min(left).max(Duration::from_millis(1));
        let mut wait = redis::cmd("WAIT");
        wait.arg(wanted).arg(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX));
        let confirmed: Result<u64, Failure> =
            within(self.deadline, self.address, wait.query_async(self.connection)).await;
        let (what, failure) = match confirmed {
            Ok(confirmed) if confirmed >= wanted => return Ok(()),
            Ok(confirmed) => (format!("only {confirmed} of {wanted} replicas have confirmed it in time"), None),
            Err(failure) => (format!("it is unknown whether replicas have it: {}", failure.error), Some(failure)),
        };
        let text = format!("stored, but {what}; publish it again with the same idempotency key to wait for them");
        for index in waiting {
            jobs[*index].answer = Some(Err(PublishError::unknown(Fault::Broker, text.clone())));
        }
        failure.map_or(Ok(()), Err)
    }
}

async fn within<T>(
    deadline: Instant,
    address: &str,
    answer: impl Future<Output = RedisResult<T>>,
) -> Result<T, Failure> {
    match timeout_at(deadline, answer).await {
        Ok(answer) => answer.map_err(|error| Failure::of(address, &error)),
        Err(_) => Err(Failure::broken(failure::late(address))),
    }
}

/// How many of the next messages go at once. All of them, if none needs a script.
fn part(rest: &[(usize, Ready)]) -> usize {
    if rest.iter().all(|(_, message)| message.is_plain()) {
        return rest.len();
    }
    let mut bytes = 0;
    let fits = |(_, message): &&(usize, Ready)| {
        bytes += message.envelope.len();
        bytes <= TRANSACTION_BYTES_MAX
    };
    rest.iter().take(TRANSACTION_MAX).take_while(fits).count().max(1)
}

/// By the script goes also a plain message whose channel has others that need it: should they have to be
/// sent again, it must not be before them.
fn ways(part: &[(usize, Ready)]) -> Vec<Way> {
    let scripted: HashSet<&str> =
        part.iter().filter(|(_, message)| !message.is_plain()).map(|(_, message)| message.channel.as_str()).collect();
    let way = |message: &Ready| if scripted.contains(message.channel.as_str()) { Way::Hash } else { Way::Publish };
    part.iter().map(|(_, message)| way(message)).collect()
}

fn is_no_script(answer: &RedisResult<Value>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}

/// A number is PUBLISH's answer, a text the script's.
fn receipt(answer: Value) -> RedisResult<Receipt> {
    if let Value::Int(gateways) = answer {
        return Ok(Receipt { gateways: u64::try_from(gateways).ok(), ..Receipt::default() });
    }
    let text: Vec<u8> = from_redis_value(answer)?;
    let answer = Answer::parse(&text).map_err(|error| {
        RedisError::from((ErrorKind::UnexpectedReturnType, "the publish script answered", error.to_string()))
    })?;
    let position = answer.position.map(|(offset, epoch)| Position { offset, epoch });
    Ok(Receipt { position, ..Receipt::default() })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn ready(channel: &str, key: bool, len: usize) -> (usize, Ready) {
        let message = Ready {
            channel: channel.to_owned(),
            envelope: Bytes::from(vec![0; len]),
            retention: None,
            key: key.then(|| ("k".to_owned(), 1)),
            version: None,
            replicated: false,
            fresh_epoch: "e".to_owned(),
        };
        (0, message)
    }

    #[test]
    fn transactions_are_small() {
        let plain = vec![ready("a", false, 1); 500];
        assert_eq!(part(&plain), 500);
        let mixed = [plain, vec![ready("a", true, 1)]].concat();
        assert_eq!(part(&mixed), TRANSACTION_MAX);
        let large = vec![ready("a", true, 100 * 1024); 5];
        assert_eq!(part(&large), 2);
        assert_eq!(part(&[ready("a", true, 1024 * 1024), ready("a", true, 1)]), 1);
    }

    #[test]
    fn a_channel_goes_one_way() {
        let part = [ready("a", false, 1), ready("b", false, 1), ready("a", true, 1), ready("b", false, 1)];
        assert_eq!(ways(&part), [Way::Hash, Way::Publish, Way::Hash, Way::Publish]);
    }
}
