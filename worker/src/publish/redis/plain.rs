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
    use super::*;

    #[test]
    fn names_change_with_the_channel() {
        let keys = Keys::new("p", 0);
        let mut names = Names::new(&keys);
        for channel in ["", "a", "a", "b{}", "a"] {
            assert_eq!(names.of(channel), keys.channel(channel));
        }
    }
}
