//! The short road, of batches of which nothing is kept: from message to bytes to answer, without a stop between.

use fanfare_proto::keys::Keys;
use fanfare_proto::rules::Rules;

use super::super::Receipt;
use super::Job;
use super::failure::Failure;
use super::pipes::Pipes;
use super::prepare::{self, Moment};

/// Whether nothing is kept of any of the open ones.
pub(super) fn are_plain(jobs: &[Job], rules: Option<&Rules>) -> bool {
    let mut open = jobs.iter().filter(|job| job.answer.is_none());
    open.all(|job| prepare::is_plain(&job.message, job.key.as_deref(), rules))
}

/// Sends the open ones in their order and writes their answers down. An error answers for those that are open
/// still. Dropped half-way, it closes the connection.
pub(super) async fn send(
    pipes: &Pipes,
    keys: &Keys,
    address: &str,
    jobs: &mut [Job],
    rules: Option<&Rules>,
) -> Result<(), Failure> {
    let failed = |error| Failure::of(address, &error);
    let mut lent = pipes.lend().await?;
    // Also those that will not get as far: should they be tried again alone, they would overtake the others.
    open(jobs).for_each(|job| job.sent = true);
    let (moment, mut names) = (Moment::now(), Names::new(keys));
    for job in open(jobs) {
        match prepare::plain(&job.message, rules, &moment) {
            Ok(envelope) => {
                lent.pipe.publish(names.of(&job.message.channel), &envelope).await.map_err(failed)?;
            }
            Err(error) => job.answer = Some(Err(error)),
        }
    }
    lent.pipe.flush().await.map_err(failed)?;
    let mut broken = false;
    for job in open(jobs) {
        job.answer = Some(match lent.pipe.answer().await.map_err(failed)? {
            Ok(gateways) => Ok(Receipt { gateways: Some(gateways), ..Receipt::default() }),
            Err(error) => {
                let failure = failed(error);
                broken |= failure.broken;
                Err(failure.error)
            }
        });
    }
    if !broken {
        lent.give_back();
    }
    Ok(())
}

fn open(jobs: &mut [Job]) -> impl Iterator<Item = &mut Job> {
    jobs.iter_mut().filter(|job| job.answer.is_none())
}

/// The names of channels in Redis. Messages to one channel often stand together: its name is made once.
struct Names<'a> {
    keys: &'a Keys,
    channel: String,
    name: String,
}

impl<'a> Names<'a> {
    fn new(keys: &'a Keys) -> Self {
        Self { keys, channel: String::new(), name: keys.channel("") }
    }

    fn of(&mut self, channel: &str) -> &str {
        if self.channel != channel {
            channel.clone_into(&mut self.channel);
            self.name = self.keys.channel(channel);
        }
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::super::pipes::tests::{PATIENCE, PRIMARY, pipes};
    use super::super::{Fault, Message, reopen};
    use super::*;

    fn jobs(data: [&'static str; 3]) -> Vec<Job> {
        data.map(|data| Job::new(Message::new("news", data))).into()
    }

    async fn send_all(says: &'static [&'static [u8]], jobs: &mut [Job]) -> Result<(), Failure> {
        let (pipes, _side) = pipes(PATIENCE, says);
        let keys = Keys::new("p", 0);
        tokio::time::timeout(PATIENCE, send(&pipes, &keys, "there", jobs, None)).await.expect("an answer")
    }

    #[tokio::test]
    async fn answers_are_counted_out_to_those_that_were_sent() {
        let mut jobs = jobs(["1", "no json", "3"]);
        send_all(&[PRIMARY, b":5\r\n:6\r\n"], &mut jobs).await.unwrap();
        let gateways: Vec<_> = jobs.iter().map(|job| job.answer.as_ref().unwrap().as_ref().ok()).collect();
        assert_eq!(
            gateways.iter().map(|it| it.and_then(|it| it.gateways)).collect::<Vec<_>>(),
            [Some(5), None, Some(6)]
        );
    }

    #[tokio::test]
    async fn what_was_cut_off_is_not_tried_again_alone() {
        let mut jobs = jobs(["1", "2", "3"]);
        let failure = send_all(&[PRIMARY, b":5\r\n:x\r\n"], &mut jobs).await.unwrap_err();
        assert!(failure.broken && failure.error.is_retryable() && failure.error.fault() == Fault::Broker);
        assert!(jobs[0].answer.as_ref().unwrap().is_ok(), "it had its answer");
        for job in open(&mut jobs) {
            job.answer = Some(Err(failure.error.clone()));
        }
        assert!(!reopen(&mut jobs), "without keys nobody knows which of them have arrived");
    }

    #[test]
    fn names_change_with_the_channel() {
        let keys = Keys::new("p", 0);
        let mut names = Names::new(&keys);
        for channel in ["", "a", "a", "b{}", "a"] {
            assert_eq!(names.of(channel), keys.channel(channel));
        }
    }
}
